"""How the context of a run is made: see `ExecutionContext.create`."""

from collections.abc import Mapping
from typing import Any

from orchestrator.exceptions import InvalidRequest, NotFound
from orchestrator.execution.compiled import CompiledGraph
from orchestrator.execution.run_context import RunContext
from orchestrator.execution.run_stores import Stores
from orchestrator.execution.run_types import STATE_BYTES, RunLimits

_CONFIG = frozenset(
    ("run_id", "max_steps", "timeout", "state_bytes", "tools", "redis_url", "channel")
)
_BACKENDS = ("memory", "redis")


def create(
    graph: CompiledGraph,
    start_node: str | None,
    queue_backend: str,
    channel_backend: str,
    config: Mapping[str, Any],
) -> RunContext:
    """See `ExecutionContext.create`."""
    start = start_node or graph.entry
    if start not in graph.plan.steps:
        raise NotFound(f"the graph '{graph.id}' has no node {start!r}")
    _check(queue_backend, channel_backend, config)
    limits = RunLimits(
        max_steps=config.get("max_steps", RunLimits().max_steps),
        timeout=config.get("timeout"),
        state_bytes=config.get("state_bytes", STATE_BYTES),
    )
    context = RunContext(graph, start, limits)
    context.run_id = config.get("run_id", "")
    context.tools = config.get("tools", graph.tools)
    channel = config.get("channel")
    if channel is not None:
        context._make_channel = lambda: channel
    url = config.get("redis_url", "")
    context._stores = Stores(queue_backend, channel_backend, url, context.identity)
    return context


def _check(queue_backend: str, channel_backend: str, config: Mapping[str, Any]) -> None:
    for name in (queue_backend, channel_backend):
        if name not in _BACKENDS:
            raise InvalidRequest(f"{name!r} is no backend: use memory or redis")
        if name == "redis" and not config.get("redis_url"):
            raise InvalidRequest("the redis backend needs config['redis_url']")
    unknown = sorted(config.keys() - _CONFIG)
    if unknown:
        raise InvalidRequest(f"config has no {unknown[0]!r}; it has {', '.join(sorted(_CONFIG))}")
