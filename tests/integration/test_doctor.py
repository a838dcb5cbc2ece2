"""`manage.py doctor` on a system as it is run: what it finds, what it advises, how it ends."""

import json
import os
import subprocess
import sys
import time

import pytest
import redis

from nodes.contract import NodeOutput
from orchestrator.execution.envelope import seal
from orchestrator.runtime import embedded
from orchestrator.services.doctor.findings import Status, apart, fail, ok, patiently
from tests.deployment import PASSWORD, ROOT, Deployment
from tests.waiting import eventually

pytestmark = pytest.mark.fault
CANARY = "canary-4711-secret"


def examined(environment, *arguments):
    """Run it, and return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


class Found:
    """What it found, by check."""

    def __init__(self, environment):
        self.code, self.text = examined(environment, "--json")
        answer = json.loads(self.text)
        self.status = answer["status"]
        self.findings = answer["findings"]

    def of(self, check, status=None):
        found = [x for x in self.findings if x["check"] == check]
        return [x for x in found if x["status"] == status] if status else found

    def the(self, check, status):
        (one,) = self.of(check, status)
        assert one["advice"] or status == "ok"
        return one["message"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    deployed = Deployment(tmp_path_factory.mktemp("doctor"))
    yield deployed
    deployed.close()


def test_a_system_at_work_is_well(house):
    house.start_runner()
    house.start_worker(WORKER_ID="ada")
    workflow = house.create(
        {"name": "w", "nodes": [{"id": "1", "type": "counter", "data": {}}], "edges": []}
    )
    assert house.post("/prod/start", workflow).is_success
    house.wait_for(workflow, "running")
    eventually(lambda: house.workers()[0]["worker"] == "ada")
    found = Found(house.environment)
    assert (found.code, found.status) == (0, "warn"), found.text  # the tests' key is short
    assert [x["check"] for x in found.findings if x["status"] != "ok"] == ["keys"]
    assert "1 alive" in found.the("runners", "ok")
    assert "1 alive: ada" in found.the("workers", "ok")
    assert "1 workflows are wanted, none is in trouble" in found.the("loops", "ok")
    for check in ("database clock", "redis clock", "migrations", "redis safety", "disk"):
        assert found.the(check, "ok")
    code, text = examined(house.environment)
    assert code == 0
    assert text.splitlines()[-1] == f"{len(found.findings) - 1} ok, 1 warn, 0 fail"
    assert any(line.startswith("ok    redis ") for line in text.splitlines())

    stuck = house.create(
        {
            "name": "stuck",
            "nodes": [
                {"id": "1", "type": "counter", "data": {"form": {"start": 1, "stop": 1}}},
                {"id": "2", "type": "queue-writer", "data": {"config": {"queue_name": "q"}}},
                {"id": "3", "type": "queue-reader", "data": {"config": {"queue_name": "q"}}},
                {"id": "4", "type": "static-delay", "data": {"form": {"seconds": 600}}},
            ],
            "edges": [
                {"id": "a", "source": "1", "target": "2"},
                {"id": "b", "source": "2", "target": "3"},
                {"id": "c", "source": "3", "target": "4"},
            ],
        }
    )
    body = seal(NodeOutput("old", {}), activation=1, version=1, born=time.time())
    with redis.Redis.from_url(house.redis.url) as client:
        client.xadd(f"wo:{{wf:{stuck}}}:q:q", {"b": body}, id="1000-0")
    assert house.post("/prod/start", stuck).is_success
    eventually(lambda: house.loop(stuck, "3")["nodes"].get("4", {}).get("executing"), 60)
    found = Found(house.environment)
    assert found.code == 0
    message = found.the("loops", "warn")
    assert f"loop 3/0 of stuck ({stuck}) has not moved" in message and "at node 4" in message
    assert house.post("/prod/stop", stuck).is_success


def test_what_is_in_trouble_is_named_with_its_reason(house):
    if not house.runners:
        house.start_runner()
    reader = {"id": "1", "type": "file-reader", "data": {"form": {"path": "absent"}}}
    broken = house.create({"name": "broken", "nodes": [reader], "edges": []})
    assert house.post("/prod/start", broken).is_success
    house.wait_for(broken, "failed")
    nodes = [
        {"id": "1", "type": "counter", "data": {"form": {"start": 0, "stop": 2}}},
        {"id": "2", "type": "telling-failure", "data": {}},
    ]
    dying = house.create(
        {"name": "dying", "nodes": nodes, "edges": [{"id": "e", "source": "1", "target": "2"}]}
    )
    assert house.post("/prod/start", dying).is_success
    eventually(lambda: len(house.dead_letters(dying)) == 2)
    found = Found(house.environment)
    assert (found.code, found.status) == (1, "fail")
    assert "absent cannot be read" in found.the("loops", "fail")
    assert found.the("dead letters", "warn").startswith("2 wait for a decision, 2 of the last hour")


@pytest.fixture
def quiet(tmp_path):
    deployed = Deployment(tmp_path, web=False)
    yield deployed
    deployed.close()


def test_nobody_runs_what_should_run(quiet):
    quiet.start_web()
    workflow = quiet.create(
        {"name": "w", "nodes": [{"id": "1", "type": "counter", "data": {}}], "edges": []}
    )
    found = Found(quiet.environment)
    assert found.code == 0
    assert found.the("runners", "warn") == "none is alive"
    assert quiet.post("/prod/start", workflow).is_success
    found = Found(quiet.environment)
    assert found.code == 1
    assert "1 workflows should run" in found.the("runners", "fail")
    assert "waits for a runner" in found.the("loops", "fail")


def test_servers_that_are_away_are_told_apart(quiet):
    quiet.redis.stop()
    found = Found(quiet.environment)
    assert found.code == 1
    assert "Redis is away" in found.the("redis", "fail")
    assert found.of("database", "ok") and found.of("loops", "ok")
    away = {"DATABASE_URL": f"postgres://us:{CANARY}@127.0.0.1:1/x"}
    url = f"redis://:{CANARY}@127.0.0.1:1/0"
    found = Found(quiet.environment | away | {"REDIS_URL": url})
    assert "cannot be used" in found.the("database", "fail")
    assert found.the("loops", "warn") == "not known without the database"
    assert found.of("redis", "fail")
    assert CANARY not in found.text and PASSWORD not in found.text


def test_a_server_that_may_lose_data_or_is_full(quiet):
    assert quiet.redis.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru").startswith(b"+OK")
    found = Found(quiet.environment)
    assert found.code == 1 and "set noeviction" in found.the("redis", "fail")
    found = Found(quiet.environment | {"ALLOW_UNSAFE_STORE": "1"})
    assert found.code == 0 and "set noeviction" in found.the("redis", "warn")
    quiet.redis.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    used = int(quiet.redis.ask("INFO", "memory").split(b"used_memory:")[1].split(b"\r")[0])
    quiet.redis.ask("CONFIG", "SET", "maxmemory", str(int(used * 1.1)))
    assert Found(quiet.environment).of("redis memory", "warn")
    quiet.redis.ask("CONFIG", "SET", "maxmemory", str(used // 2))
    found = Found(quiet.environment)
    assert found.code == 1 and found.of("redis", "fail")


def test_migrations_keys_disk_egress_logs_and_traces(quiet):
    quiet.manage("migrate", "orchestrator", "0008", "-v0")
    found = Found(quiet.environment)
    assert found.code == 1
    assert "orchestrator.0009_access" in found.the("migrations", "fail")
    quiet.manage("migrate", "-v0")
    changed = {
        "ORCHESTRATOR_CREDENTIAL_KEYS": CANARY,
        "DATA_DIR": str(quiet.folder / "absent"),
        "DATABASE_URL": f"sqlite:///{quiet.folder / 'db.sqlite3'}",
        "EGRESS_ALLOW": "169.254.0.0/16,0.0.0.0/0",
        "LOG_LEVEL": "DEBUG",
        "TRACES_PER_SECOND": "1",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "SECRET_KEY": "x" * 60,
    }
    found = Found(quiet.environment | changed)
    assert found.code == 1
    assert found.of("keys", "fail") and not found.of("keys", "warn")
    assert "absent cannot be written" in found.the("disk", "fail")
    assert len(found.of("egress", "warn")) == 2
    assert "LOG_LEVEL is DEBUG" in found.the("logs", "warn")
    assert "127.0.0.1:1" in found.the("traces", "warn")
    assert CANARY not in found.text


def test_the_server_of_make_run_is_found(tmp_path):
    server = embedded.open_server(tmp_path / "data")
    try:
        environment = {**os.environ, "DATA_DIR": str(tmp_path / "data")}
        environment |= {"DJANGO_SETTINGS_MODULE": "config.settings"}
        environment.pop("REDIS_URL", None)
        found = Found(environment)
        assert found.of("redis", "ok") and found.of("redis safety", "ok")
        assert found.of("migrations", "fail") and not found.of("database", "fail")
    finally:
        server.close()


@pytest.mark.parametrize(
    ("ahead", "status", "told"),
    [(0.4, "ok", "0.40 s apart"), (3600, "warn", "ahead of"), (-9, "warn", "behind")],
    ids=["near", "ahead", "behind"],
)
def test_clocks_that_are_apart(ahead, status, told):
    found = apart("redis clock", "Redis", ahead)
    assert found.status == status and told in found.message


def test_what_raises_or_hangs_is_a_finding_and_keeps_nothing_up():
    def raises():
        yield ok("x", "first")
        raise LookupError("no")

    def hangs():
        time.sleep(5)
        yield ok("x", "late")

    (found,) = patiently("x", raises)
    assert found.status is Status.FAIL and "LookupError: no" in found.message
    (found,) = patiently("x", hangs, patience=0.1)
    assert found.status is Status.FAIL and "no answer within 0.1 s" in found.message
    assert patiently("x", lambda: [fail("x", "a", "b")]) == [fail("x", "a", "b")]
