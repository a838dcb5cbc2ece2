"""Addresses of HTTP: checked with the parser that the client uses, so that both mean the same."""

import httpx

from orchestrator.exceptions import InvalidRequest
from orchestrator.security.egress.policy import host_name

MAX_URL = 8192


def parse_url(text: str) -> httpx.URL:
    """Return a URL of http or https, without its fragment.

    Raises:
        InvalidRequest: it is none, too long, or holds a name or a password.
    """
    if len(text) > MAX_URL:
        raise InvalidRequest(f"An address has at most {MAX_URL} characters.")
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"This is no address: {error}.") from None
    if url.scheme not in ("http", "https"):
        raise InvalidRequest("An address begins with http:// or https://.")
    if url.userinfo:
        raise InvalidRequest("A name and a password do not belong into an address.")
    if not url.host or host_name(url.host) is None:
        raise InvalidRequest("The address names no host.")
    return url.copy_with(fragment=None)


def join_url(base: str, target: str) -> httpx.URL:
    """Return the URL that a page at `base` means by `target`.

    Raises:
        InvalidRequest: it is none of http or https.
    """
    try:
        return parse_url(str(httpx.URL(base).join(target)))
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidRequest(f"This is no address: {error}.") from None


def shown(url: httpx.URL) -> str:
    """Return a URL as errors and logs show it: without its query, which may hold secrets."""
    return str(url.copy_with(query=None, fragment=None, userinfo=b""))[:500]
