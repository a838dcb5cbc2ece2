"""Where members run: in line, in threads, in processes, or where somebody else says."""

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time

import group_tasks
import pytest

from orchestrator.exceptions import GroupFailed, InvalidRequest, NotPortable, UnknownTask
from orchestrator.execution.groups import Group
from orchestrator.execution.outcomes import Outcome
from orchestrator.execution.pools import ThreadExecutor
from orchestrator.execution.processes import ProcessExecutor
from orchestrator.execution.tasks import TaskSpec, tasks
from orchestrator.graphs import task
from tests.waiting import eventually, until

voice = contextvars.ContextVar("voice", default="")


async def test_plain_members_in_line_run_one_after_the_other_in_this_thread():
    order = []

    def member(name):
        def called(state):
            order.append((name, threading.get_ident()))

        return called

    await Group("g", {name: member(name) for name in "abc"}).run({})
    assert order == [(name, threading.get_ident()) for name in "abc"]


async def test_plain_members_in_threads_run_side_by_side():
    met = threading.Barrier(3, timeout=10)

    def member(state):
        met.wait()
        return threading.get_ident()

    found = await Group("g", dict.fromkeys("abc", member), executor="thread").run({})
    assert len({*found.values(), threading.get_ident()}) == 4


async def test_async_members_stay_in_the_event_loop():
    async def member(state):
        return threading.get_ident()

    found = await Group("g", {"a": member}, executor="thread").run({})
    assert found == {"a": threading.get_ident()}


@pytest.mark.parametrize("executor", ["inline", "thread"])
async def test_members_see_the_context_variables_of_who_runs_the_group(executor):
    voice.set("alto")
    found = await Group("g", {"a": lambda state: voice.get()}, executor=executor).run({})
    assert found == {"a": "alto"}


async def test_no_more_threads_compute_at_a_time_than_are_allowed():
    lock, now, most = threading.Lock(), 0, 0

    def member(state):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    members = {str(number): member for number in range(8)}
    await Group("g", members, executor=ThreadExecutor(threads=2)).run({})
    assert most == 2


async def test_a_thread_that_hangs_holds_nobody_up():
    release = threading.Event()

    def hangs(state):
        release.wait(60)

    members = {"a": hangs, "b": lambda state: 1}
    group = Group(
        "g", members, policy="best_effort", member_timeout=0.1, executor=ThreadExecutor(threads=1)
    )
    found = await asyncio.wait_for(group.run({}), 10)
    release.set()
    assert (found["b"], found["g_errors"]["a"]["type"]) == (1, "NodeTimeout")


def test_a_script_ends_though_a_thread_of_a_group_hangs(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, time\n"
        "from orchestrator.execution.groups import Group\n"
        "group = Group('g', {'a': lambda state: time.sleep(60)}, executor='thread',\n"
        "              policy='best_effort', timeout=0.05)\n"
        "print(asyncio.run(group.run({}))['g_errors']['a']['type'])\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=30,
        env={**os.environ, "PYTHONPATH": os.getcwd()}, check=True,
    )  # fmt: skip
    assert done.stdout == "NodeTimeout\n"


async def test_members_in_processes_return_json_from_another_process():
    members = {"a": group_tasks.double, "b": group_tasks.double_async}
    found = await Group("g", members, executor="process").run({"value": 3})
    assert (found["a"]["doubled"], found["b"]) == (6, 6)
    assert found["a"]["pid"] != os.getpid()


async def test_a_member_may_be_a_task_with_its_arguments():
    task = TaskSpec(name="group_tasks.double_async", arguments={"state": {"value": 4}})
    for executor in ("inline", "thread", "process"):
        assert await Group("g", {"a": task}, executor=executor).run({}) == {"a": 8}


async def test_a_process_that_dies_takes_no_other_member_with_it():
    members = {
        "before": group_tasks.pid,
        "killed": group_tasks.kill_itself,
        "left": group_tasks.leave,
        "raised": group_tasks.refuse,
        "odd": group_tasks.not_json,
        "after": group_tasks.pid,
    }
    group = Group("g", members, policy="best_effort", executor=ProcessExecutor(processes=1))
    found = await group.run({"value": 3})
    assert found["before"] != found["after"]
    assert {name: (e["type"], e["message"]) for name, e in found["g_errors"].items()} == {
        "killed": ("WorkerLost", "its process was killed by SIGKILL"),
        "left": ("WorkerLost", "its process ended with exit code 3"),
        "raised": ("ValueError", "no 3"),
        "odd": ("invalid_payload", "not JSON: Type is not JSON serializable: set"),
    }


async def test_a_process_serves_several_members():
    members = {str(number): group_tasks.pid for number in range(4)}
    found = await Group("g", members, executor=ProcessExecutor(processes=1)).run({})
    [child] = set(found.values())
    eventually(lambda: not alive(child))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def pids(file):
    return [int(line) for line in file.read_text().splitlines()] if file.exists() else []


