"""A bench child: it takes one request, runs one node, answers, and ends."""

import asyncio
import logging
import os
import socket
import sys
import traceback
from typing import Any

import orjson

from forms.templating import compile_condition
from nodes.contract import Json, NodeOutput
from orchestrator.exceptions import Conflict, NodeFailed, OrchestratorError
from orchestrator.execution.workflow_engine import merge
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.forked import line
from storage.codec import check


def main(connection: socket.socket) -> None:
    """Serve one request and end the process, whatever threads the node has left behind."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, force=True)
    raw = connection.makefile("rb").readline()
    if raw:
        answer = asyncio.run(_answer(orjson.loads(raw)))
        sys.stdout.flush()
        sys.stderr.flush()
        connection.sendall(line(answer))
    os._exit(0)


async def _answer(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": await _execute(request)}
    except NodeFailed as error:
        return {
            "failed": {
                "message": _text(error.message),
                "node_id": error.node_id or request["node_id"],
                "error_type": error.error_type,
                "trace": _text(error.trace),
                "node_input": _data(error.node_input),
            }
        }
    except OrchestratorError as error:
        return {"conflict": error.message}
    except BaseException as error:  # also what a node raises to end its process
        return {"failed": _unexpected(request["node_id"], error)}


async def _execute(request: dict[str, Any]) -> dict[str, Any]:
    node_id = request["node_id"]
    flow = flow_engine().load(request["workflow"])
    item = _item(node_id, request["inputs"])
    result = await flow_engine().execute_node(flow, node_id, item, request.get("state"))
    answer = {
        "output": result.output,
        "port": result.port or "default",
        "completed": result.completed,
        "seconds": result.seconds,
        "values": result.values,
        "state": result.state,
        "emitted": [{"queue": queue, "data": data} for queue, data in result.emitted],
        "effects": result.effects,
    }
    check(answer)
    return answer


def _item(node_id: str, inputs: list[dict[str, Json]]) -> NodeOutput:
    """Join the cached outputs of the edges that lead to the node and are followed."""
    live = [
        NodeOutput(f"bench:{node_id}", given["data"])
        for given in inputs
        if not given["condition"] or compile_condition(given["condition"])(given["data"])
    ]
    if inputs and not live:
        raise Conflict("no condition on an edge to this node is true for the cached outputs")
    return merge(live) or NodeOutput(f"bench:{node_id}", {})


def _unexpected(node_id: str, error: BaseException) -> dict[str, Any]:
    kind = type(error).__name__
    return {
        "message": f"the node raised {kind}",
        "node_id": node_id,
        "error_type": kind,
        "trace": _text("".join(traceback.format_exception(error))),
        "node_input": None,
    }


def _text(text: str) -> str:
    """Return text without the lone surrogates that JSON cannot hold."""
    return text.encode("utf-8", "backslashreplace").decode()


def _data(item: Any) -> Any:
    return item.data if isinstance(item, NodeOutput) else None
