"""The forms of file-reader and file-writer."""

from typing import Any

from django import forms

from forms.base import BaseForm
from forms.fields import ValueField
from nodes.builtin.common_forms import DELIMITERS
from nodes.fields import FileField


class ColumnsField(ValueField):
    """Names of fields: a list, or a text with commas."""

    template = False

    def to_python(self, value: Any) -> list[str]:
        given = value.split(",") if isinstance(value, str) else value or []
        if not isinstance(given, list) or not all(isinstance(name, str) for name in given):
            raise forms.ValidationError("Enter names of fields, with commas between them.")
        names = [name.strip() for name in given if name.strip()]
        if len(set(names)) < len(names):
            raise forms.ValidationError("A name is given twice.")
        return names

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value


class FileReaderForm(BaseForm):
    path = FileField(help_text="Inside the files folder: logs/access.log")
    format = forms.ChoiceField(
        choices=[("lines", "lines of text"), ("csv", "CSV"), ("jsonl", "JSON lines")],
        initial="lines",
    )
    follow = forms.BooleanField(
        required=False, label="Follow", help_text="Wait for what is appended, and for the file."
    )
    encoding = forms.ChoiceField(
        choices=[("utf-8", "UTF-8"), ("latin-1", "Latin-1"), ("cp1252", "Windows-1252")],
        initial="utf-8",
    )
    delimiter = forms.ChoiceField(choices=DELIMITERS, initial=",", help_text="For CSV.")
    has_header = forms.BooleanField(
        required=False, initial=True, label="First line has the names", help_text="For CSV."
    )


class FileWriterForm(BaseForm):
    path = FileField(help_text="Inside the files folder: out/orders.jsonl")
    format = forms.ChoiceField(choices=[("jsonl", "JSON lines"), ("csv", "CSV")], initial="jsonl")
    mode = forms.ChoiceField(
        choices=[("append", "append"), ("replace", "start anew with each activation")],
        initial="append",
    )
    columns = ColumnsField(
        required=False, help_text="Fields to write, with commas; empty: all, for JSON lines."
    )
    delimiter = forms.ChoiceField(choices=DELIMITERS, initial=",", help_text="For CSV.")

    def clean(self) -> dict[str, Any] | None:
        values: dict[str, Any] = self.cleaned_data
        if values.get("format") == "csv" and values.get("columns") == []:
            self.add_error("columns", "CSV needs the names of its columns.")
        return values
