"""W3 across two workers: a group of 100 members and its join, beside a Celery chord.

Ours is a DistributedExecutor and two `manage.py worker`, with leases, tokens, fenced commits and a
barrier counted per batch; Celery's is a chord on two worker processes (solo pool, Redis as broker
and as result backend, late acknowledgement). A member returns its number, the join adds them up.
Each measurement has a server of its own (append-only file, fsync every second). Rounds are
interleaved; medians are compared, and only ratios within one run mean something.

    python bench/workers.py [ROUNDS]
"""

import asyncio
import contextlib
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from sides import HERE, private_server

from orchestrator.execution.members import task_call
from orchestrator.execution.tasks import TaskSpec
from orchestrator.runtime.task_groups import DistributedExecutor
from orchestrator.security.keyring import new_key
from storage.datastore import open_store
from storage.tasks import TaskQueue

MEMBERS, WORKERS = 100, 2
SUM = MEMBERS * (MEMBERS - 1) // 2
BUDGET = 40.0
OUR_GROUPS, CELERY_GROUPS = 400, 12
WARM_UP = 3


@contextlib.contextmanager
def processes(*commands: list[str], **environment: str) -> Iterator[None]:
    """Run commands until the block ends."""
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", *command],
            cwd=HERE.parent,
            env={**os.environ, "PYTHONPATH": str(HERE), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL if "QUIET" not in os.environ else None,
        )
        for command in commands
    ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(30)


def ours(url: str) -> float:
    """Return groups per second."""
    with tempfile.TemporaryDirectory(prefix="workers-") as folder:
        environment = {
            "DATA_DIR": folder,
            "REDIS_URL": url,
            "SECRET_KEY": "bench",
            "ORCHESTRATOR_CREDENTIAL_KEYS": new_key(),
        }
        migrate = [sys.executable, "manage.py", "migrate", "-v0"]
        subprocess.run(migrate, cwd=HERE.parent, env={**os.environ, **environment}, check=True)
        worker = ["manage.py", "worker", "--import=contenders.members"]
        with processes(*[worker] * WORKERS, **environment):
            return asyncio.run(_our_groups(url))


async def _our_groups(url: str) -> float:
    store = open_store(url)
    queue = TaskQueue(store.queue)
    executor = DistributedExecutor(queue, store.coordinator, workers=WORKERS)

    async def group() -> None:
        calls = [
            task_call(f"m{n}", TaskSpec(name="member", arguments={"n": n})) for n in range(MEMBERS)
        ]
        outcomes = await executor.run(calls, timeout=60)
        assert sum(outcome.value for outcome in outcomes) == SUM

    # Both have to be there: one alone answers as well.
    await _until_both(executor)
    for _ in range(WARM_UP):
        await group()
    begun = time.perf_counter()
    for _ in range(OUR_GROUPS):
        await group()
    seconds = time.perf_counter() - begun
    await store.close()
    return OUR_GROUPS / seconds


async def _until_both(executor: DistributedExecutor) -> None:
    calls = [task_call(f"w{n}", TaskSpec(name="whereabouts")) for n in range(WORKERS)]
    while True:
        outcomes = await executor.run(calls, timeout=60)
        if len({outcome.value for outcome in outcomes}) == WORKERS:
            return


def celery(url: str) -> float:
    """Return chords per second."""
    from celery import chord
    from contenders.members import celery_app

    app = celery_app(url)
    add, member = app.signature("add"), app.signature("member")

    def group() -> None:
        header = [member.clone((n,)) for n in range(MEMBERS)]
        assert chord(header, add)().get(timeout=120) == SUM

    worker = ["-m", "contenders.members", url]
    with processes(*[worker] * WORKERS):
        for _ in range(2):
            group()
        begun = time.perf_counter()
        for _ in range(CELERY_GROUPS):
            group()
        seconds = time.perf_counter() - begun
    return CELERY_GROUPS / seconds


CONTENDERS = {"ours": ours, "celery chord": celery}


def measured(name: str) -> float:
    """Measure in a process of its own: nobody starts with what a round before has left."""
    with private_server() as url:
        command = [sys.executable, "-W", "ignore", __file__, name, url]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.split()[-1])


def main(rounds: int = 3) -> bool:
    if importlib.util.find_spec("celery") is None:
        print("celery is not installed: pip install -r requirements-bench.txt")
        print(f"ours {measured('ours'):.1f} groups of {MEMBERS}/s")
        return True
    seen: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    for _ in range(rounds):
        for name in CONTENDERS:
            seen[name].append(measured(name))
            print(f"{name:<14} {seen[name][-1]:8.1f} groups of {MEMBERS}/s", flush=True)
    medians = {name: statistics.median(values) for name, values in seen.items()}
    ratio = medians["ours"] / medians["celery chord"]
    reached = ratio >= BUDGET
    print(
        f"ours / celery chord {ratio:.1f}   at least {BUDGET:g}: {'' if reached else 'NOT '}reached"
    )
    return reached


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in CONTENDERS:
        print(CONTENDERS[sys.argv[1]](sys.argv[2]))
    else:
        sys.exit(0 if main(*(int(text) for text in sys.argv[1:2])) else 1)
