"""The forms of if-condition, filter and switch."""

import re
from typing import Any

from django import forms

from forms.base import BaseForm
from forms.fields import KeyValueField, ValueField
from nodes.builtin.common_forms import SubjectField
from nodes.builtin.comparing import OPERATORS, make_test
from nodes.builtin.conditions import named_ports
from orchestrator.exceptions import NodeFailed

_PORT = re.compile(r"[a-z0-9][a-z0-9_-]*")


class IfConditionForm(BaseForm):
    field = SubjectField()
    operator = forms.ChoiceField(choices=list(OPERATORS.items()), initial="equals")
    value = ValueField(required=False, help_text="A text, a number, or a template.")

    def full_clean(self) -> None:
        super().full_clean()
        # Not in `clean`, which would run for each item.
        values: dict[str, Any] = getattr(self, "cleaned_data", {})
        if values.get("operator") == "matches" and "value" in values:
            try:
                make_test("matches", values["value"])
            except NodeFailed as error:
                self.add_error("value", error.message)


class CasesField(KeyValueField):
    """The port of each value; a value without one is its own port."""

    template = False

    def to_python(self, value: Any) -> dict[str, str]:
        ports = named_ports(super().to_python(value))
        for port in ports.values():
            if not _PORT.fullmatch(port):
                raise forms.ValidationError(
                    f"{port!r} is no name for a port: letters, digits, dashes and underscores."
                )
        return ports


class SwitchForm(BaseForm):
    value = SubjectField()
    cases = CasesField(help_text="A value and the port it leads to; all others: default.")
