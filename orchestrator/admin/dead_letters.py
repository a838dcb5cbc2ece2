"""Dead letters, and what can be done with them."""

from collections.abc import Callable
from functools import partial

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from orchestrator.admin.columns import json_field
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.exceptions import OrchestratorError
from orchestrator.models import DeadLetter
from orchestrator.security.actors import actor_of_request
from orchestrator.services import dead_letters_bulk
from orchestrator.services.dead_letters_bulk import BulkChange, Selection


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    list_display = (
        "item_id",
        "workflow",
        "loop",
        "node_id",
        "reason",
        "error_type",
        "status",
        "replay_count",
        "dead_at",
    )
    list_filter = (
        "status",
        "reason",
        ("workflow", admin.RelatedOnlyFieldListFilter),
        "error_type",
        "node_type",
    )
    search_fields = ("item_id", "node_id", "message")
    list_select_related = ("workflow",)
    date_hierarchy = "dead_at"
    actions = ("replay_from_start", "replay_at_node", "discard")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("status", "reason", "error_type"),
                    "message",
                    ("workflow", "version", "activation"),
                    ("loop", "slot", "token", "queue"),
                    ("node_id", "node_type", "entry_node"),
                    ("item_id", "idempotency_key"),
                    ("deliveries", "born_at", "dead_at"),
                    "note",
                )
            },
        ),
        ("Data", {"fields": ("item_json", "node_input_json", "edited_json")}),
        ("Headers", {"fields": ("headers_json", "node_headers_json")}),
        ("Failure", {"fields": ("attempts_json", "trace_text")}),
        (
            "Replays",
            {
                "fields": (
                    ("replay_count", "replay_from", "replay_at"),
                    ("replayed_at", "replayed_by"),
                    ("discarded_at", "discarded_by"),
                    "origin",
                )
            },
        ),
    )
    item_json = json_field("item", "Item")
    node_input_json = json_field("node_input", "Input of the node")
    edited_json = json_field("edited", "Edited")
    headers_json = json_field("headers", "Of the item")
    node_headers_json = json_field("node_headers", "Of the node's input")
    attempts_json = json_field("attempts", "Attempts")

    def view_on_site(self, letter: DeadLetter) -> str:
        return reverse("dead-letter", args=[letter.pk])

    @admin.display(description="Trace")
    def trace_text(self, letter: DeadLetter) -> str:
        return format_html("<pre>{}</pre>", letter.trace)

    @admin.action(description="Replay from the start of the loop")
    def replay_from_start(self, request: HttpRequest, rows: QuerySet[DeadLetter]) -> None:
        self._replay(request, rows, DeadLetter.ReplayFrom.START)

    @admin.action(description="Replay at the node that failed")
    def replay_at_node(self, request: HttpRequest, rows: QuerySet[DeadLetter]) -> None:
        self._replay(request, rows, DeadLetter.ReplayFrom.NODE)

    @admin.action(description="Discard")
    def discard(self, request: HttpRequest, rows: QuerySet[DeadLetter]) -> None:
        change = partial(dead_letters_bulk.discard_all, actor_of_request(request))
        self._ask(request, rows, "discarded", change)

    def _replay(self, request: HttpRequest, rows: QuerySet[DeadLetter], origin: str) -> None:
        change = partial(dead_letters_bulk.replay_all, actor_of_request(request), origin=origin)
        self._ask(request, rows, "being replayed", change)

    def _ask(
        self,
        request: HttpRequest,
        rows: QuerySet[DeadLetter],
        done: str,
        change: Callable[[Selection], BulkChange],
    ) -> None:
        try:
            answer = change(Selection(ids=list(rows.values_list("pk", flat=True))))
        except OrchestratorError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        level = messages.WARNING if answer.skipped else messages.SUCCESS
        message = f"{answer.count} {done}, {answer.skipped} left as they are"
        self.message_user(request, message, level)
