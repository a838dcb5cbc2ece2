"""The forms of the delays."""

from forms.base import BaseForm
from forms.fields import SecondsField
from nodes.builtin.common_forms import fixed

LONGEST = 24 * 3600.0


class StaticDelayForm(BaseForm):
    seconds = fixed(SecondsField(max_value=LONGEST, initial=1))


class DynamicDelayForm(BaseForm):
    seconds = SecondsField(max_value=LONGEST, help_text="Such as {{ data.retry_after }}")
