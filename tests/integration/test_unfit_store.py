"""A server that may lose what it holds: nothing is started on it, unless an operator allows it."""

import subprocess
import sys

import pytest

from orchestrator.runtime.server_binary import find_server
from tests.local_runs import ROOT, LocalRuns
from tests.redis_server import RedisServer
from tests.waiting import eventually


@pytest.fixture(scope="module")
def unfit(redis_server):
    """`redis_server` only says whether there is a server at all."""
    server = RedisServer(find_server().path, "--appendonly", "no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def runs(tmp_path, unfit):
    runs = LocalRuns(tmp_path, unfit.url)
    runs.environment["PORT"] = "0"  # whichever is free
    return runs


def manage(runs, *arguments):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=runs.environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize(
    "command", [("runner",), ("up",), ("run_workflow", "examples/hello-loops.json")], ids=" ".join
)
def test_nothing_is_started_on_it(runs, command):
    done = manage(runs, *command)
    assert done.returncode == 1
    assert "appendonly is no, set yes" in done.stderr
    assert "ALLOW_UNSAFE_STORE=1" in done.stderr


def test_a_server_that_was_away_at_the_start_is_refused_when_it_comes(tmp_path, redis_server):
    server = RedisServer(find_server().path, "--appendonly", "no")
    runs = LocalRuns(tmp_path, server.url)
    assert manage(runs, "migrate").returncode == 0
    runner = runs.start("runner")
    try:
        eventually(lambda: "Redis is away" in runs.told)
        server.start()
        assert runner.wait(30) == 1
    finally:
        runner.kill()
        server.stop()
    assert "appendonly is no, set yes" in runs.told


def test_an_operator_may_allow_it_and_is_warned(runs):
    runs.environment["ALLOW_UNSAFE_STORE"] = "1"
    done = manage(runs, "run_workflow", "examples/hello-loops.json")
    assert done.returncode == 0, done.stderr
    assert "Redis is not safe: it forgets when it is started again" in done.stderr


@pytest.mark.django_db
def test_it_is_not_ready(api, settings, unfit):
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "REDIS_URL": unfit.url}
    answer = api("viewer").get("/readyz")
    assert answer.status_code == 503
    assert "appendonly is no" in answer.json()["checks"]["redis"]
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "ALLOW_UNSAFE_STORE": True}
    assert api("viewer").get("/readyz").status_code == 200
