"""What a runner does when one of its loops has ended."""

import pytest
from asgiref.sync import sync_to_async

from orchestrator.models import LoopSlot
from orchestrator.runtime import leases
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.held import Held
from orchestrator.runtime.hosts import HostProcess
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.publisher import Publisher
from storage.records import Commit, Completion, Lease
from tests.integration.letters import started

pytestmark = pytest.mark.django_db(transaction=True)


def held_slot(hello_loops):
    """Return the slot of the first loop, taken by a runner."""
    workflow = started(hello_loops)
    leases.heartbeat(leases.RunnerEntry(id="r", host="host", pid=1), 0.0, 30)
    slot = next(slot for slot in leases.slots("r") if slot.loop == "1")
    token = leases.acquire(slot, "r")
    return slot, Lease(workflow=workflow.pk, loop="1", slot=0, token=token)


def state():
    return LoopSlot.objects.get(loop="1").state


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_a_completion_that_was_withdrawn_meanwhile_is_not_kept(
    hello_loops, shared_store, withdrawn
):
    queue = shared_store.queue
    slot, lease = await sync_to_async(held_slot)(hello_loops)
    await queue.forget(lease.workflow)
    await queue.begin(lease, slot.activation)
    done = Commit(number=1, sequence=0, activation=slot.activation, completion=Completion())
    await queue.commit(lease, done)
    fleet = Fleet(
        "r", queue, Publisher(shared_store.feed), Plans(),
        block_limit=60, on_take=lambda workflow: None, on_end=lambda: None,
    )  # fmt: skip
    host = HostProcess(
        isolated=False, patience=2, on_message=lambda *_: None, on_death=lambda *_: None
    )
    fleet.held[slot.key] = Held(slot, lease, (), host)
    if withdrawn:
        await queue.reopen(lease.workflow)
    await fleet._on_ended(host, {"key": slot.key, "outcome": "completed", "error": ""})
    assert await sync_to_async(state)() == ("pending" if withdrawn else "completed")