async def test_a_process_that_is_late_is_ended_and_the_next_member_gets_another(tmp_path):
    file = tmp_path / "pids"
    members = {"a": group_tasks.sleep_long, "b": group_tasks.pid}
    group = Group(
        "g",
        members,
        policy="best_effort",
        member_timeout=1.5,
        executor=ProcessExecutor(processes=1),
    )
    found = await group.run({"file": str(file)})
    [late] = pids(file)
    assert found["b"] != late
    assert found["g_errors"]["a"]["type"] == "NodeTimeout"
    eventually(lambda: not alive(late))


@pytest.mark.parametrize("how", ["strict", "timeout", "cancelled"])
async def test_no_process_is_left_of_a_group(tmp_path, how):
    file = tmp_path / "pids"

    async def refuse_when_it_runs(state):
        await until(lambda: pids(file))
        if how == "strict":
            raise ValueError
        await asyncio.Event().wait()

    # Its own executor runs the group that is a member, so that it need not be portable.
    members = {"a": group_tasks.sleep_long, "b": Group("b", [refuse_when_it_runs])}
    timeout = 3 if how == "timeout" else None
    group = Group("g", members, executor=ProcessExecutor(processes=1), timeout=timeout)
    running = asyncio.create_task(group.run({"file": str(file)}))
    await until(lambda: pids(file))
    if how == "cancelled":
        running.cancel()
    with pytest.raises(asyncio.CancelledError if how == "cancelled" else GroupFailed):
        await running
    [child] = pids(file)
    eventually(lambda: not alive(child))


def test_processes_end_with_the_one_that_started_them(tmp_path):
    file, script = tmp_path / "pids", tmp_path / "script.py"
    script.write_text(
        "import asyncio, group_tasks\n"
        "from orchestrator.execution.groups import Group\n"
        "if __name__ == '__main__':\n"
        "    group = Group('g', [group_tasks.sleep_long], executor='process')\n"
        f"    asyncio.run(group.run({{'file': {str(file)!r}}}))\n"
    )
    path = os.pathsep.join([os.getcwd(), os.path.dirname(group_tasks.__file__)])
    parent = subprocess.Popen([sys.executable, script], env={**os.environ, "PYTHONPATH": path})
    [child] = eventually(lambda: pids(file))
    parent.kill()
    parent.wait()
    eventually(lambda: not alive(child))


def test_a_script_has_members_of_its_own_in_processes(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, os\n"
        "from orchestrator.execution.groups import Group\n"
        "from orchestrator.execution.tasks import tasks\n"
        "def away(state):\n"
        "    return os.getpid()\n"
        "tasks.register(f'{__name__}.away', away)\n"
        "if __name__ == '__main__':\n"
        "    found = asyncio.run(Group('g', [away], executor='process').run({}))\n"
        "    print(found['away'] != os.getpid())\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": os.getcwd()}, check=True,
    )  # fmt: skip
    assert done.stdout == "True\n"


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (lambda state: 1, "define it at the top of a module"),
        (group_tasks.unregistered, "register it by name"),
        (group_tasks.with_context, "takes a context, which does not leave the process"),
    ],
)
async def test_what_cannot_leave_the_process_is_refused_before_anything_begins(
    member, why, tmp_path
):
    group = Group("g", [("a", group_tasks.sleep_long), ("b", member)], executor="process")
    with pytest.raises(NotPortable, match=why):
        await group.run({"file": str(tmp_path / "pids")})
    assert not (tmp_path / "pids").exists()


async def test_a_task_that_nobody_has_registered_fails_its_member():
    members = {"a": TaskSpec(name="nobody.knows"), "b": group_tasks.pid}
    for executor in ("inline", "process"):
        found = await Group("g", members, policy="best_effort", executor=executor).run({})
        assert found["b"]
        assert found["g_errors"]["a"]["type"] == UnknownTask.code


async def test_a_parameter_without_a_value_fails_its_member_wherever_it_would_run():
    members = {"a": task(group_tasks.asks), "b": group_tasks.pid}
    for executor in ("inline", "process"):
        found = await Group("g", members, policy="best_effort", executor=executor).run({})
        assert found["b"]
        assert found["g_errors"]["a"]["type"] == "MissingArgument"
    found = await Group("g", [task(group_tasks.asks)], executor="process").run({"value": 3})
    assert found == {"asks": 3}


class Recording:
    """An executor of one's own: it notes what it is given, and calls one after the other."""

    def __init__(self, portable):
        self.portable = portable
        self.seen = []

    async def run(self, calls, *, timeout=None, member_timeout=None, stop=None):
        self.seen.append((timeout, member_timeout))
        return [
            Outcome(name=call.name, ok=True, value=await tasks.call(call.spec)) for call in calls
        ]


async def test_an_executor_of_ones_own_gets_tasks_and_limits():
    mine = Recording(portable=True)
    group = Group("g", [group_tasks.double_async], executor=mine, timeout=9, member_timeout=8)
    assert await group.run({"value": 2}) == {"double_async": 4}
    assert mine.seen == [(9, 8)]


async def test_an_executor_that_nobody_has_set_up_is_an_error():
    with pytest.raises(InvalidRequest, match="no executor 'distributed' is set up"):
        await Group("g", [group_tasks.pid], executor="distributed").run({})
