"""Actions on rows: each goes through a service, which decides whether it may be done."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from orchestrator.exceptions import OrchestratorError
from orchestrator.security.actors import Actor, actor_of_request

MOST_NAMED = 5
Change = Callable[[Actor, Any], str]


def ask_each(
    model_admin: admin.ModelAdmin, request: HttpRequest, rows: Iterable[Any], change: Change
) -> None:
    """Ask for a change of each row, and tell what became of it; `change` returns that.

    Rows of which the same is to be told share a message.
    """
    told: dict[tuple[int, str], list[str]] = {}
    actor = actor_of_request(request)
    for row in rows:
        try:
            answer = (messages.SUCCESS, change(actor, row))
        except OrchestratorError as error:
            answer = (messages.ERROR, str(error))
        told.setdefault(answer, []).append(str(row.pk))
    for (level, text), names in told.items():
        more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        named = ", ".join(names[:MOST_NAMED])
        model_admin.message_user(request, f"{named}{more}: {text}", level)
