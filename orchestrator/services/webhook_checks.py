"""What a request to a webhook has to prove.

The credential is decrypted in the web process for this comparison alone. Nothing of it is told to
anybody: whatever is wrong, the caller hears the same.
"""

import base64
import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Mapping

from orchestrator.exceptions import (
    CredentialsClosed,
    NotAllowed,
    NotAuthenticated,
    NotFound,
)
from orchestrator.models import WorkflowVersion
from orchestrator.runtime.credentials import opened, run_as, sealed
from orchestrator.security.credentials import Credential
from orchestrator.services.webhooks import Hook

logger = logging.getLogger(__name__)
NOT_PASSED_ON = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Headers that no item has, whatever a webhook checks."""
OLDEST = 300.0
"""Seconds that the time of a signed request may differ from ours."""
_DIGITS = 12
Headers = Mapping[str, str]


def check(hook: Hook, headers: Headers, body: bytes) -> frozenset[str]:
    """Let a request pass, and return the names of headers that hold what nobody else may see.

    Args:
        headers: with lower-case names.

    Raises:
        NotAuthenticated: it does not prove what the webhook demands.
        CredentialsClosed: the webhook has no credential at present to compare with.
    """
    kind = hook.settings["check"]
    if kind == "none":
        return NOT_PASSED_ON
    if kind == "hmac":
        name, proof = _signature(hook, _signed(hook, headers, body))
    else:
        name, proof = _token(hook)
    if not proof(headers.get(name, "")):
        raise NotAuthenticated("the request does not prove that it may call this webhook")
    return NOT_PASSED_ON | {name}


Proof = tuple[str, Callable[[str], bool]]
"""The name of a header, and what tells whether its value is right."""


def _same(expected: str) -> Callable[[str], bool]:
    return lambda given: hmac.compare_digest(_raw(given), expected.encode())


def _bearer(values: Mapping[str, str]) -> Proof:
    return "authorization", _scheme("bearer", _same(values["token"]))


def _basic(values: Mapping[str, str]) -> Proof:
    login = base64.b64encode(f"{values['username']}:{values['password']}".encode()).decode()
    return "authorization", _scheme("basic", _same(login))


def _header(values: Mapping[str, str]) -> Proof:
    return values["name"].lower(), _same(values["value"])


def _scheme(name: str, proof: Callable[[str], bool]) -> Callable[[str], bool]:
    def compare(given: str) -> bool:
        scheme, _, rest = given.partition(" ")
        return proof(rest.strip()) and scheme.lower() == name

    return compare


_PROOFS = {"bearer": _bearer, "http-basic": _basic, "header": _header}


def _token(hook: Hook) -> Proof:
    credential = _credential(hook, hook.settings["credential"])
    if credential.kind not in _PROOFS:  # another has its name by now
        raise _closed(hook, f"it cannot compare with a credential of the kind {credential.kind}")
    return _PROOFS[credential.kind](credential.values)


def _signed(hook: Hook, headers: Headers, body: bytes) -> bytes | None:
    """Return what the signature has to be of; None for a request that was not made just now."""
    name = hook.settings.get("timestamp_header")  # what was started before there was one has none
    if not name:
        return body
    told = headers.get(name.lower(), "")
    if not (told.isascii() and told.isdigit() and len(told) <= _DIGITS):
        return None
    if abs(time.time() - int(told)) > OLDEST:
        return None
    return b"%b.%b" % (told.encode(), body)


def _signature(hook: Hook, signed: bytes | None) -> Proof:
    values = _credential(hook, hook.settings["secret"]).values
    if "secret" not in values:
        raise _closed(hook, "its credential has no value named secret")
    digest = hmac.new(values["secret"].encode(), signed or b"", hashlib.sha256)
    accepted = (digest.hexdigest().encode(), base64.b64encode(digest.digest()))

    def compare(given: str) -> bool:
        text = _raw(given.removeprefix("sha256="))
        in_hex, in_base64 = (hmac.compare_digest(text, each) for each in accepted)
        return signed is not None and (in_hex or in_base64)

    return hook.settings["signature_header"].lower(), compare


def _raw(given: str) -> bytes:
    # A header's bytes come as latin-1; what was sent is UTF-8.
    return given.encode("latin-1", "replace")


def _credential(hook: Hook, name: str) -> Credential:
    """Open a credential, if whoever saved the version may use it at this moment."""
    versions = WorkflowVersion.objects.defer("definition").select_related("created_by")
    try:
        version = versions.get(workflow_id=hook.workflow, number=hook.version)
        return opened(sealed(run_as(version.created_by), [name])).open(name)
    except (CredentialsClosed, NotAllowed, NotFound, WorkflowVersion.DoesNotExist) as error:
        raise _closed(hook, str(error)) from None


def _closed(hook: Hook, why: str) -> CredentialsClosed:
    logger.warning("the webhook %s of %s refuses requests: %s", hook.path, hook.workflow, why)
    return CredentialsClosed("this webhook cannot check requests at present")
