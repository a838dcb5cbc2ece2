"""The forms of queue-reader and queue-writer."""

from django.core.validators import RegexValidator

from forms.base import BaseForm
from forms.fields import LiteralField

_HELP = "Leave it empty when an edge connects the writer with the reader."


def _queue_name() -> LiteralField:
    valid = RegexValidator(r"\A[A-Za-z0-9_.-]+\Z", "Letters, digits, dots, dashes and underscores.")
    return LiteralField(
        required=False, max_length=100, validators=[valid], label="Queue", help_text=_HELP
    )


class QueueReaderForm(BaseForm):
    queue_name = _queue_name()


class QueueWriterForm(BaseForm):
    queue_name = _queue_name()
