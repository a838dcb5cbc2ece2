"""What a bench child can be asked for; this runs in the child.

`execute` runs one node, `input` shows what it would be given, `render` previews a template with it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from structlog.contextvars import bind_contextvars

from forms.templating import compile_condition
from nodes.contract import Json, NodeOutput, PoolType
from orchestrator.exceptions import NotReached, OrchestratorError
from orchestrator.execution.workflow_engine import merge
from orchestrator.runtime import credentials
from orchestrator.runtime.bench import errors
from orchestrator.runtime.bench.node import node_config
from orchestrator.runtime.engine import flow_engine
from storage.codec import check


def wants_thread(request: dict[str, Any]) -> bool:
    """Tell whether the node belongs into a thread with an event loop of its own."""
    node = request.get("node")
    if node is None or node["type"] not in flow_engine().registry:
        return False
    pool = node_config(node).options.pool
    if pool is None:
        pool = flow_engine().registry.get(node["type"]).execution_pool
    return pool is PoolType.THREAD


async def respond(request: dict[str, Any]) -> dict[str, Any]:
    """Return `{"answer": ...}`, or the error in its place."""
    try:
        return {"answer": await _OPERATIONS[request["op"]](request)}
    except OrchestratorError as error:
        return errors.told(error)
    except BaseException as error:  # also what a node raises to end its process
        return errors.unexpected(error)


async def _execute(request: dict[str, Any]) -> dict[str, Any]:
    config = node_config(request["node"])
    bind_contextvars(workflow=request.get("workflow_id") or "", node=config.id)
    item = _item(config.id, request["inputs"])
    result = await flow_engine().execute_node(
        config,
        item,
        request.get("state"),
        workflow=request.get("workflow_id") or "",
        write=bool(request.get("write")),
        credentials=credentials.opened(request.get("credentials") or {}),
    )
    answer = {
        "output": result.output,
        "port": result.port or "default",
        "completed": result.completed,
        "seconds": result.seconds,
        "values": result.values,
        "state": result.state,
        "emitted": [{"queue": queue, "data": data} for queue, data in result.emitted],
        "effects": result.effects,
        "wrote": result.wrote,
    }
    check(answer)
    return answer


async def _input(request: dict[str, Any]) -> dict[str, Any]:
    from forms.paths import paths

    data = _item("input", request["inputs"]).data
    return {"input": data, "paths": paths(data)}


async def _render(request: dict[str, Any]) -> dict[str, Any]:
    from forms.paths import paths
    from forms.preview import preview

    data = _item("render", request["inputs"]).data
    shown = preview(request["template"], data, bool(request.get("advanced")))
    return {**shown, "paths": paths(data)}


_OPERATIONS: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
    "execute": _execute,
    "input": _input,
    "render": _render,
}


def _item(node_id: str, inputs: list[dict[str, Json]]) -> NodeOutput:
    """Join the outputs of the edges that lead to the node and are followed."""
    live = [
        NodeOutput(f"bench:{node_id}", given["data"])
        for given in inputs
        if not given["condition"] or compile_condition(given["condition"])(given["data"])
    ]
    if inputs and not live:
        raise NotReached
    return merge(live) or NodeOutput(f"bench:{node_id}", {})
