"""What HTTP nodes make of answers: values, errors, times to wait."""

import base64
import random
import sys
import time
from email.utils import parsedate_to_datetime

from nodes.contract import Json
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.security.egress import Answer, parse_url, shown
from storage.codec import decode, encode

LONGEST_WAIT = 60.0
"""Seconds that are waited before a request is sent again, whatever the server says."""
_TEXTS = ("xml", "javascript", "x-www-form-urlencoded", "yaml")


def value_of(answer: Answer, kind: str, node_id: str) -> Json:
    """Return the body: JSON, a text, or base64. An empty one that is to be JSON is None.

    Args:
        kind: `json`, `text`, `base64`, or `auto` for what the content type says.

    Raises:
        NodeFailed: it is not what it is to be.
    """
    kind = _kind_of(answer) if kind == "auto" else kind
    if kind == "base64":
        return base64.b64encode(answer.body).decode()
    if kind == "json" and not answer.body.strip():
        return None
    try:
        text = answer.body.decode(answer.charset or "utf-8")
        value = decode(text) if kind == "json" else text
        encode(value, sys.maxsize)  # what an item cannot hold is said here, and not later on
    except (LookupError, UnicodeDecodeError) as error:
        raise _unusable(answer, f"is no text: {error}", node_id) from None
    except InvalidPayload as error:
        raise _unusable(answer, f"cannot be read as {kind}: {error.message}", node_id) from None
    return value


def check_status(answer: Answer, what: str, node_id: str) -> None:
    """Let an answer pass whose status is below 400.

    Raises:
        NodeFailed: of the type HttpStatus. The body is not told: it may hold what was sent.
    """
    if answer.status >= 400:
        raise NodeFailed(
            f"{what}: status {answer.status}", node_id=node_id, error_type="HttpStatus"
        )


def wait_before(attempt: int, answer: Answer | None) -> float:
    """Return the seconds to wait before a request is sent again; the first time is attempt 1."""
    said = None if answer is None else retry_after(answer)
    if said is None:
        said = 2.0 ** (attempt - 1) * random.uniform(0.9, 1.1)
    return min(said, LONGEST_WAIT)


def retry_after(answer: Answer) -> float | None:
    """Return the seconds that a Retry-After header asks for, or None."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:10])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def _kind_of(answer: Answer) -> str:
    media = answer.media_type
    if media == "application/json" or media.endswith("+json"):
        return "json"
    if not media or media.startswith("text/") or any(word in media for word in _TEXTS):
        return "text"
    return "base64"


def _unusable(answer: Answer, why: str, node_id: str) -> NodeFailed:
    where = shown(parse_url(answer.url))
    return NodeFailed(
        f"the answer of {where} {why}"[:1000], node_id=node_id, error_type="HttpAnswer"
    )
