"""Credentials of HTTP requests."""

import base64
import re

from nodes.base import BaseNode
from orchestrator.exceptions import NodeFailed
from orchestrator.security.credentials import Credential
from orchestrator.security.egress import Request

_FIXED_HOST = re.compile(r"https?://[^/?#{}@\\\s]+(?:[/?#]|\Z)", re.IGNORECASE)
FIXED_HOST = "With a credential, the address itself names the host: no template before its path."
KINDS = ("http-basic", "bearer", "header")


def has_fixed_host(address: str) -> bool:
    """Tell whether a setting names its host itself: an item must not choose who gets a login."""
    return _FIXED_HOST.match(address.strip()) is not None


async def log_in(node: BaseNode, request: Request) -> None:
    """Put the credential of a node's form, if it names one, into a request of the node.

    Raises:
        NodeFailed: it cannot be used, or an item could choose who gets it.
    """
    if not node.values["credential"]:
        return
    if not has_fixed_host(str(node.config.form["url"])):
        raise _refused(FIXED_HOST)
    apply_credential(request, await node.credential("credential"))


def apply_credential(request: Request, credential: Credential) -> None:
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
    text = name + value
    if not (name and text.isascii() and text.isprintable() and value == value.strip()):
        raise _refused("the credential holds what cannot stand in a header")
    request.headers[name] = value


def _refused(message: str) -> NodeFailed:
    return NodeFailed(message, error_type="CredentialRefused")
