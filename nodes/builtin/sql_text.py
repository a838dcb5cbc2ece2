"""SQL as people write it: values stand as `:name` and are never part of the text."""

import re
from collections.abc import Callable

_PIECES = re.compile(
    r"""[eE]'(?:[^'\\]|\\.|'')*'   # a text with escapes
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | /\*.*?\*/
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$
    | ::
    | :(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)


def names_in(sql: str) -> list[str]:
    """Return the names of the values in a statement, each once."""
    found = (match["name"] for match in _PIECES.finditer(sql))
    return list(dict.fromkeys(name for name in found if name))


def for_psycopg(sql: str) -> str:
    """Return the statement as psycopg takes it: `%(name)s` for a value, `%%` for a per cent."""
    return _translated(sql, lambda name: f"%({name})s", lambda text: text.replace("%", "%%"))


def for_sqlite(sql: str) -> str:
    """Return the statement as SQLite takes it, which knows `:name` but not `::`."""
    return _translated(sql, lambda name: f":{name}", lambda text: text)


def _translated(sql: str, value: Callable[[str], str], other: Callable[[str], str]) -> str:
    parts, at = [], 0
    for match in _PIECES.finditer(sql):
        parts.append(other(sql[at : match.start()]))
        parts.append(value(match["name"]) if match["name"] else other(match[0]))
        at = match.end()
    return "".join([*parts, other(sql[at:])])
