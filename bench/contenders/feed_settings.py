"""The project as it is configured, with the nodes of the feed's benchmark."""

from config.settings import *  # noqa: F403

ORCHESTRATOR = {**ORCHESTRATOR, "NODE_PACKAGES": ["contenders.noop", "contenders.stamp"]}  # noqa: F405
