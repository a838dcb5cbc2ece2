"""One-shot graphs: what is there to run."""

from dataclasses import dataclass
from functools import partial

from django.db.models import QuerySet

from nodes.contract import Json
from orchestrator.exceptions import Problem, WorkflowInvalid
from orchestrator.flow.drawing import draw
from orchestrator.models import Graph
from orchestrator.runtime.run_graphs import load_graph
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit
from orchestrator.services.credential_use import require_use
from orchestrator.services.run_store import DjangoGraphStore
from orchestrator.services.stores import run_async
from orchestrator.services.workflows import require_template_rights
from storage.runs import GraphRecord, new_id


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphView:
    """A graph as a person looks at it."""

    graph: GraphRecord
    warnings: tuple[Problem, ...]
    mermaid: str


def create(actor: Actor, raw: Json, *, graph_id: str | None = None) -> GraphView:
    """Store a graph. Its id is a new one unless one is given.

    Raises:
        WorkflowInvalid: with every problem; nothing is stored.
        Conflict: the given id is that of another graph.
    """
    authorize(actor, "graph.create")
    loaded = load_graph(raw)
    require_template_rights(actor, (node.config for node in loaded.flow.spec.nodes))
    require_use(actor, loaded.flow.graph)
    record = GraphRecord(
        id=graph_id or new_id(),
        name=loaded.flow.spec.name or graph_id or "graph",
        definition=raw,
        digest=loaded.digest,
    )
    saved = run_async(partial(DjangoGraphStore().save, record))
    Graph.objects.filter(pk=record.id, created_by=None).update(created_by_id=actor.id)
    audit.record(actor, "graph.create", f"graph:{record.id}", after={"digest": record.digest})
    return _view(saved, loaded.warnings)


def list_all(actor: Actor) -> QuerySet[Graph]:
    """Return the graphs, newest first, without their definitions."""
    authorize(actor, "graph.list")
    return Graph.objects.defer("definition")


def get(actor: Actor, graph_id: str) -> GraphView:
    """Return a graph, with a drawing of it.

    A tool or a node type that is not there any more is among the warnings.

    Raises:
        NotFound: there is none.
    """
    authorize(actor, "graph.read", graph_id)
    record = find(graph_id)
    try:
        return _view(record, load_graph(record.definition).warnings)
    except WorkflowInvalid as error:
        return _view(record, error.problems)


def delete(actor: Actor, graph_id: str) -> None:
    """Remove a graph with its runs.

    Raises:
        NotFound: there is none.
        Conflict: a run of it has not ended.
    """
    authorize(actor, "graph.delete", graph_id)
    run_async(partial(DjangoGraphStore().delete, graph_id))
    audit.record(actor, "graph.delete", f"graph:{graph_id}")


def find(graph_id: str) -> GraphRecord:
    """Return a graph; for services, which have asked `authorize` before.

    Raises:
        NotFound: there is none.
    """
    found: GraphRecord = run_async(partial(DjangoGraphStore().get, graph_id))
    return found


def _view(record: GraphRecord, warnings: tuple[Problem, ...]) -> GraphView:
    return GraphView(graph=record, warnings=warnings, mermaid=draw(record.definition))
