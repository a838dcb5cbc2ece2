"""Items that failed for good."""

from dataclasses import dataclass

from django.db.models import QuerySet

from orchestrator.exceptions import NotFound
from orchestrator.models import DeadLetter
from orchestrator.security.actors import Actor, authorize


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetterFilter:
    """What to list; None does not restrict."""

    workflow_id: str | None = None
    node_id: str | None = None
    loop: str | None = None
    reason: str | None = None
    error_type: str | None = None
    activation: int | None = None


def find_all(actor: Actor, wanted: DeadLetterFilter) -> QuerySet[DeadLetter]:
    """Return the matching dead letters, newest first, without their payloads and traces."""
    authorize(actor, "dead_letter.read", wanted.workflow_id)
    given = {
        name: value for name in wanted.__slots__ if (value := getattr(wanted, name)) is not None
    }
    return DeadLetter.objects.filter(**given).defer("item", "node_input", "trace")


def get(actor: Actor, dead_letter_id: int) -> DeadLetter:
    """Return one dead letter with everything that is known of it.

    Raises:
        NotFound: there is none.
    """
    authorize(actor, "dead_letter.read")
    found = DeadLetter.objects.filter(pk=dead_letter_id).first()
    if found is None:
        raise NotFound(f"there is no dead letter {dead_letter_id}")
    return found
