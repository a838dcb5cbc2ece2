"""Compares what the database wants with what a runner runs, and acts on the difference.

Runners share the slots, see `shares`: each takes what falls to it, and gives slots back, a few at a
time, when it holds more than others because another runner has come.
"""

import time
from collections import Counter
from collections.abc import Collection, Sequence

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
from orchestrator.runtime.shares import Offers, Peer, surplus
from storage.base import QueueStore
from storage.records import Lease

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
        self._peers: Sequence[Peer] = ()
        self._company: object = None
        self._company_since = 0.0
        self._offers = Offers()
        self._kept: set[str] = set()
        """Slots that others did not take: they stay, as long as no runner comes or goes."""

    @property
    def told_to_leave(self) -> bool:
        """Whether somebody wants this runner to give back what it has, and to end."""
        return any(peer.id == self._id and peer.draining for peer in self._peers)

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
        if self.told_to_leave:
            return
        held = self._fleet.held
        counts = Counter(slot.owner for slot in wanted if not slot.free)
        counts[self._id] = sum(each.stays for each in held.values())
        free = [slot for slot in wanted if slot.free]
        fallen = set(self._offers.mine(self._id, free, self._peers, counts))
        for slot in wanted:
            if slot.key in held or not (slot.mine or slot.key in fallen):
                continue
            if self._fleet.troubles.may_try(slot.key) and await self._fleet.take(slot):
                counts[self._id] += 1
                if self._offers.was_passed_on(slot.key):
                    self._kept.add(slot.key)
        if time.monotonic() - self._company_since > self._settled:
            self._give_back(counts)

    async def _look_around(self) -> None:
        self._peers = await sync_to_async(leases.peers)()
        company = {(peer.id, peer.labels, peer.draining) for peer in self._peers}
        if company != self._company:
            self._company, self._company_since = company, time.monotonic()
            self._kept.clear()

    def _give_back(self, counts: Counter[str]) -> None:
        """Let some loops end at a boundary, so that a runner with room for them takes them."""
        held = self._fleet.held
        moving = sum(each.asked == MOVE for each in held.values())
        may_go = [
            each.slot
            for key, each in held.items()
            if each.asked == Workflow.Desired.RUNNING and key not in self._kept
        ]
        going = surplus(may_go, self._id, self._peers, counts)
        for key in going[: max(0, MOVES - moving)]:
            self._fleet.ask(held[key], MOVE)

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
        news = []
        for held in self._fleet.held.values():
            status = self._publisher.status(held.slot.workflow, held.slot.name)
            seen = (status["state"], status["reason"]) if status else held.noted
            if seen != held.noted:
                news.append((held, seen))
        if news:
            notes = [(held.slot.pk, *seen) for held, seen in news]
            await sync_to_async(leases.note)(self._id, notes)
            for held, seen in news:  # not before it is written
                held.noted = seen
