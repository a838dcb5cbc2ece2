"""What is desired of a loop: of its workflow and of itself, whichever is more of an end."""

from orchestrator.models import Workflow

Desired = Workflow.Desired
ENDS = (Desired.STOPPED, Desired.KILLED)
_ORDER = {desired: place for place, desired in enumerate(Desired.values)}


def greater(one: str, other: str) -> str:
    """Return which of the two is more of an end."""
    return max(one, other, key=_ORDER.__getitem__)


def exceeds(one: str, other: str) -> bool:
    """Tell whether the first is more of an end than the other."""
    return _ORDER[one] > _ORDER[other]
