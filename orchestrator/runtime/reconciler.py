"""Compares what the database wants with what a runner runs, and acts on the difference.

Runners share the slots: each takes no more than its part, and gives slots back, a few at a time,
when it holds more because another runner has come.
"""

import math
import time
from collections.abc import Collection

from asgiref.sync import sync_to_async

from orchestrator.exceptions import StoreUnavailable
from orchestrator.models import Workflow
from orchestrator.runtime import credentials, endings, leases
from orchestrator.runtime.drains import Drains
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.held import MOVE, desired
from orchestrator.runtime.leases import Slot
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.publisher import Publisher
from storage.base import Lease, QueueStore

MOVES = 2
"""Loops that are on their way to other runners at one time."""


class Reconciler:
    """Args:
    settled: seconds for which no runner may have come or gone before slots are given back.
    """

    def __init__(
        self,
        runner_id: str,
        fleet: Fleet,
        queues: QueueStore,
        publisher: Publisher,
        plans: Plans,
        *,
        settled: float,
    ) -> None:
        self._id = runner_id
        self._fleet = fleet
        self._queues = queues
        self._publisher = publisher
        self._plans = plans
        self._drains = Drains(queues, plans)
        self._settled = settled
        self._alive: Collection[str] = ()
        self._alive_since = 0.0

    async def tick(self) -> None:
        """Do what is to be done now."""
        fleet = self._fleet
        await self._note_states()
        found = await self._drains.resolve(await sync_to_async(leases.slots)(self._id))
        rows = {slot.key: slot for slot in found}
        used = {name for held in fleet.held.values() for name in held.revisions}
        revisions = await sync_to_async(credentials.revisions)(used) if used else {}
        for key, held in fleet.held.items():
            fleet.ask(held, desired(held, rows.get(key), revisions))
        await self._take_share([slot for slot in found if slot.wanted])
        for slot in found:
            if slot.key not in fleet.held:
                await self._settle(slot)
        for workflow in await sync_to_async(endings.ending)():
            await sync_to_async(endings.conclude)(workflow)
        known = [*found, *(held.slot for held in fleet.held.values())]
        self._plans.keep({(s.workflow, number) for s in known for number in (s.version, s.active)})

    async def _take_share(self, wanted: Collection[Slot]) -> None:
        await self._look_around()
        share = math.ceil(len(wanted) / max(1, len(self._alive)))
        room = share - sum(held.stays for held in self._fleet.held.values())
        for slot in wanted:
            if slot.key not in self._fleet.held and self._may_take(slot, room):
                room -= await self._fleet.take(slot)
        if room < 0 and time.monotonic() - self._alive_since > self._settled:
            self._give_back(-room)

    def _may_take(self, slot: Slot, room: int) -> bool:
        return (slot.mine or (slot.free and room > 0)) and self._fleet.troubles.may_try(slot.key)

    async def _look_around(self) -> None:
        alive = await sync_to_async(leases.living)()
        if alive != self._alive:
            self._alive, self._alive_since = alive, time.monotonic()

    def _give_back(self, surplus: int) -> None:
        """Let some loops end at a boundary, so that a runner with room for them takes them."""
        moving = sum(held.asked == MOVE for held in self._fleet.held.values())
        going = [h for h in self._fleet.held.values() if h.asked == Workflow.Desired.RUNNING]
        for held in going[: max(0, min(surplus, MOVES) - moving)]:
            self._fleet.ask(held, MOVE)

    async def _settle(self, slot: Slot) -> None:
        """Let go of what is not wanted any more, and clear up after a runner that has died."""
        if slot.mine and not slot.wanted:
            state = slot.state if slot.state in leases.ENDED else leases.State.STOPPED
            await self._fleet.release(slot, state)
        elif slot.forsaken and await self._close(slot):
            await sync_to_async(leases.settle)(slot)

    async def _close(self, slot: Slot) -> bool:
        """Leave what a slot had in hand to its siblings; tell whether that could be said."""
        if not slot.token:
            return True
        lease = Lease(workflow=slot.workflow, loop=slot.loop, slot=slot.slot, token=slot.token)
        try:
            await self._queues.close(lease)
        except StoreUnavailable:
            return False
        return True

    async def _note_states(self) -> None:
        notes = []
        for held in self._fleet.held.values():
            status = self._publisher.status(held.slot.workflow, held.slot.name)
            seen = (status["state"], status["reason"]) if status else held.noted
            if seen != held.noted:
                held.noted = seen
                notes.append((held.slot.pk, *seen))
        if notes:
            await sync_to_async(leases.note)(self._id, notes)
