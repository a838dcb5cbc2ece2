"""Workflows and their immutable versions."""

from collections.abc import Iterable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max, QuerySet
from django.utils.text import slugify

from nodes.contract import Json, NodeConfig
from orchestrator.exceptions import Conflict, InvalidRequest, NotFound
from orchestrator.flow.schema import digest
from orchestrator.models import Workflow, WorkflowVersion
from orchestrator.runtime.desires import ENDS
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import audit
from orchestrator.services.credential_use import require_use
from orchestrator.services.status import held, is_completed
from orchestrator.services.stores import with_store

_ID_LENGTH = 64


def create(actor: Actor, raw: Json, *, workflow_id: str | None = None) -> WorkflowVersion:
    """Store a workflow as its version 1. Its id is the slug of its name unless one is given.

    Raises:
        WorkflowInvalid: with every problem; nothing is stored.
        Conflict: the given id is taken.
    """
    authorize(actor, "workflow.create")
    flow = flow_engine().load(raw)
    require_template_rights(actor, (node.config for node in flow.spec.nodes))
    require_use(actor, flow.graph)
    name = flow.spec.name or workflow_id or "workflow"
    if workflow_id is not None and slugify(workflow_id) != workflow_id:
        raise InvalidRequest(f"the id {workflow_id!r} is not a slug")
    with transaction.atomic():
        workflow = _insert(workflow_id or _free_id(name), name)
        version = _add_version(actor, workflow, raw, digest(flow.spec), number=1)
        audit.record(actor, "workflow.create", f"workflow:{workflow.pk}", after=_told(version))
        return version


def check(actor: Actor, raw: Json) -> None:
    """Raise for what is wrong with a workflow, and store nothing.

    Raises:
        WorkflowInvalid: with every problem.
    """
    authorize(actor, "workflow.read")
    flow_engine().load(raw)


def save(
    actor: Actor, workflow_id: str, raw: Json, *, after: int | None = None
) -> tuple[WorkflowVersion, bool]:
    """Store a new version and tell whether there was anything new in it.

    Args:
        after: the number of the version that was changed; None to follow whichever is the newest.

    Raises:
        NotFound: there is no such workflow.
        Conflict: there is a version newer than `after`.
        WorkflowInvalid: with every problem; nothing is stored.
    """
    authorize(actor, "workflow.save")
    _check_newest(find(workflow_id).versions.first(), after)
    flow = flow_engine().load(raw)
    require_template_rights(actor, (node.config for node in flow.spec.nodes))
    require_use(actor, flow.graph)
    code = digest(flow.spec)
    with transaction.atomic():
        workflow = find(workflow_id, lock=True)
        last = workflow.versions.first()
        _check_newest(last, after)
        if last is not None and last.digest == code and last.definition == raw:
            return last, False
        version = _add_version(actor, workflow, raw, code, number=(last.number if last else 0) + 1)
        told = {"before": _told(last), "after": _told(version)}
        audit.record(actor, "workflow.save", f"workflow:{workflow_id}", **told)
        workflow.name = flow.spec.name or workflow.name
        workflow.save(update_fields=["name", "updated_at"])
        return version, True


def require_template_rights(actor: Actor, configs: Iterable[NodeConfig]) -> None:
    """Let nodes that are to be saved or run on the bench pass, or raise.

    Raises:
        NotAllowed: one has advanced templates, for which the actor's roles do not suffice.
    """
    if any(config.options.advanced_templates for config in configs):
        authorize(actor, "template.advanced")


def list_all(actor: Actor) -> QuerySet[Workflow]:
    """Return the workflows by name, each with `last_number`, the number of its newest version."""
    authorize(actor, "workflow.list")
    return (
        Workflow.objects.select_related("active_version")
        .annotate(last_number=Max("versions__number"))
        .order_by("name", "id")
    )


