"""The FlowEngine of this process, made from the settings when it is first needed."""

from functools import lru_cache
from importlib import import_module

from django.conf import settings as django_settings
from django.utils.module_loading import import_string

from nodes.registry import NodeRegistry
from nodes.tools import tools
from orchestrator.conf import orchestrator_settings
from orchestrator.engine import FlowEngine
from orchestrator.runtime.own_servers import own_servers
from orchestrator.security import egress


@lru_cache(maxsize=1)
def flow_engine() -> FlowEngine:
    """Return the engine with every node, tool and post-processor that the settings name.

    From then on nodes may connect to what the settings open, and to public addresses.
    """
    settings = orchestrator_settings()
    own = own_servers(settings.REDIS_URL, django_settings.DATABASES)
    egress.install(egress.EgressPolicy.parse(settings.EGRESS_ALLOW, own))
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
