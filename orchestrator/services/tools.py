"""Tools by name: what they take, and calls that a worker makes."""

from dataclasses import dataclass
from typing import Any

from nodes import tool_schema
from nodes.contract import Json
from nodes.tools import Tool
from orchestrator.exceptions import (
    InvalidRequest,
    NoWorker,
    Problem,
    ToolFailed,
    ToolTimeout,
)
from orchestrator.flow.problems import json_path
from orchestrator.runtime import worker_leases
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit
from orchestrator.services.stores import shared_store
from storage.tasks import Task, TaskQueue, put_and_wait

GRACE = 2.0
"""Seconds that a worker has beyond the timeout to begin, and to say that it was too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call that was checked. `timeout` is in seconds."""

    name: str
    arguments: dict[str, Json]
    timeout: float


def list_all(actor: Actor) -> list[Tool]:
    """Return the tools by name."""
    authorize(actor, "tool.list")
    registry = flow_engine().tools
    return [registry.get(name) for name in registry.names()]


def get(actor: Actor, name: str) -> tuple[Tool, dict[str, Any]]:
    """Return a tool and the JSON Schema of its arguments.

    Raises:
        UnknownTool: there is none of this name.
    """
    authorize(actor, "tool.list", name)
    tool = flow_engine().tools.get(name)
    return tool, tool_schema.schema(tool)


def prepare(actor: Actor, name: str, arguments: dict[str, Json], timeout: float) -> ToolCall:
    """Check a call before anybody is asked to make it.

    Raises:
        UnknownTool: there is none of this name.
        InvalidRequest: the arguments do not fit; with each problem's place.
        NoWorker: no worker is alive.
    """
    authorize(actor, "tool.call", name)
    found = tool_schema.check(flow_engine().tools.get(name), arguments)
    if found:
        problems = tuple(Problem(json_path(("arguments", *loc)), told) for loc, told in found)
        raise InvalidRequest(f"the arguments do not fit the tool {name}", problems=problems)
    if not worker_leases.living():
        raise NoWorker
    audit.record(actor, "tool.call", f"tool:{name}", after={"arguments": arguments})
    return ToolCall(name=name, arguments=arguments, timeout=timeout)


async def call(wanted: ToolCall) -> dict[str, Any]:
    """Let a worker make a call, and return what came of it.

    Raises:
        ToolFailed: the tool raised.
        ToolTimeout: it took too long, or no worker had time for it.
        StoreUnavailable: Redis is away.
    """
    store = shared_store()
    task = Task(
        type="tool",
        arguments={"name": wanted.name, "arguments": wanted.arguments},
        timeout=wanted.timeout,
    )
    patience = wanted.timeout + GRACE
    done = await put_and_wait(TaskQueue(store.queue), store.coordinator, task, patience)
    if done is None:
        raise ToolTimeout(f"the tool {wanted.name} has not ended within {patience:g} s")
    if done.reason == "timeout":
        raise ToolTimeout(f"the tool {wanted.name} took longer than {wanted.timeout:g} s")
    if not done.ok:
        raise ToolFailed(f"the tool {wanted.name}: {done.error_type}: {done.message}")
    return {"name": wanted.name, "result": done.value, "seconds": done.seconds}
