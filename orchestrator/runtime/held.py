"""What a runner runs, and what is wanted of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from orchestrator.models import Workflow
from orchestrator.runtime.desires import ENDS
from orchestrator.runtime.hosts import HostProcess
from orchestrator.runtime.leases import Slot
from storage.records import Lease

Desired = Workflow.Desired
LOST = "lost"
"""Asked of a loop whose slot another runner has: it may not even finish the item in hand."""
RESTART = "restart"
"""Asked of a loop that a newer version has changed: it ends at a boundary and starts again."""
MOVE = "move"
"""Asked of a loop that another runner shall have."""

NONE: Mapping[str, int] = MappingProxyType({})
_BACK = (RESTART, MOVE)

GRACE = 25.0
KILL_GRACE = 2.0
_PATIENCE = {Desired.STOPPED: GRACE, LOST: GRACE, Desired.KILLED: KILL_GRACE}


@dataclass(slots=True, eq=False)
class Held:
    """A slot that this runner runs, and in which host.

    queues: what its loop reads. revisions: of the credentials that its loop was given, by name.
    """

    slot: Slot
    lease: Lease
    queues: tuple[str, ...]
    host: HostProcess
    asked: str = Desired.RUNNING
    stop_by: float = math.inf
    noted: tuple[str, str] = ("", "")
    progressed: bool = False
    revisions: Mapping[str, int] = field(default_factory=dict)

    @property
    def comes_back(self) -> bool:
        """Whether its slot is wanted again when it has ended as asked."""
        return self.asked not in (*ENDS, Desired.DRAINING)

    @property
    def stays(self) -> bool:
        """Whether it is one of this runner's share of what is wanted."""
        return self.asked in (Desired.RUNNING, Desired.PAUSED, RESTART)

    def may_be_asked(self, wish: str) -> bool:
        """Tell whether a wish is news, and no less than what was asked already."""
        if self.asked in (wish, LOST, Desired.KILLED):
            return False
        return not (self.asked in _BACK and wish in (Desired.RUNNING, Desired.PAUSED, *_BACK))


def patience(wish: str) -> float:
    """Return the seconds that a loop has to end as asked; without limit where the item in hand
    may take as long as it needs."""
    return _PATIENCE.get(wish, math.inf)


def desired(held: Held, row: Slot | None, revisions: Mapping[str, int] = NONE) -> str:
    """What is wanted of a loop that runs; one whose row has moved on has to stop.

    Args:
        revisions: of the credentials that there are.
    """
    if row is None or not row.mine:
        return LOST
    if row.desired not in ENDS and row.activation != held.slot.activation:
        return Desired.STOPPED
    if row.wanted and row.version != held.slot.version:
        return RESTART
    if row.wanted and any(revisions.get(n) != number for n, number in held.revisions.items()):
        return RESTART
    return row.desired
