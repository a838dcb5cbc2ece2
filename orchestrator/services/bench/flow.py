"""A workflow as the bench sees it: what brings each node its input, and what it is set to."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from forms.choices import saved_values
from nodes.contract import DEFAULT_PORT, Json
from orchestrator.exceptions import NotFound, OrchestratorError
from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.graph import FlowNode
from orchestrator.flow.search import depth_first
from orchestrator.models import WorkflowVersion
from orchestrator.runtime.bench.node import node_json
from orchestrator.runtime.engine import flow_engine
from orchestrator.services.bench.cache import digest_of

_KEPT = 16


class Source(NamedTuple):
    """A node that brings another its input, when it left by this port and the condition holds."""

    node_id: str
    port: str = DEFAULT_PORT
    condition: str | None = None


class BenchFlow:
    """A loaded workflow, and what is worked out of it once. Requests share it: it is only read."""

    def __init__(self, flow: LoadedFlow) -> None:
        self.flow = flow
        self._sources: dict[str, tuple[Source, ...]] = {}
        self._settings: dict[str, tuple[dict[str, Any], str]] = {}

    @property
    def node_ids(self) -> Sequence[str]:
        """The ids of the nodes that could be built."""
        return list(self.flow.graph.nodes)

    @property
    def unbuilt(self) -> Sequence[str]:
        """The ids of the nodes that could not be built."""
        values = (
            value.get("id") for value in self.flow.spec.raw["nodes"] if isinstance(value, dict)
        )
        return [v for v in values if isinstance(v, str) and v not in self.flow.graph.nodes]

    def require(self, node_id: str) -> FlowNode:
        """Return a node, which may have wrong settings.

        Raises:
            WorkflowInvalid: it cannot be built.
            NotFound: there is no such node.
        """
        if node_id not in self.flow.graph.nodes:
            self.flow.require_valid(node_id)
            raise NotFound(f"the workflow has no node {node_id}")
        return self.flow.graph.nodes[node_id]

    def require_valid(self, node_id: str) -> None:
        """Raise unless a node can be run; what is wrong elsewhere does not matter.

        Raises:
            WorkflowInvalid: with what is wrong with it.
            NotFound: there is no such node.
        """
        self.flow.require_valid(node_id)
        self.require(node_id)

    def ports(self, node_id: str) -> tuple[str, ...]:
        """The output ports of a node; none when its settings are too wrong to tell."""
        try:
            return tuple(port.lower() for port in self.require(node_id).node.ports())
        except OrchestratorError:
            raise
        except Exception:  # a node is anybody's code, and its form may be invalid
            return ()

    def reads(self, node_id: str) -> str | None:
        """The queue that a queue-reader reads; None for other nodes."""
        node = self.flow.graph.nodes[node_id]
        return node.config.options.queue_name if node.node.queue_role == "reader" else None

    def sources(self, node_id: str) -> tuple[Source, ...]:
        """What brings a node its input, in edge order; for a queue-reader, the queue's writers.

        An edge that closes a cycle brings nothing: on the bench an item goes round it once.
        """
        if node_id not in self._sources:
            queue = self.reads(node_id)
            if queue is None:
                self._sources[node_id] = tuple(self._edges_to(node_id))
            else:
                self._sources[node_id] = tuple(map(Source, self._writers.get(queue, ())))
        return self._sources[node_id]

    def sources_first(
        self, node_ids: Iterable[str], enough: Callable[[str], bool] = lambda node_id: False
    ) -> list[str]:
        """Return the nodes and all before them, each after its sources; nothing before a node that
        is `enough`."""

        def before(node_id: str) -> list[str]:
            return [] if enough(node_id) else [s.node_id for s in self.sources(node_id)]

        return depth_first(node_ids, before).finished

    def json(self, node_id: str) -> dict[str, Any]:
        """Return the node as it goes to a child."""
        return self._set(node_id)[0]

    def settings(self, node_id: str) -> str:
        """Return the digest of the node's type, form and options."""
        return self._set(node_id)[1]

    def _set(self, node_id: str) -> tuple[dict[str, Any], str]:
        if node_id not in self._settings:
            made = node_json(self.flow.graph.nodes[node_id].config)
            self._settings[node_id] = made, digest_of(made)
        return self._settings[node_id]

    def _edges_to(self, node_id: str) -> Iterable[Source]:
        for edge in self.flow.graph.incoming(node_id):
            if edge.id not in self._back_edges:
                condition = self._conditions[edge.index]
                yield Source(edge.source, edge.source_handle, condition)

    @cached_property
    def _back_edges(self) -> frozenset[str]:
        return frozenset(edge.id for edge in self.flow.analyzer.back_edges())

    @cached_property
    def _conditions(self) -> dict[int, str | None]:
        return {edge.index: edge.condition for edge in self.flow.spec.edges}

    @cached_property
    def _writers(self) -> dict[str | None, list[str]]:
        found: dict[str | None, list[str]] = {}
        for node in self.flow.graph.nodes.values():
            if node.node.queue_role == "writer":
                found.setdefault(node.config.options.queue_name, []).append(node.id)
        return found


def unsaved(raw: Json) -> BenchFlow:
    """Return workflow JSON, which may be wrong in many places."""
    return BenchFlow(flow_engine().inspect(raw))


def saved(workflow_id: str) -> BenchFlow:
    """Return the newest version of a workflow, loaded once.

    Raises:
        NotFound: there is no such workflow.
    """
    return _saved(*_newest(workflow_id))


def definition(workflow_id: str) -> Json:
    """Return the JSON of the newest version of a workflow.

    Raises:
        NotFound: there is no such workflow.
    """
    return _definition(_newest(workflow_id)[0])


def _newest(workflow_id: str) -> tuple[int, str]:
    versions = WorkflowVersion.objects.filter(workflow_id=workflow_id)
    newest = versions.order_by("-number").values_list("pk", "digest").first()
    if newest is None:
        raise NotFound(f"there is no workflow {workflow_id}")
    return newest


@lru_cache(maxsize=_KEPT)
def _saved(version: int, digest: str) -> BenchFlow:
    with saved_values():
        return unsaved(_definition(version))


def _definition(version: int) -> Json:
    return WorkflowVersion.objects.values_list("definition", flat=True).get(pk=version)
