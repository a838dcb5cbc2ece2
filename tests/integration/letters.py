"""Dead letters in the database, and what becomes of them in the store."""

from datetime import timedelta
from itertools import count

from django.utils import timezone

from orchestrator.execution.envelope import unseal
from orchestrator.models import DeadLetter, LoopSlot, Workflow
from orchestrator.runtime import replays
from orchestrator.runtime.dead_groups import fingerprint
from orchestrator.security.actors import SYSTEM
from orchestrator.services import production, workflows
from orchestrator.services.stores import with_store
from storage.records import inbox

_numbers = count(1)


def started(raw, *, slots=None):
    """Store a workflow, start it, and return its row; `slots` sets the state of all its slots."""
    workflow = workflows.create(SYSTEM, raw).workflow
    production.start(SYSTEM, workflow.pk)
    if slots is not None:
        LoopSlot.objects.filter(workflow=workflow).update(state=slots)
    workflow.refresh_from_db()
    return workflow


def letter(workflow, **fields):
    """Make a dead letter of loop `1`, which failed at node `2`."""
    number = next(_numbers)
    if isinstance(workflow, str):
        workflow, _ = Workflow.objects.get_or_create(pk=workflow, defaults={"name": workflow})
    given = {
        "entry_id": f"{number}-0",
        "version": 1,
        "activation": 1,
        "loop": "1",
        "node_id": "2",
        "node_type": "queue-writer",
        "item_id": f"1:1:{number}",
        "reason": "max_attempts",
        "error_type": "ValueError",
        "message": "boom",
        "trace": "Traceback ...",
        "item": {"value": number},
        "headers": {"trace": "abc"},
        "node_input": {"value": number, "more": True},
        "node_headers": {"trace": "def"},
        "dead_at": timezone.now() + timedelta(seconds=number),
    }
    row = DeadLetter(workflow=workflow, **{**given, **fields})
    row.fingerprint = fingerprint(
        row.workflow_id, row.node_id, row.reason, row.error_type, row.message
    )
    row.save(force_insert=True)
    return row


def waiting(workflow, loop="1"):
    """Return the envelopes in a loop's inbox."""
    found = with_store(lambda store: store.queue.peek(workflow, inbox(loop), 1000))
    return [unseal(entry.body) for entry in found]


def pump():
    """Do once what a runner does every second."""
    return with_store(lambda store: replays.pump(store.queue))


def on_store(work):
    return with_store(lambda store: work(store.queue))


def drained(workflow, *bodies):
    """Leave records in the outbox, drain it, and return the rows."""
    from orchestrator.runtime.outbox import drain
    from storage.records import Commit, Lease

    async def go(store):
        queue = store.queue
        lease = Lease(workflow=workflow, loop="9", slot=0, token=next(_numbers))
        begun = await queue.begin(lease, 1)
        commit = Commit(
            number=begun.number + 1, sequence=begun.sequence, activation=1, dead=list(bodies)
        )
        await queue.commit(lease, commit)
        await drain(queue, workflow)

    with_store(go)
    return list(DeadLetter.objects.filter(workflow_id=workflow).order_by("pk"))
