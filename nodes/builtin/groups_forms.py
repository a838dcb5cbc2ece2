"""The form of group."""

import re
from collections.abc import Iterator
from typing import Any

from django import forms

from forms.base import BaseForm
from forms.binding import find_templates
from forms.fields import JsonField, SecondsField
from nodes.builtin.common_forms import fixed
from nodes.group_rules import settings_problems
from orchestrator.exceptions import Problem

POLICIES = {
    "strict": "Strict: every member must succeed",
    "best_effort": "Best effort: what fails is noted",
    "at_least_n": "At least n members must succeed",
    "critical": "Critical members must succeed",
}
EXECUTORS = {
    "inline": "In this process",
    "thread": "In this process, in threads",
    "process": "In child processes",
    "distributed": "On workers",
}


class GroupForm(BaseForm):
    policy = fixed(forms.ChoiceField(choices=list(POLICIES.items()), initial="strict"))
    n = fixed(
        forms.IntegerField(
            required=False, min_value=1, help_text="How many must succeed, for at_least_n."
        )
    )
    critical = fixed(
        JsonField(
            required=False, help_text='Names of members that must succeed: ["prices", "stock"]'
        )
    )
    timeout = fixed(
        SecondsField(required=False, min_value=0.001, help_text="For the group; empty: no limit.")
    )
    member_timeout = fixed(
        SecondsField(required=False, min_value=0.001, help_text="For each member; empty: no limit.")
    )
    executor = fixed(forms.ChoiceField(choices=list(EXECUTORS.items()), initial="inline"))
    members = JsonField(
        help_text='[{"name": "prices", "tool": "shop.prices", "arguments": '
        '{"day": "{{ data.day }}"}}, ...]; a member with members is a group in the group.'
    )

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound or self.errors:
            return
        # Not in `clean`, which is for each item, and never while there is a template.
        settings = {name: self.get_field_value(name) for name in self.fields} | self.cleaned_data
        if isinstance(settings["members"], str):
            return  # a text that is JSON only when its templates are rendered
        for problem in (*settings_problems("", settings), *_templates(settings["members"])):
            field = re.match(r"\w+", problem.path)
            self.add_error(field[0] if field else None, f"{problem.path}: {problem.message}")


def _templates(members: Any, path: str = "members") -> Iterator[Problem]:
    """Yield where a template is that is not in an argument: what is run would not be known."""
    for found, _ in find_templates(members, path):
        if not re.fullmatch(r"members(\[\d+\]\.members)*\[\d+\]\.arguments\b.*", found, re.S):
            yield Problem(found, "only arguments may hold a template")
