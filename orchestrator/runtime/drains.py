"""Draining: producers end, and what a queue feeds goes on until nothing is left for it.

A loop may end when everything that feeds it is at rest, and its queue, its inbox and what waits to
be tried again are empty. Loops that feed each other end together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from asgiref.sync import sync_to_async
from django.core.exceptions import ObjectDoesNotExist

from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.flow.draining import Basin, basins, is_fed
from orchestrator.models import Workflow
from orchestrator.runtime import endings
from orchestrator.runtime.leases import Slot
from orchestrator.runtime.plans import Plans
from storage.base import QueueStore
from storage.records import inbox


class Drains:
    """Tells of loops that drain whether they go on (RUNNING) or may end (DRAINING)."""

    def __init__(self, queues: QueueStore, plans: Plans) -> None:
        self._queues = queues
        self._plans = plans

    async def resolve(self, rows: Iterable[Slot]) -> list[Slot]:
        """Return the rows, those that have to go on for a drain as RUNNING."""
        slots = list(rows)
        draining = {(slot.workflow, slot.active) for slot in slots if slot.drains}
        busy = {place for one in draining for place in await self._going_on(*one)}
        return [
            replace(slot, desired=Workflow.Desired.RUNNING)
            if slot.drains and (slot.workflow, slot.loop) in busy
            else slot
            for slot in slots
        ]

    async def _going_on(self, workflow: str, version: int) -> list[tuple[str, str]]:
        try:
            plan = await self._plans.of(workflow, version)
        except (OrchestratorError, ObjectDoesNotExist):
            return []  # nobody can run it
        at_rest = await sync_to_async(endings.resting)(workflow)
        found = basins(plan.loops.values())
        going = [b for b in found if not at_rest.issuperset(b.loops)]
        busy = [b for b in going if is_fed(b, at_rest) or await self._holds(workflow, b)]
        return [(workflow, loop) for basin in busy for loop in basin.loops]

    async def _holds(self, workflow: str, basin: Basin) -> bool:
        """Tell whether there is something in a basin; if nobody can tell, there is."""
        queues = [*basin.queues, *(inbox(loop) for loop in basin.loops)]
        try:
            # What is in hand is in its queue still. An entry that was delayed when the queues were
            # looked at may have come due before the delayed ones were.
            return (
                await self._any(workflow, queues)
                or any((await self._queues.delayed(workflow, basin.loops)).values())
                or await self._any(workflow, queues)
            )
        except StoreUnavailable:
            return True

    async def _any(self, workflow: str, queues: Sequence[str]) -> bool:
        return any((await self._queues.lengths(workflow, queues)).values())
