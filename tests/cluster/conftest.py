"""Fixtures of the tests with several hosts: PostgreSQL, as SQLite is a file of one machine."""

import pytest

from tests.cluster.islands import Island, Wire
from tests.databases import PostgresDatabase
from tests.deployment import Deployment
from tests.faults.conftest import nemesis, row, summarise  # noqa: F401

LEASE_TTL = 3


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, redis_server, postgres_server):
    """A deployment on PostgreSQL for all tests of a module, each with a workflow of its own."""
    deployed = Deployment(
        tmp_path_factory.mktemp("cluster"),
        lease_ttl=LEASE_TTL,
        database=PostgresDatabase(postgres_server.url),
    )
    yield deployed
    deployed.close()


@pytest.fixture
def make_island(deployment, postgres_server):
    made = []

    def make(*arguments, **options):
        made.append(Island(deployment, postgres_server, *arguments, **options))
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


def pytest_terminal_summary(terminalreporter):
    summarise(terminalreporter, "tests/cluster/", "cluster")
