"""Whether whoever saved a definition may still have what it does, asked again when it begins."""

from collections.abc import Iterable
from typing import Any

from orchestrator.exceptions import NotAllowed
from orchestrator.models import Graph, WorkflowVersion
from orchestrator.security.actors import actor_of


def require_templates(user: Any, nodes: Iterable[Any]) -> None:
    """Let nodes run for the user who has saved them, or raise.

    What nobody is known to have saved was saved by the system, which may everything.

    Raises:
        NotAllowed: one has advanced templates, for which the user has no right any more, or is not
            active.
    """
    if user is None or not _advanced(nodes):
        return
    if not (actor := actor_of(user)).may("template.advanced"):
        raise NotAllowed(
            f"{actor.name}, who saved this, has no right to template.advanced any more"
        )


def for_loop(workflow: str, version: int, nodes: Iterable[Any]) -> None:
    """As `require_templates`, for the nodes of a loop of a version."""
    if _advanced(nodes := list(nodes)):
        rows = WorkflowVersion.objects.select_related("created_by")
        require_templates(rows.get(workflow_id=workflow, number=version).created_by, nodes)


def for_graph(graph_id: str, nodes: Iterable[Any]) -> None:
    """As `require_templates`, for the nodes of a graph."""
    if _advanced(nodes := list(nodes)):
        graph = Graph.objects.select_related("created_by").filter(pk=graph_id).first()
        require_templates(graph.created_by if graph else None, nodes)


def _advanced(nodes: Iterable[Any]) -> bool:
    return any(node.config.options.advanced_templates for node in nodes)
