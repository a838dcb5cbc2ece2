"""The forms of sql-query and sql-poll."""

from typing import Any

from django import forms

from forms.base import BaseForm
from forms.fields import (
    CodeField,
    CredentialField,
    KeyValueField,
    LiteralField,
    SecondsField,
    ValueField,
)
from nodes.builtin.common_forms import fixed
from nodes.builtin.sql import CURSOR, KEY
from nodes.builtin.sql_text import names_in
from nodes.fields import FileField


def _timeout() -> SecondsField:
    return fixed(
        SecondsField(
            initial=30, min_value=0.1, max_value=600, help_text="Seconds for one statement."
        )
    )


def _max_rows() -> forms.IntegerField:
    return fixed(
        forms.IntegerField(
            initial=100, min_value=1, max_value=10_000, label="Most rows", help_text="At once."
        )
    )


class DatabaseForm(BaseForm):
    """What both have. `own_values` are those of the statement that the node itself gives."""

    own_values: tuple[str, ...] = ()

    credential = CredentialField(
        required=False,
        kinds=("database-url",),
        label="Database",
        help_text="A credential with an address: postgresql://user:password@host/name",
    )
    file = FileField(
        required=False,
        label="SQLite file",
        help_text="In place of a credential: a file inside the files folder, shop.db",
    )
    sql = CodeField(
        language="sql",
        max_length=50_000,
        label="SQL",
        help_text="One statement. Values stand as :name and are given below.",
    )
    values = KeyValueField(
        required=False, help_text="A name in the statement and its value, such as {{ data.id }}"
    )

    def full_clean(self) -> None:
        super().full_clean()
        if not self.is_bound:
            return
        # Not in `clean`, which would run for each item.
        given = [name for name in ("credential", "file") if self.get_field_value(name)]
        if not given and not {"credential", "file"} & self.errors.keys():
            self.add_error("credential", "Choose a credential, or name a SQLite file.")
        if len(given) == 2:
            self.add_error("file", "Choose a credential or name a file, not both.")
        if "sql" not in self.errors and "values" not in self.errors:
            self._compare_names()

    def _compare_names(self) -> None:
        named = [n for n in names_in(str(self.get_field_value("sql"))) if n not in self.own_values]
        values = self._value_names()
        if values is None:
            return
        missing = [name for name in named if name not in values]
        unused = [name for name in values if name not in named]
        if missing:
            self.add_error("values", f"The statement names {', '.join(missing)}: give a value.")
        if unused:
            self.add_error("values", f"The statement does not name {', '.join(unused)}.")

    def _value_names(self) -> list[str] | None:
        try:
            return list(KeyValueField(required=False).to_python(self.get_field_value("values")))
        except forms.ValidationError:  # a whole that is a template is known for each item only
            return None


class SqlQueryForm(DatabaseForm):
    own_values = (KEY,)

    target = LiteralField(
        max_length=200, initial="result", label="Result", help_text="The field for the rows."
    )
    max_rows = _max_rows()
    timeout = _timeout()


class SqlPollForm(DatabaseForm):
    own_values = (CURSOR,)

    values = fixed(
        KeyValueField(required=False, help_text="A name in the statement and its value.")
    )
    column = LiteralField(
        max_length=200,
        initial="id",
        label="Cursor",
        help_text="The column that rises with every new row; the last value is :cursor",
    )
    start = fixed(
        ValueField(initial=0, label="Begin behind", help_text="The first :cursor: 0, 2024-01-01")
    )
    interval = fixed(
        SecondsField(initial=60, min_value=0.01, help_text="Seconds between two looks: 30, 5m")
    )
    max_rows = _max_rows()
    timeout = _timeout()
    times = forms.IntegerField(
        required=False, min_value=1, help_text="End after so many looks; empty: never."
    )

    def clean_sql(self) -> Any:
        sql: str = self.cleaned_data["sql"]
        if CURSOR not in names_in(sql):
            raise forms.ValidationError(
                "The statement must name :cursor: select * from orders where id > :cursor"
                " order by id limit 100"
            )
        return sql
