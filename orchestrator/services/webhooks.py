"""Webhooks: which workflow a path belongs to, and requests on their way into its inbox.

No actor asks for any of this: whoever calls a webhook is no user. What a request has to prove
instead is in `webhook_checks`.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from nodes.builtin.webhooks import Webhook as WebhookNode
from nodes.contract import REPLY, Json, NodeOutput
from orchestrator.exceptions import (
    Busy,
    Conflict,
    KeyReused,
    NoAnswer,
    NotFound,
    StoreUnavailable,
)
from orchestrator.execution.envelope import seal, unseal
from orchestrator.flow.graph import FlowGraph
from orchestrator.models import LoopSlot, Webhook, Workflow
from orchestrator.runtime.desires import ENDS
from orchestrator.runtime.replays import INBOX_BYTES, INBOX_ITEMS
from orchestrator.services.stores import shared_store
from storage.records import ANSWER, Missing, Offer, Room, inbox

ROOM = Room(items=INBOX_ITEMS, bytes=INBOX_BYTES)
PATIENCE = 3.0
"""Seconds until a request is refused because Redis does not answer: many callers wait no longer
than five."""
_OPEN = (Workflow.Desired.RUNNING, Workflow.Desired.PAUSED)
_ENDED = (LoopSlot.State.COMPLETED, LoopSlot.State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Where requests to a path go. `settings` is the cleaned form of the webhook node."""

    path: str
    workflow: str
    loop: str
    activation: int
    version: int
    settings: Mapping[str, Any]

    @property
    def waits(self) -> bool:
        """Whether a request is answered by the workflow."""
        return bool(self.settings["respond"] == "workflow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A request that is in the inbox. `repeated`: it had been before, under the same key."""

    id: str
    repeated: bool
    reply: str


def claim(workflow: Workflow, graph: FlowGraph) -> None:
    """Give a workflow that is started the paths of its webhooks; call it in a transaction.

    Raises:
        Conflict: another workflow that is to run has one of them.
    """
    wanted = {}
    for node in graph.nodes.values():
        if isinstance(node.node, WebhookNode):
            form_class = node.node.load_form()
            assert form_class is not None
            settings = dict(form_class.bind(node.config.form).static_values)
            wanted[settings["path"]] = Webhook(
                path=settings["path"], workflow=workflow, loop=node.id, settings=settings
            )
    others = Webhook.objects.filter(path__in=wanted).exclude(workflow=workflow)
    for other in others.select_related("workflow"):
        if other.workflow.desired not in ENDS:
            raise Conflict(f"the webhook path {other.path} belongs to {other.workflow_id}, too")
    others.delete()
    workflow.webhooks.all().delete()
    try:
        with transaction.atomic():
            Webhook.objects.bulk_create(wanted.values())
    except IntegrityError:
        raise Conflict("another workflow has just taken one of its webhook paths") from None


def find(path: str) -> Hook:
    """Return where requests to a path go.

    Raises:
        NotFound: no running workflow has it.
    """
    row = (
        Webhook.objects.filter(path=path)
        .values(
            "loop",
            "settings",
            "workflow_id",
            "workflow__desired",
            "workflow__activation",
            "workflow__active_version__number",
        )
        .first()
    )
    if row is None or row["workflow__desired"] not in _OPEN:
        raise _nobody(path)
    slots = LoopSlot.objects.filter(
        workflow_id=row["workflow_id"],
        loop=row["loop"],
        activation=row["workflow__activation"],
        desired__in=_OPEN,
    )
    if not slots.exclude(state__in=_ENDED).exists():
        raise _nobody(path)
    return Hook(
        path=path,
        workflow=row["workflow_id"],
        loop=row["loop"],
        activation=row["workflow__activation"],
        version=row["workflow__active_version__number"],
        settings=row["settings"],
    )


def _nobody(path: str) -> NotFound:
    return NotFound(f"no running workflow has the webhook {path}")


async def take(hook: Hook, data: dict[str, Json], *, key: str = "", mark: str = "") -> Taken:
    """Put a request into the inbox of its loop. When this returns, it is stored.

    Args:
        key: of the request, if it has one: it is taken once within a day.
        mark: tells requests from each other that have the same key.

    Raises:
        InvalidPayload: the data is not strict JSON, or too large.
        KeyReused: another request had this key.
        Busy: the inbox is full.
        StoreUnavailable: Redis is away, or has not answered. Then nobody knows whether the request
            was taken; only with a key it can be sent again without being taken twice.
    """
    code = hashlib.sha256(f"{hook.path}|{key}".encode()).hexdigest() if key else uuid.uuid4().hex
    item_id = f"{hook.loop}:webhook:{code[:32]}"
    reply = f"{ANSWER}{code[:32]}" if hook.waits else ""
    metadata = {"webhook": hook.path, **({REPLY: reply} if reply else {})}
    body = seal(
        NodeOutput(item_id, data, metadata),
        activation=hook.activation,
        version=hook.version,
        born=time.time(),
    )
    operation = f"webhook:{hook.loop}:{code}" if key else ""
    outcome = await _offer(hook, body, operation, mark)
    if outcome is Offer.FULL:
        raise Busy("the inbox of this webhook is full; try again")
    if outcome is Offer.OTHER:
        raise KeyReused
    return Taken(id=item_id, repeated=outcome is Offer.REPEATED, reply=reply)


async def _offer(hook: Hook, body: bytes, operation: str, mark: str) -> Offer:
    queue = shared_store().queue
    try:
        async with asyncio.timeout(PATIENCE):
            return await queue.offer(
                hook.workflow, inbox(hook.loop), body, ROOM, op_id=operation, mark=mark
            )
    except TimeoutError:
        raise StoreUnavailable("Redis does not answer") from None


async def answer(hook: Hook, taken: Taken) -> dict[str, Json]:
    """Wait for what the workflow answers a request: `{status, content_type, body}`.

    Raises:
        NoAnswer: it has not within the webhook's time.
        StoreUnavailable: Redis is away.
    """
    seconds = hook.settings["timeout"]
    found = await shared_store().queue.answer(hook.workflow, taken.reply, seconds)
    if isinstance(found, Missing):
        raise NoAnswer(
            f"the workflow has not answered within {seconds:g} s; the request is stored as "
            f"{taken.id} and will be worked on all the same"
        )
    return unseal(found).item.data
