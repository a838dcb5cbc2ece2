"""Bearer tokens: 256 random bits behind a prefix that secret scanners can find.

Only the SHA-256 is kept. A slow hash would add nothing: the token cannot be guessed.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass

PREFIX = "wo_"
_SHAPE = re.compile(r"wo_[A-Za-z0-9_-]{43}")
_SHOWN = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that was just made. `raw` is shown once and never kept."""

    raw: str
    prefix: str
    digest: str


def new_token() -> NewToken:
    """Make a token."""
    raw = PREFIX + secrets.token_urlsafe(32)
    return NewToken(raw=raw, prefix=raw[:_SHOWN], digest=digest_of(raw))


def digest_of(raw: str) -> str:
    """Return what is kept of a token, and looked up when it comes back."""
    return hashlib.sha256(raw.encode("utf-8", "surrogatepass")).hexdigest()


def bearer(header: str | None) -> str | None:
    """Return the token of an Authorization header; None when it is of another scheme.

    An empty string stands for a bearer header that cannot hold a token of ours.
    """
    scheme, _, value = (header or "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    value = value.strip()
    return value if _SHAPE.fullmatch(value) else ""
