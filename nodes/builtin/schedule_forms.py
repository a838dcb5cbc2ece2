"""The form of schedule."""

from typing import Any
from zoneinfo import ZoneInfo

from django import forms

from forms.base import BaseForm
from forms.fields import CronField, LiteralField, SecondsField
from nodes.builtin.common_forms import fixed


class ScheduleForm(BaseForm):
    interval = fixed(
        SecondsField(required=False, min_value=0.01, help_text="Every so many seconds: 30, 5m")
    )
    cron = CronField(required=False, help_text="In place of an interval: */5 * * * *")
    timezone = LiteralField(initial="UTC", help_text="For cron, such as Europe/Berlin.")
    times = forms.IntegerField(
        required=False, min_value=1, help_text="End after so many items; empty: never."
    )

    def clean_timezone(self) -> str:
        name: str = self.cleaned_data["timezone"]
        if name == "UTC":  # known everywhere, also without a time zone database
            return name
        try:
            return ZoneInfo(name).key
        except (LookupError, ValueError, OSError):
            raise forms.ValidationError(f"There is no time zone {name!r}.") from None

    def clean(self) -> dict[str, Any] | None:
        values: dict[str, Any] = self.cleaned_data
        given = [name for name in ("interval", "cron") if values.get(name)]
        if not given and not self.errors:
            self.add_error("interval", "Give an interval or a cron expression.")
        if len(given) == 2:
            self.add_error("cron", "Give an interval or a cron expression, not both.")
        return values
