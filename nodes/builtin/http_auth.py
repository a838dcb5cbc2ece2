"""Credentials of HTTP requests."""

import base64
import re
from collections.abc import Mapping
from typing import Protocol

from orchestrator.exceptions import NodeFailed
from orchestrator.security.egress import Request

_FIXED_HOST = re.compile(r"https?://[^/?#{}@\\\s]+(?:[/?#]|\Z)", re.IGNORECASE)
KINDS = ("http-basic", "bearer", "header")


class Login(Protocol):
    """A credential: what it is, and its secret values by name."""

    @property
    def kind(self) -> str: ...
    @property
    def values(self) -> Mapping[str, str]: ...


def has_fixed_host(address: str) -> bool:
    """Tell whether a setting names its host itself: an item must not choose who gets a login."""
    return _FIXED_HOST.match(address.strip()) is not None


def apply_credential(request: Request, credential: Login) -> None:
    """Put a credential into the headers of a request; `exchange` gives them to no other host.

    The values of the kinds: `username` and `password` of http-basic, `token` of bearer, `name` and
    `value` of header.

    Raises:
        NodeFailed: the credential is of another kind, or cannot stand in a header. Never with a
            value of it.
    """
    values, name = credential.values, "Authorization"
    if credential.kind == "http-basic":
        pair = f"{values.get('username', '')}:{values.get('password', '')}"
        value = f"Basic {base64.b64encode(pair.encode()).decode()}"
    elif credential.kind == "bearer":
        value = f"Bearer {values.get('token', '')}"
    elif credential.kind == "header":
        name, value = values.get("name", ""), values.get("value", "")
    else:
        raise _refused(f"a credential of the kind {credential.kind} is none of {', '.join(KINDS)}")
    if not (name and name.isascii() and value.isascii() and (name + value).isprintable()):
        raise _refused("the credential holds what cannot stand in a header")
    request.headers[name] = value


def _refused(message: str) -> NodeFailed:
    return NodeFailed(message, error_type="CredentialRefused")
