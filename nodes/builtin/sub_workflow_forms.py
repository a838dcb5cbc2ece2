"""The form of sub-workflow."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django import forms

from forms.base import BaseForm
from forms.fields import KeyValueField, LiteralField, SecondsField
from nodes.builtin.common_forms import fixed


class SubWorkflowForm(BaseForm):
    choices_ttl: ClassVar[float] = 5.0
    visible_when: ClassVar[Mapping[str, Mapping[str, list[Any]]]] = {
        "timeout": {"wait": [True]},
        "target": {"wait": [True]},
    }

    workflow = fixed(forms.ChoiceField(help_text="The one that gets the items."))
    queue = fixed(
        forms.ChoiceField(help_text="A queue with a name of its own that a queue-reader reads.")
    )
    data = KeyValueField(
        required=False, help_text="What it gets: names and values; empty: the whole item."
    )
    max_length = fixed(
        forms.IntegerField(
            min_value=1,
            max_value=1_000_000,
            initial=10_000,
            label="Most items",
            help_text="Wait while the queue holds as many.",
        )
    )
    wait = fixed(
        forms.BooleanField(
            required=False,
            label="Wait for the answer",
            help_text="Of a node http-response in the other workflow.",
        )
    )
    timeout = fixed(SecondsField(initial=30, min_value=0.1, max_value=300))
    target = LiteralField(
        max_length=200, initial="answer", label="Result", help_text="The field for the answer."
    )

    def get_field_dependencies(self) -> dict[str, list[str]]:
        return {"workflow": [], "queue": ["workflow"]}

    def populate_field(
        self, name: str, parent_value: Any, form_values: Mapping[str, Any]
    ) -> list[Any]:
        from django.db import connection

        from orchestrator.models import Workflow, WorkflowVersion

        try:
            if name == "workflow":
                return list(Workflow.objects.values_list("id", "name"))
            version = WorkflowVersion.objects.filter(workflow_id=parent_value).first()
            return [] if version is None else list(_queues(version.definition))
        finally:
            connection.close()  # this thread, and its connection, are for this one question


def _queues(definition: Any) -> Iterator[str]:
    """Yield the names of queues that a workflow reads and that are given to them."""
    names: dict[str, None] = {}
    for node in definition.get("nodes", ()):
        data = node.get("data") or {}
        if node.get("type") == "queue-reader":
            places = (data.get("config") or {}, data.get("form") or {})
            names.update((str(p["queue_name"]), None) for p in places if p.get("queue_name"))
    yield from names
