"""The project as it is configured, with one more view: the bare one that the bench is beside."""

from config.settings import *  # noqa: F403

ROOT_URLCONF = "contenders.bare"
ORCHESTRATOR = {
    **ORCHESTRATOR,  # noqa: F405
    "NODE_PACKAGES": ["contenders.noop"],
    "BENCH_CHILDREN": 8,  # as many as there are connections
}
