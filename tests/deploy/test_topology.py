"""The compose file's services as processes: an example through them, and a rolling restart."""

import contextlib
import json
import os
import re
import shutil
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import httpx
import pytest
import redis

from tests.deploy.described import ROOT
from tests.deploy.topology import Topology, missing_programs, secrets_for_tests
from tests.waiting import eventually

pytestmark = pytest.mark.fault
PATIENCE = 90
PASSWORD = "a-long-password"


@pytest.fixture(scope="module")
def topology(tmp_path_factory, redis_server):
    """Everything, with two runners and two workers; `redis_server` says whether there is one."""
    if missing := missing_programs():
        reason = f"not on this machine: {', '.join(missing)}"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") else pytest.skip(reason)
    folder = tmp_path_factory.mktemp("topology")
    running = Topology(folder, {**secrets_for_tests(), "LEASE_TTL": "3"})
    try:
        running.start(runner=2, worker=2)
        yield running
    finally:
        running.close()


@pytest.fixture(scope="module")
def client(topology):
    """A client with the token of the first user, made as docs/deploy.md says."""
    manage = ("python", "manage.py")
    options = ("createsuperuser", "--noinput", "--username=ada", "--email=")
    topology.run(*manage, *options, DJANGO_SUPERUSER_PASSWORD=PASSWORD)
    token = topology.run(*manage, "create_token", "ada").split()[-1]
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=topology.url, headers=headers, timeout=30) as client:
        yield client


def rows(topology, path):
    file = topology.folder / "data/files" / path
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text().rpartition("\n")[0].splitlines()]


def status(client, workflow):
    answer = client.get(f"/prod/status/{workflow}")
    assert answer.status_code == 200, answer.text
    return answer.json()["status"]


def start(client, definition):
    made = client.post("/workflows/", json=definition)
    assert made.status_code == 201, made.text
    started = client.post("/prod/start", json={"workflow_id": made.json()["id"]})
    assert started.status_code == 202, started.text
    return made.json()["id"]


def linked(name, *nodes):
    parts = [{"id": kind, "type": kind, "data": data} for kind, data in nodes]
    edges = [{"source": a["id"], "target": b["id"]} for a, b in pairwise(parts)]
    return {"name": name, "nodes": parts, "edges": edges}


def test_every_process_is_healthy_and_says_so(topology, client):
    assert {name: process.check() for name, process in topology.processes.items()} == dict.fromkeys(
        ["redis", "web", "runner-1", "runner-2", "worker-1", "worker-2"], ""
    )
    assert topology.run("python", "-m", "orchestrator.runtime.healthy", "ready") == ""
    ready = client.get("/readyz").json()
    assert ready["ready"], ready
    assert (ready["runners_alive"], ready["workers_alive"]) == (2, 2)


def test_an_example_runs_from_queue_to_file(topology, client):
    topology.run("python", "manage.py", "load_examples")
    assert client.post("/prod/start", json={"workflow_id": "hello-loops"}).status_code == 202
    eventually(lambda: status(client, "hello-loops") == "completed", PATIENCE)
    graph = json.loads((topology.app / "examples/graphs/data-quality.json").read_text())
    graph_id = client.post("/graph/create", json=graph).json()["graph_id"]
    state = {"path": "examples/quality.csv", "goal": 0.8}
    body = {"graph_id": graph_id, "initial_state": state, "wait": True}
    run = client.post("/graph/run", json=body)
    assert run.json()["status"] == "completed", run.text


def test_the_account_in_redis_may_only_what_it_needs(topology):
    url = topology.environment("runner", topology.folder)["REDIS_URL"]
    with redis.Redis.from_url(url) as ours:
        refused = ("CONFIG GET *", "KEYS *", "FLUSHALL", "FLUSHDB", "SHUTDOWN", "DEBUG JMAP")
        more = ("SCRIPT FLUSH", "ACL LIST", "MONITOR", "SET other 1", "GET other", "FUNCTION LIST")
        for command in (*refused, *more):
            with pytest.raises(redis.ResponseError, match=r"(?i)no permission|not allowed"):
                ours.execute_command(*command.split())
        with pytest.raises(redis.ResponseError, match=r"(?i)no permission"):
            ours.publish("other", "x")
    with redis.Redis(port=topology.ports["redis"]) as nobody, pytest.raises(redis.RedisError):
        nobody.ping()


