"""Fixtures of the tests with several hosts: PostgreSQL, as SQLite is a file of one machine."""

import os
import uuid

import pytest

from tests.cluster.islands import Island, Wire
from tests.deployment import Deployment
from tests.faults.conftest import summarise
from tests.faults.nemesis import Nemesis
from tests.faults.table import Row
from tests.postgres import Postgres, find_programs

LEASE_TTL = 3


@pytest.fixture(scope="session")
def postgres():
    programs = find_programs()
    if programs is None:
        reason = "PostgreSQL is not installed"
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(reason)
        pytest.skip(reason)
    server = Postgres(programs)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, redis_server, postgres):
    """A deployment on PostgreSQL for all tests of a module, each with a workflow of its own."""
    name = f"d{uuid.uuid4().hex[:10]}"
    postgres.run(f"create database {name}")
    url = postgres.url.replace("/postgres?", f"/{name}?")
    deployed = Deployment(
        tmp_path_factory.mktemp("cluster"), lease_ttl=LEASE_TTL, environment={"DATABASE_URL": url}
    )
    yield deployed
    deployed.close()


@pytest.fixture
def make_island(deployment, postgres):
    made = []

    def make(*arguments, **options):
        made.append(Island(deployment, postgres, *arguments, **options))
        return made[-1]

    yield make
    for island in made:
        if island.runner is not None and island.runner.process.poll() is None:
            island.runner.kill_all()
        island.close()
    deployment.runners.clear()


@pytest.fixture
def wire():
    try:
        made = Wire()
    except PermissionError as error:
        pytest.skip(f"no network namespaces here: {error}")
    yield made
    made.close()


@pytest.fixture
def nemesis(deployment, request):
    return Nemesis(deployment, request.node.name)


@pytest.fixture
def row(request):
    return Row(request)


def pytest_terminal_summary(terminalreporter):
    summarise(terminalreporter, "tests/cluster/", "cluster")
