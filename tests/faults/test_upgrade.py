"""A version from before several migrations works while they run, and hands over to this one."""

import contextlib
import subprocess

import pytest

from tests.databases import PostgresDatabase, SqliteDatabase
from tests.deployment import ROOT, Deployment
from tests.faults.checker import Checker
from tests.faults.test_runs import LAST, TRAIL, begin, effects, ended, hold
from tests.faults.workflows import PATIENCE, chain, faulty, pipeline
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.long]
ITEMS, PACE = 600, 0.1
"""A minute's work: a busy machine takes long to start what migrates."""
AFTER = "orchestrator/migrations/0007_credentials.py"
"""The old version is that of the commit before this file came."""


@pytest.fixture(scope="module")
def old_code(tmp_path_factory):
    """The files of the old version; skips in a copy that has no history."""
    folder = tmp_path_factory.mktemp("old")
    came = git("log", "--diff-filter=A", "--format=%H", "--", AFTER).stdout.decode().strip()
    packed = git("archive", f"{came}^")
    if not came or packed.returncode:
        pytest.skip("the history of the project is not here")
    subprocess.run(["tar", "x"], cwd=folder, input=packed.stdout, check=True)
    return folder


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, check=False)


@pytest.fixture(params=["sqlite", "postgresql"])
def deployment(request, tmp_path, redis_server, old_code):
    if request.param == "sqlite":
        database = SqliteDatabase(tmp_path)
    else:
        database = PostgresDatabase(request.getfixturevalue("postgres_server").url)
    with contextlib.closing(Deployment(tmp_path, database=database, code=old_code)) as deployed:
        yield deployed


def newest_migration(deployment):
    applied = "SELECT name FROM django_migrations WHERE app = 'orchestrator' ORDER BY id"
    return deployment.database.rows(applied)[-1]["name"]


def fails_some(name):
    """Return a workflow one of whose ten items becomes a dead letter."""
    return chain(faulty("raise", 3), name=name, stop=10, path=f"{name}.jsonl")


def fail_one(deployment, name):
    """Let a workflow run whose dead letter comes into the database."""
    workflow = deployment.create(fails_some(name))
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed")
    eventually(lambda: len(deployment.dead_letters(workflow)) == 1)


def replace_web(deployment):
    deployment.web.terminate()
    assert deployment.web.wait(30) is not None
    deployment.start_web()


def test_migrations_run_while_the_old_version_works(deployment, nemesis, row, request):
    old_runners = [deployment.start_runner() for _ in range(2)]
    old_worker = deployment.start_worker()
    before = newest_migration(deployment)
    workflow = deployment.create(pipeline(name="Upgraded", items=ITEMS, pace=PACE))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=("record-0", "record-1"))
    hold(deployment, "a:6")
    run_id = begin(deployment)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 20 and "a:6" in effects(deployment))
    tokens = deployment.tokens(workflow)

    deployment.code = ROOT
    deployment.manage("migrate", "-v0")
    assert newest_migration(deployment) > before
    migrated = checker.executed()
    assert migrated < ITEMS
    hold(deployment, "b:13")
    eventually(lambda: "b:13" in effects(deployment) and checker.executed() > migrated + ITEMS / 20)
    assert deployment.tokens(workflow) == tokens, "no loop had to begin again"
    fail_one(deployment, "before")  # by the old version, in the new tables

    deployment.start_worker()
    hold(deployment, "never")
    old_worker.drain()
    for old in old_runners:
        deployment.start_runner()
        assert old.drain() == 0
        nemesis.note()
    replace_web(deployment)
    fail_one(deployment, "after")
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add(f"R18 upgrade below load, {request.node.callspec.id}", checker.verdict(nemesis))
    run = ended(deployment, run_id)
    assert (run["status"], run["state"]) == ("completed", {"n": LAST + 1, "trail": TRAIL})
