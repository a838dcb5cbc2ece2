"""Digests of JSON values that are kept beside them in a database."""

import hashlib
import json
import re
from typing import Any

_ZERO = re.compile(r'"(?:[^"\\]|\\.)*"|-0\.0(?!\d)')


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value, in hex.

    It is the same for what PostgreSQL gives back, which keeps neither the order of keys nor the
    sign of a zero.
    """
    body = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    if "-0.0" in body:
        body = _ZERO.sub(lambda found: "0.0" if found[0] == "-0.0" else found[0], body)
    return hashlib.sha256(body.encode()).hexdigest()