def get(actor: Actor, workflow_id: str, number: int | None = None) -> WorkflowVersion:
    """Return a version of a workflow, the newest unless a number is given.

    Raises:
        NotFound: there is no such workflow or version.
    """
    authorize(actor, "workflow.read", workflow_id)
    return find_version(find(workflow_id), number)


def versions(actor: Actor, workflow_id: str) -> QuerySet[WorkflowVersion]:
    """Return the versions, newest first, without their definitions."""
    authorize(actor, "workflow.read", workflow_id)
    return find(workflow_id).versions.select_related("created_by").defer("definition")


def delete(actor: Actor, workflow_id: str) -> None:
    """Remove a workflow with its versions, dead letters, and what it has in Redis.

    Raises:
        NotFound: there is no such workflow.
        Conflict: it is not stopped.
        StoreUnavailable: Redis is away; nothing is removed.
    """
    authorize(actor, "workflow.delete", workflow_id)
    with transaction.atomic():
        workflow = find(workflow_id, lock=True)
        if _is_active(workflow):
            raise Conflict(f"{workflow_id} is not stopped")
        last = workflow.versions.first()
        audit.record(actor, "workflow.delete", f"workflow:{workflow_id}", before=_told(last))
        workflow.active_version = None
        workflow.save(update_fields=["active_version"])
        workflow.delete()
        # Last, so that the rows come back when Redis is away.
        with_store(lambda store: store.queue.forget(workflow_id))


def find(workflow_id: str, *, lock: bool = False) -> Workflow:
    """Return the row of a workflow; for services, which have asked `authorize` before.

    Raises:
        NotFound: there is none.
    """
    rows = Workflow.objects.select_for_update() if lock else Workflow.objects.all()
    workflow = rows.filter(pk=workflow_id).first()
    if workflow is None:
        raise NotFound(f"there is no workflow {workflow_id}")
    return workflow


def find_version(workflow: Workflow, number: int | None = None) -> WorkflowVersion:
    """Return a version of a workflow, the newest unless a number is given.

    Raises:
        NotFound: there is no such version.
    """
    rows = workflow.versions.select_related("workflow", "created_by")
    version = (rows if number is None else rows.filter(number=number)).first()
    if version is None:
        raise NotFound(f"{workflow.pk} has no version {number if number is not None else 1}")
    return version


def _told(version: WorkflowVersion | None) -> dict[str, Any] | None:
    """Return what the audit log tells of a version, which itself is never changed."""
    if version is None:
        return None
    return {"version": version.number, "digest": version.digest}


def _check_newest(last: WorkflowVersion | None, number: int | None) -> None:
    if last is not None and number not in (None, last.number):
        who = last.created_by.get_username() if last.created_by else "the system"
        raise Conflict(f"there is a newer version, {last.number}, by {who}")


def _is_active(workflow: Workflow) -> bool:
    """Whether a runner works on it or would begin to."""
    if held(workflow).exists():
        return True
    return workflow.desired not in ENDS and not is_completed(workflow)


def _free_id(name: str) -> str:
    base = slugify(name)[:_ID_LENGTH].strip("-") or "workflow"
    taken = set(Workflow.objects.filter(pk__startswith=base).values_list("pk", flat=True))
    if base not in taken:
        return base
    numbers = (f"-{n}" for n in range(2, len(taken) + 3))
    return next(i for n in numbers if (i := base[: _ID_LENGTH - len(n)] + n) not in taken)


def _insert(workflow_id: str, name: str) -> Workflow:
    try:
        with transaction.atomic():
            return Workflow.objects.create(pk=workflow_id, name=name[:200])
    except IntegrityError:
        raise Conflict(f"there is a workflow {workflow_id} already") from None


def _add_version(
    actor: Actor, workflow: Workflow, raw: Any, code: str, *, number: int
) -> WorkflowVersion:
    return WorkflowVersion.objects.create(
        workflow=workflow, number=number, digest=code, definition=raw, created_by_id=actor.id
    )
