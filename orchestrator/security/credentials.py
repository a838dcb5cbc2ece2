"""Credentials: what kinds there are, and how a node gets one.

A credential travels sealed, with the order to run a node. The process that runs the node opens it
when the node asks, and from then on takes its secrets out of whatever it hands on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from orchestrator.exceptions import CredentialsClosed, Problem
from orchestrator.security import secret_values

MAX_VALUE = 8192
MAX_VALUES = 50
GENERIC = "generic"
_SHOWN_FROM = 12
"""Characters that a secret must have for its last four to be shown."""


@dataclass(frozen=True, slots=True)
class Part:
    """One value of a kind."""

    secret: bool = True
    required: bool = True
    choices: tuple[str, ...] = ()


KINDS: Mapping[str, Mapping[str, Part]] = MappingProxyType(
    {
        "http-basic": {"username": Part(secret=False), "password": Part()},
        "bearer": {"token": Part()},
        "header": {"name": Part(secret=False), "value": Part()},
        "database-url": {"url": Part()},
        "smtp": {
            "host": Part(secret=False),
            "port": Part(secret=False, required=False),
            "username": Part(secret=False, required=False),
            "password": Part(required=False),
            "security": Part(secret=False, required=False, choices=("starttls", "tls", "none")),
        },
        GENERIC: {},
    }
)
"""Every kind, with its values; `generic` has whatever values one gives it, all of them secret."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a node gets: the kind, and the values by name."""

    kind: str
    values: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A credential as it travels: the id of its row, its kind, its ciphertext."""

    id: str
    kind: str
    sealed: str = field(repr=False)


class Credentials:
    """The credentials that came with an order, by name.

    Args:
        decrypt: opens the ciphertext of the row with an id.
    """

    def __init__(
        self,
        sealed: Mapping[str, Sealed] = MappingProxyType({}),
        decrypt: Callable[[str, str], Mapping[str, str]] | None = None,
    ) -> None:
        self._sealed = sealed
        self._decrypt = decrypt
        self._opened: dict[str, Credential] = {}

    def add(self, name: str, credential: Credential) -> None:
        """Put one here that is open already; its secrets are registered."""
        secret_values.register(secrets_of(credential.kind, credential.values))
        self._opened[name] = credential

    def open(self, name: str) -> Credential:
        """Return a credential.

        Raises:
            CredentialsClosed: it did not come with the order, or no key opens it.
        """
        if name not in self._opened:
            found = self._sealed.get(name)
            if found is None or self._decrypt is None:
                raise CredentialsClosed(f"the credential {name!r} is not at hand here")
            try:
                values = self._decrypt(found.id, found.sealed)
            except CredentialsClosed as error:
                raise CredentialsClosed(f"the credential {name!r}: {error.message}") from None
            self.add(name, Credential(found.kind, MappingProxyType(dict(values))))
        return self._opened[name]


def secrets_of(kind: str, values: Mapping[str, str]) -> list[str]:
    """Return what of the values is secret, the most telling first."""
    parts = KINDS.get(kind, {})
    found = [value for name, value in values.items() if parts.get(name, Part()).secret]
    passwords = [unquote(p) for p in map(_password, found) if p] if kind == "database-url" else []
    return [*passwords, *found]


def fingerprint(kind: str, values: Mapping[str, str]) -> str:
    """Return the last four characters of the secret, by which a person knows it again; nothing of
    one that is short, and of several secrets nothing."""
    secrets = secrets_of(kind, values)
    if not secrets or (kind == GENERIC and len(secrets) > 1):
        return ""
    return secrets[0][-4:] if len(secrets[0]) >= _SHOWN_FROM else ""


def problems(kind: str, values: Any) -> list[Problem]:
    """Return what is wrong with values, never with one of them."""
    if kind not in KINDS:
        return [Problem("kind", f"use one of {', '.join(KINDS)}")]
    if not isinstance(values, Mapping) or not values or len(values) > MAX_VALUES:
        return [Problem("values", f"an object of 1 to {MAX_VALUES} named texts is needed")]
    parts = KINDS[kind]
    found = [
        Problem(f"values.{name}", "is needed")
        for name, part in parts.items()
        if part.required and not values.get(name)
    ]
    for name, value in values.items():
        message = _wrong(parts, str(name), value)
        if message and not any(problem.path == f"values.{name}" for problem in found):
            found.append(Problem(f"values.{str(name)[:100]}", message))
    return found


def _wrong(parts: Mapping[str, Part], name: str, value: Any) -> str:
    if parts and name not in parts:
        return f"there is no such value; use {', '.join(parts)}"
    part = parts.get(name, Part())
    if not isinstance(value, str) or not name or "\0" in value or len(value) > MAX_VALUE:
        return f"must be a text of at most {MAX_VALUE} characters"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "holds half a character"
    if part.choices and value and value not in part.choices:
        return f"use one of {', '.join(part.choices)}"
    if name == "port" and value and not (value.isdecimal() and 0 < int(value) < 65536):
        return "must be a number from 1 to 65535"
    if name == "url" and not _is_url(value):
        return "must be a URL such as postgresql://user:password@host/name"
    # A URL is long, and the password in it is what must not be read.
    secret = unquote(_password(value) or "") or value if name == "url" else value
    if part.secret and value and len(secret) < secret_values.SHORTEST:
        what = "a password of " if name == "url" else ""
        return (
            f"has {what}less than {secret_values.SHORTEST} characters: so short a secret could "
            "not be told from other text, and so not be kept out of logs"
        )
    return ""


def _is_url(value: str) -> bool:
    try:
        return bool(urlsplit(value).scheme)
    except ValueError:
        return False


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None
