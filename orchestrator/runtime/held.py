"""What a runner runs, and what is wanted of it."""

import math
from dataclasses import dataclass

from orchestrator.models import Workflow
from orchestrator.runtime.hosts import HostProcess
from orchestrator.runtime.leases import Slot

LOST = "lost"
"""Asked of a loop whose slot another runner has: it may not even finish the item in hand."""


@dataclass(slots=True)
class Held:
    """A slot that this runner runs, and in which host."""

    slot: Slot
    token: int
    host: HostProcess
    asked: str = Workflow.Desired.RUNNING
    stop_by: float = math.inf
    noted: tuple[str, str] = ("", "")
    progressed: bool = False


def desired(held: Slot, row: Slot | None) -> str:
    """What is wanted of a loop that runs; one whose row has moved on has to stop."""
    if row is None or not row.mine:
        return LOST
    if (row.activation, row.version) != (held.activation, held.version):
        return Workflow.Desired.STOPPED
    return row.desired
