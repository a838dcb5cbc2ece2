"""The form of for-each."""

from forms.base import BaseForm
from forms.fields import LiteralField
from nodes.builtin.common_forms import field_name


class ForEachForm(BaseForm):
    field = field_name(
        label="List", help_text="The field that holds the list. Dots go deeper: order.lines"
    )
    target = LiteralField(
        max_length=200,
        initial="results",
        label="Results",
        help_text="The field for what the elements came back as.",
    )
