"""The JSON of a one-shot graph -> that of a workflow: a tool by its name is a node of type `tool`.

    {"id": "score", "tool": "quality.score", "arguments": {"path": "{{ data.path }}"}}

What the tool returns becomes the field `target` of the state, which is the node's id by default;
in another round it takes the place of what is there.
"""

import re
from typing import Any

from orchestrator.exceptions import Problem

TOOL, GROUP = "tool", "group"
_FORM = re.compile(r"nodes\[(\d+)\]\.data\.form(?=[.\[])")


def expand(raw: Any) -> tuple[Any, list[Problem]]:
    """Return the JSON of the workflow, and what is wrong with the nodes that were written out.

    Everything else is left as it is: whoever reads the workflow reports what is wrong with it.
    """
    nodes = raw.get("nodes") if isinstance(raw, dict) else None
    if not isinstance(nodes, list):
        return raw, []
    problems = [
        Problem(f"nodes[{index}].type", "a node has either a type or a tool")
        for index, node in enumerate(nodes)
        if _is_short(node) and node.get("type") not in (None, TOOL)
    ]
    return {**raw, "nodes": [_written_out(n) if _is_short(n) else n for n in nodes]}, problems


def labels_of(raw: Any) -> list[str]:
    """Return every label that a node of a valid graph asks for, sorted."""
    configs = ((node.get("data") or {}).get("config") or {} for node in raw["nodes"])
    given = (config.get("runs_on") or () for config in configs)
    lists = ([each] if isinstance(each, str) else each for each in given)
    return sorted({label for each in lists for label in each})


def as_written(raw: Any, problem: Problem) -> Problem:
    """Return a problem of an expanded graph with the path that it has in the JSON as it came."""
    match = _FORM.match(problem.path)
    if match is None or not _is_short(raw["nodes"][int(match[1])]):
        return problem
    return Problem(f"nodes[{match[1]}]{problem.path[match.end() :]}", problem.message)


def _is_short(node: Any) -> bool:
    return isinstance(node, dict) and TOOL in node


def _written_out(node: dict[str, Any]) -> dict[str, Any]:
    arguments, target = node.get("arguments", {}), node.get("target", node.get("id"))
    form = {"tool": node[TOOL], "arguments": arguments, "target": target, "replace": True}
    data = node.get("data")
    if not isinstance(data, dict | None):
        return {**node, "type": TOOL}
    return {**node, "type": TOOL, "data": {**(data or {}), "form": form}}
