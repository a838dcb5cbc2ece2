"""What the forms of several built-in nodes share."""

from typing import Any, TypeVar

from django import forms

from forms.fields import LiteralField

FieldT = TypeVar("FieldT", bound=forms.Field)

LARGEST = 2**53 - 1
"""Numbers in items are not larger, because JSON readers in other languages lose digits there."""
DELIMITERS = [(",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar")]


def fixed(field: FieldT) -> FieldT:
    """Make a field one that never holds a template: the node reads it once."""
    field.template = False
    return field


def field_name(**options: Any) -> LiteralField:
    """Return a field for the name of a field of the item."""
    options.setdefault("help_text", "Dots go deeper: order.customer.name")
    return LiteralField(max_length=200, **options)


class SubjectField(forms.CharField):  # type: ignore[misc]
    """What a node looks at: the name of a field, or a template, whose value may be anything."""

    def __init__(self, **options: Any) -> None:
        help_text = "The name of a field, or a template: {{ data.price * data.count }}"
        super().__init__(**{"help_text": help_text, **options})

    def clean_rendered(self, value: Any, single: bool) -> Any:
        return value
