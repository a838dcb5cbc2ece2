"""What a client asks of the bench, and the workflow it means."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.utils.text import slugify

from nodes.contract import Json
from orchestrator.conf import orchestrator_settings
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit
from orchestrator.services.bench import flow as flows
from orchestrator.services.bench.cache import BenchCache
from orchestrator.services.bench.flow import BenchFlow
from orchestrator.services.stores import shared_store
from orchestrator.services.workflows import find
from storage.datastore import DataStore


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What to run. `workflow` is unsaved JSON and goes before what `workflow_id` has stored.

    input: the item's data instead of cached outputs. form, config: replace single keys of the
    node's. run_upstream: `never`, `missing` or `stale` nodes are run first. write: let what the
    node emits and stages become real.
    """

    node_id: str
    workflow_id: str | None = None
    workflow: Json = None
    session: str | None = None
    input: dict[str, Json] | None = None
    form: Mapping[str, Json] = field(default_factory=dict)
    config: Mapping[str, Json] = field(default_factory=dict)
    run_upstream: str = "never"
    timeout: float | None = None
    write: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """One workflow on the bench of one session. It was opened for an actor who may use it.

    name: under which outputs are kept. workflow_id: None for a workflow that is not stored.
    """

    actor: Actor
    name: str
    workflow_id: str | None
    flow: BenchFlow
    session: str
    timeout: float

    @property
    def owner(self) -> str:
        """Who may share a warm child."""
        return f"{self.actor.id}:{self.session}"

    @property
    def store(self) -> DataStore:
        """The store of the running event loop."""
        return shared_store()

    @property
    def cache(self) -> BenchCache:
        return BenchCache(
            self.store.cache, self.name, self.session, orchestrator_settings().BENCH_TTL
        )


def unsaved_name(name: Json) -> str:
    """Return under which outputs of a workflow are kept that is not stored."""
    return f"unsaved:{slugify(name)}"


def session_of(actor: Actor) -> str:
    """Return the session that an actor has unless one is named."""
    return f"user-{actor.id}"


def open_bench(
    actor: Actor,
    action: str,
    workflow_id: str | None,
    *,
    session: str | None = None,
    workflow: Json = None,
    timeout: float | None = None,
) -> Bench:
    """Load the workflow that is meant, which may be wrong in many places.

    Args:
        workflow: unsaved JSON; it goes before what is stored.

    Raises:
        NotFound: there is no such workflow.
    """
    authorize(actor, action, workflow_id)
    if workflow is None:
        flow = flows.saved(str(workflow_id))
    else:
        if workflow_id is not None:
            find(workflow_id)
        flow = flows.unsaved(workflow)
    return Bench(
        actor=actor,
        name=workflow_id or unsaved_name(flow.flow.spec.name),
        workflow_id=workflow_id,
        flow=flow,
        session=session or session_of(actor),
        timeout=timeout or orchestrator_settings().BENCH_TIMEOUT,
    )


def open_for(actor: Actor, request: BenchRequest) -> Bench:
    """Load the workflow of a request to run a node.

    Raises:
        NotFound: there is no such workflow.
    """
    workflow = request.workflow
    if request.form or request.config:
        if workflow is None:
            workflow = flows.definition(str(request.workflow_id))
        workflow = with_overrides(workflow, request)
    if request.write:
        authorize(actor, "bench.write_out", request.workflow_id)
    bench = open_bench(
        actor,
        "bench.execute",
        request.workflow_id,
        session=request.session,
        workflow=workflow,
        timeout=request.timeout,
    )
    told = {"node": request.node_id, "write": request.write}
    audit.record(actor, "bench.execute", f"workflow:{bench.name}", after=told)
    return bench


def with_overrides(raw: Json, request: BenchRequest) -> Json:
    """Return the workflow in which the node has the form and the config of the request."""
    if not (request.form or request.config) or not isinstance(raw, dict):
        return raw
    nodes = raw.get("nodes")
    if not isinstance(nodes, list):
        return raw
    return {**raw, "nodes": [_override(node, request) for node in nodes]}


def _override(node: Any, request: BenchRequest) -> Any:
    if not isinstance(node, dict) or node.get("id") != request.node_id:
        return node
    data = node.get("data") if isinstance(node.get("data"), dict) else {}
    form, config = (
        data.get(k) if isinstance(data.get(k), dict) else {} for k in ("form", "config")
    )
    changed = {"form": {**form, **request.form}, "config": {**config, **request.config}}
    return {**node, "data": {**data, **changed}}
