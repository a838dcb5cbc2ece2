"""The project as it is configured, with the nodes of the benchmarks."""

from config.settings import *  # noqa: F403

ORCHESTRATOR = {
    **ORCHESTRATOR,  # noqa: F405
    "NODE_PACKAGES": ["contenders.noop", "contenders.stamp", "contenders.work"],
}