def test_a_runner_and_a_worker_that_stand_still_are_not_healthy(topology):
    """Redis and the database may be away for as long as they like, but it has to say something."""
    still = [topology.processes[name] for name in ("runner-1", "worker-1")]
    for process in still:
        process.send(signal.SIGSTOP)
    try:
        for process in still:
            assert "last sign of life" in eventually(process.check, 40)
    finally:
        for process in still:
            process.send(signal.SIGCONT)
    for process in still:
        eventually(lambda process=process: process.check() == "")


def endless_workflow(path):
    return linked(
        f"To {path}",
        ("counter", {}),
        ("queue-writer", {"config": {"max_length": 300}}),
        ("queue-reader", {}),
        ("static-delay", {"form": {"seconds": 0.002}}),
        ("file-writer", {"form": {"path": path}}),
    )


class Callers:
    """Call a webhook and put runs, again and again, each until it was accepted; an answer that no
    client is meant to get ends that, and is told at the end."""

    def __init__(self, client, graph_id):
        self._client, self._graph_id = client, graph_id
        self.accepted: list[int] = []
        self.runs: list[str] = []
        self.retried = 0
        self._stop = threading.Event()
        self._threads = ThreadPoolExecutor(2)

    def __enter__(self):
        self._working = [self._threads.submit(work) for work in (self._call, self._put)]
        return self

    def __exit__(self, *_):
        self._stop.set()
        for work in self._working:
            work.result(PATIENCE)

    def at_work(self):
        """Return how often each was accepted; raises what has ended one of them."""
        for work in self._working:
            if work.done():
                work.result()
        return len(self.accepted), len(self.runs)

    def _call(self):
        number = 0
        while not self._stop.wait(0.01):
            headers = {"Idempotency-Key": f"n-{number}"}
            answer = self._post("/webhooks/rolling", {"number": number}, headers)
            assert answer.status_code == 202, answer.text
            self.accepted.append(number)
            number += 1

    def _put(self):
        number = 0
        while not self._stop.wait(0.1):
            body = {"graph_id": self._graph_id, "wait": False, "idempotency_key": f"run-{number}"}
            answer = self._post("/graph/run", body, {})
            assert answer.status_code in (200, 202), answer.text
            self.runs.append(answer.json()["run_id"])
            number += 1

    def _post(self, path, body, headers):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code not in (429, 503):
                return answer
            assert time.monotonic() < deadline, answer and answer.text
            self.retried += 1
            time.sleep(0.2)


GRAPH = {
    "name": "Rolling",
    "entry_point": "wait",
    "nodes": [
        {"id": "wait", "type": "static-delay", "data": {"form": {"seconds": 0.3}}},
        {"id": "end", "type": "data-transformer", "data": {"form": {"fields": {"done": "yes"}}}},
    ],
    "edges": [{"source": "wait", "target": "end"}],
}


