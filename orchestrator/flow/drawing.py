"""A graph as a Mermaid drawing, from its JSON."""

import re
from typing import Any

from orchestrator.flow.graph_json import expand
from orchestrator.flow.schema import WorkflowSpec, read_workflow
from orchestrator.flow.shapes import EdgeSpec

_SHOWN = 60
_SPECIAL = re.compile(r'[#"<>&`|{}\[\]\\]')


def draw(definition: Any) -> str:
    """Return the drawing of a graph from its JSON; see `mermaid`."""
    return mermaid(read_workflow(expand(definition)[0])[0])


def mermaid(spec: WorkflowSpec) -> str:
    """Return a flowchart: nodes with what they do, edges with their port and condition.

    The entry point is round. A dotted edge is taken when the budget of another is used up.
    """
    names = {node.id: f"n{place}" for place, node in enumerate(spec.nodes)}
    lines = ["flowchart TD"]
    for node in spec.nodes:
        kind = node.config.form.get("tool") if node.type == "tool" else node.type
        text = f'"{_text(node.id)}<br/>{_text(str(kind))}"'
        shape = f"([{text}])" if node.id == spec.entry_point else f"[{text}]"
        lines.append(f"    {names[node.id]}{shape}")
    for edge in spec.edges:
        source, target = names[edge.source], names[edge.target]
        label = f'|"{_label(edge)}"|' if _label(edge) else ""
        lines.append(f"    {source} -->{label} {target}")
        if edge.on_limit is not None:
            lines.append(f'    {source} -.->|"after {edge.budget} times"| {names[edge.on_limit]}')
    return "\n".join(lines) + "\n"


def _label(edge: EdgeSpec) -> str:
    port = "" if edge.source_handle == "default" else edge.source_handle
    return ": ".join(_text(part) for part in (port, edge.condition) if part)


def _text(text: str) -> str:
    """Return a text as Mermaid shows it, whatever is in it."""
    line = " ".join(text.split())
    short = line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."
    return _SPECIAL.sub(lambda match: f"#{ord(match[0])};", short)
