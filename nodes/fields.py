"""Fields that need what nodes may reach: see `forms.fields` for the others."""

from typing import Any

from django import forms

from forms.fields import LiteralField
from nodes.files import check_path, existing
from orchestrator.exceptions import InvalidRequest


class FileField(LiteralField):
    """A path inside the files folder; whether a link leads out of it is seen when it is opened.

    The file need not exist; those that do are proposed.
    """

    kind = "file"

    def to_python(self, value: Any) -> str:
        text = str(super().to_python(value))
        if text:
            try:
                check_path(text)
            except InvalidRequest as error:
                raise forms.ValidationError(error.message) from None
        return text

    def suggestions(self) -> list[str]:
        """Return the paths of files that exist."""
        try:
            return existing()
        except InvalidRequest:  # no folder is configured outside of an engine
            return []
