"""What every cluster does, by Ray."""

import os

import pytest

from orchestrator.exceptions import InvalidRequest
from orchestrator.runtime.cluster import make_cluster
from orchestrator.runtime.task_handlers import handlers
from tests.contracts.test_cluster import *  # noqa: F403
from tests.contracts.test_cluster import pytestmark  # noqa: F401
from tests.ray.conftest import kind  # noqa: F401


def test_these_are_by_ray(alone):
    assert type(alone).__name__ == "RayCluster"


@pytest.mark.parametrize(
    ("address", "told"),
    [("", "needs RAY_ADDRESS"), ("here", "needs RAY_ADDRESS"), ("127.0.0.9:1", "answers at")],
)
def test_a_cluster_that_is_not_there_is_refused(address, told):
    with pytest.raises(InvalidRequest, match=told):
        make_cluster("ray", handlers, {**os.environ, "RAY_ADDRESS": address})
