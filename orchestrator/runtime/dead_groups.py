"""Which dead letters tell of the same error: those of one node whose messages have one shape."""

import re
from hashlib import sha256

_LOOKED_AT = 1000
_TOKEN = re.compile(r"""[^\s'"`(){}\[\]<>,;:=]+""")
_DIGIT = re.compile(r"\d")
_HTTP_ERROR = re.compile(r"[45]\d\d")


def shape(message: str) -> str:
    """Return the first line of a message without what differs from item to item.

    That is every word with a digit in it: numbers, ids, times. Only what may be the status of an
    HTTP answer stays: 404 and 503 are two errors. Rather two groups of one error than two errors
    in one group.
    """
    line = message[:_LOOKED_AT].strip().partition("\n")[0]
    return _TOKEN.sub(_masked, line)


def fingerprint(workflow: str, node_id: str, reason: str, error_type: str, message: str) -> str:
    """Return what dead letters of the same error have in common: 32 hexadecimal digits."""
    parts = "\0".join((workflow, node_id, reason, error_type, shape(message)))
    return sha256(parts.encode("utf-8", "backslashreplace")).hexdigest()[:32]


def _masked(found: re.Match[str]) -> str:
    token = found[0]
    return token if not _DIGIT.search(token) or _HTTP_ERROR.fullmatch(token) else "#"
