"""The loops of the versions that a runner works with, each loaded once."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async

from orchestrator.flow.loops import Loop
from orchestrator.runtime import leases
from orchestrator.runtime.engine import flow_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionPlan:
    """A version's JSON, and its loops by id."""

    definition: Any
    loops: dict[str, Loop]


class Plans:
    def __init__(self) -> None:
        self._known: dict[tuple[str, int], VersionPlan] = {}

    def known(self, workflow: str, version: int) -> VersionPlan | None:
        """Return what was loaded already."""
        return self._known.get((workflow, version))

    async def of(self, workflow: str, version: int) -> VersionPlan:
        """Return a version's loops.

        Raises:
            WorkflowInvalid: it cannot be used any more.
            ObjectDoesNotExist: it is gone.
        """
        plan = self._known.get((workflow, version))
        if plan is None:
            definition = await sync_to_async(leases.definition)(workflow, version)
            flow = await asyncio.to_thread(flow_engine().load_saved, definition)
            plan = VersionPlan(
                definition=definition, loops={loop.id: loop for loop in flow.analyzer.loops()}
            )
            self._known[workflow, version] = plan
        return plan

    def keep(self, versions: Collection[tuple[str, int]]) -> None:
        """Forget all other versions."""
        for known in self._known.keys() - set(versions):
            del self._known[known]
