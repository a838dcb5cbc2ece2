"""The kinds of credentials as the pages offer them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from orchestrator.security import credentials
from orchestrator.security.credentials import Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind, what it is, and its values by name; without any it takes whatever one gives it."""

    name: str
    about: str
    parts: Mapping[str, Part]


_ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "http-basic": "name and password for HTTP",
        "bearer": "token for HTTP",
        "header": "header of your own for HTTP",
        "database-url": "address of a database, with its login",
        "smtp": "mail server",
        credentials.GENERIC: "any values",
    }
)
KINDS = tuple(
    Kind(name=name, about=_ABOUT[name], parts=parts) for name, parts in credentials.KINDS.items()
)