def test_every_process_is_restarted_under_load_and_nothing_is_lost(topology, client, section):
    """One after the other, as an upgrade does it, while loops, webhooks and runs go on."""
    endless = start(client, endless_workflow("endless.jsonl"))
    hook = {"path": "rolling", "check": "none"}
    start(
        client,
        linked(
            "Hooked",
            ("webhook", {"form": hook}),
            ("file-writer", {"form": {"path": "hooked.jsonl"}}),
        ),
    )
    graph_id = client.post("/graph/create", json=GRAPH).json()["graph_id"]
    eventually(lambda: len(rows(topology, "endless.jsonl")) > 100, PATIENCE)
    table = ["| restarted | seconds | items before | items after |", "|---|---|---|---|"]
    with Callers(client, graph_id) as callers:
        for name, part in {"postgres": topology.database, **topology.processes}.items():
            before, begun = len(rows(topology, "endless.jsonl")), time.monotonic()
            part.restart()
            took = time.monotonic() - begun
            after = _goes_on(topology, callers)
            table.append(f"| {name} | {took:.1f} | {before} | {after} |")
    topology.run(*topology.services["migrate"]["command"])
    items = drained(topology, client, endless, "endless.jsonl")
    eventually(lambda: len(rows(topology, "hooked.jsonl")) >= len(callers.accepted), PATIENCE)
    arrived = Counter(row["body"]["number"] for row in rows(topology, "hooked.jsonl"))
    assert arrived == Counter(callers.accepted)
    for run in callers.runs:
        ended = eventually(lambda run=run: _ended(client, run), PATIENCE)
        assert ended["status"] == "completed", json.dumps(ended)
    assert client.get("/dead-letters/").json()["results"] == []
    told = (
        f"{items} items, {len(callers.accepted)} webhooks, {len(callers.runs)} runs; "
        f"{callers.retried} requests were sent again; nothing lost, nothing twice"
    )
    section("rolling restart under load", "\n".join([*table, "", told]))


def drained(topology, client, workflow, path):
    """Drain an endless workflow; return how many items its file has, each once, none left out."""
    assert client.post("/prod/drain", json={"workflow_id": workflow}).status_code == 202
    try:
        eventually(lambda: status(client, workflow) == "stopped", PATIENCE)
    except AssertionError as error:
        found = client.get(f"/prod/status/{workflow}").json()
        raise AssertionError(json.dumps(found)) from error
    numbers = [row["value"] for row in rows(topology, path)]
    assert Counter(numbers) == Counter(range(len(numbers)))
    return len(numbers)


def _goes_on(topology, callers):
    """Wait until items, webhooks and runs get on; return how many items there are then."""
    items, (calls, runs) = len(rows(topology, "endless.jsonl")), callers.at_work()
    eventually(lambda: len(rows(topology, "endless.jsonl")) > items + 200, PATIENCE)
    eventually(lambda: callers.at_work()[0] > calls + 20, PATIENCE)
    eventually(lambda: callers.at_work()[1] > runs + 3, PATIENCE)
    return len(rows(topology, "endless.jsonl"))


def _ended(client, run):
    found = client.get(f"/graph/state/{run}").json()
    return found if found["status"] not in ("pending", "running") else None


@pytest.mark.long
def test_a_backup_brings_back_where_every_loop_was(topology, client):
    """With the commands of docs/deploy.md for the database; the volumes are folders here."""
    text = (ROOT / "docs/deploy.md").read_text()
    dump, restore = re.findall(r"exec -T postgres (pg_\w+ .*?) [<>] database.dump", text)
    workflow = start(client, endless_workflow("kept.jsonl"))
    eventually(lambda: len(rows(topology, "kept.jsonl")) > 100, PATIENCE)
    with _at_rest(topology):
        kept = len(rows(topology, "kept.jsonl"))
        dumped = topology.database.run(dump)
        assert dumped.returncode == 0, dumped.stderr
        for name in ("data", "redis-1"):
            shutil.copytree(topology.folder / name, topology.folder / f"backup-{name}")
    eventually(lambda: len(rows(topology, "kept.jsonl")) > kept + 500, PATIENCE)
    with _at_rest(topology):
        restored = topology.database.run(restore, dumped.stdout)
        assert restored.returncode == 0, restored.stderr
        for name in ("data", "redis-1"):
            shutil.rmtree(topology.folder / name)
            shutil.move(topology.folder / f"backup-{name}", topology.folder / name)
        assert len(rows(topology, "kept.jsonl")) == kept
    eventually(lambda: len(rows(topology, "kept.jsonl")) > kept + 100, PATIENCE)
    drained(topology, client, workflow, "kept.jsonl")


@contextlib.contextmanager
def _at_rest(topology):
    """Stop all but the database in the order of the document, and start it again."""
    stopped = [p for name, p in topology.processes.items() if name != "redis"]
    stopped.append(topology.processes["redis"])
    for process in stopped:
        assert process.stop() == 0, process.log()
    yield
    for process in reversed(stopped):
        process.launch()
    for process in stopped:
        process.wait()
