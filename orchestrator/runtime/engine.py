"""The FlowEngine of this process, made from the settings when it is first needed."""

from functools import lru_cache
from importlib import import_module

from django.utils.module_loading import import_string

from nodes.registry import NodeRegistry
from nodes.tools import tools
from orchestrator.conf import orchestrator_settings
from orchestrator.engine import FlowEngine


@lru_cache(maxsize=1)
def flow_engine() -> FlowEngine:
    """Return the engine with every node, tool and post-processor that the settings name."""
    settings = orchestrator_settings()
    registry = NodeRegistry()
    registry.discover(settings.NODE_PACKAGES)
    for module in settings.TOOL_MODULES:
        import_module(module)
    return FlowEngine(
        registry,
        tools,
        files_dir=settings.files_dir,
        processors=[import_string(name) for name in settings.POST_PROCESSORS],
        max_steps=settings.MAX_ITERATIONS,
    )
