"""Text that strict JSON can hold, of whatever a node has given."""

from typing import Any


def text(value: Any) -> str:
    """Return a value as text, with what JSON cannot hold escaped."""
    return str(value).replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()
