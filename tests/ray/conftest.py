"""A Ray cluster of two nodes on this machine, each with a loopback address of its own."""

import os
import signal

import pytest
from ray.cluster_utils import Cluster

pytest.register_assert_rewrite("tests.contracts.test_cluster")

from tests.contracts.test_cluster import alone, cluster, deployment, runners  # noqa: E402, F401
from tests.deployment import descendants_of, send  # noqa: E402

FIRST, SECOND = "127.0.0.2", "127.0.0.3"


class Nodes:
    """The first node stays, and drivers are there; the second may die.

    There is one of the resource `first` on the one, and of `second` on the other.
    """

    def __init__(self) -> None:
        self._cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "node_ip_address": FIRST,
                "include_dashboard": False,
                "resources": {"first": 1},
            },
        )
        self.address = self._cluster.address
        self.add_second()

    def add_second(self) -> None:
        self._second = self.add(second=1)

    def add(self, **resources):
        return self._cluster.add_node(
            num_cpus=2, node_ip_address=SECOND, resources=resources, include_dashboard=False
        )

    def kill_second(self) -> None:
        """End every process of the node at once, as when its machine loses power."""
        (raylet,) = self._second.all_processes["raylet"]
        below = descendants_of(raylet.process.pid)
        for pid in (raylet.process.pid, *below):
            send(pid, signal.SIGKILL)
        self.remove(self._second)

    def remove(self, node) -> None:
        self._cluster.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        self._cluster.shutdown()


@pytest.fixture(scope="session")
def nodes():
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Nodes()
    os.environ["RAY_ADDRESS"] = made.address
    yield made
    made.close()


@pytest.fixture(autouse=True)
def in_cluster(nodes):
    """Have the cluster before anything that copies the environment."""


@pytest.fixture
def kind():
    return "ray"
