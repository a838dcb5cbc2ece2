import pytest

from tests.deployment import Deployment


@pytest.fixture
def deployment(tmp_path, redis_server):
    """A deployment of its own; `redis_server` only says whether there is a server at all."""
    deployed = Deployment(tmp_path)
    yield deployed
    deployed.close()
