"""One request: its redirects, its time, and as much of the answer as allowed."""

import asyncio
from dataclasses import dataclass

import httpx

from orchestrator.exceptions import EgressFailed, InvalidRequest
from orchestrator.security.egress.body import read_body
from orchestrator.security.egress.client import TIMEOUT
from orchestrator.security.egress.urls import parse_url, shown

MAX_REDIRECTS = 3
MAX_BODY = 10 * 1024 * 1024
_FOR_ANYBODY = frozenset(
    "accept accept-encoding accept-language connection content-length content-type host"
    " transfer-encoding user-agent".split()
)
"""Headers that another host gets as well; any other may hold a login."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    headers: by their names in small letters. url: behind the redirects. next_url: what a `Link`
    header calls the next page.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    url: str
    charset: str | None
    next_url: str | None

    @property
    def media_type(self) -> str:
        """Return the media type alone: `application/json`."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


async def exchange(
    client: httpx.AsyncClient,
    request: httpx.Request,
    *,
    max_bytes: int = MAX_BODY,
    timeout: float = TIMEOUT,
) -> Answer:
    """Send a request and read its answer, of whatever status.

    At most MAX_REDIRECTS redirects are followed. One to another scheme, host or port gets none of
    the headers in which a login may be.

    Args:
        max_bytes: of the unpacked body.
        timeout: seconds for all of it.

    Raises:
        EgressDenied: a host on the way is closed to nodes.
        EgressFailed: nobody answers, in time, or the answer cannot be used.
    """
    where = shown(request.url)
    try:
        async with asyncio.timeout(timeout):
            response = await _follow(client, request)
            try:
                body = await read_body(response, max_bytes)
            finally:
                await response.aclose()
    except EgressFailed as error:
        raise EgressFailed(f"{where}: {error.message}", unsent=error.unsent) from None
    except TimeoutError:
        raise EgressFailed(f"{where}: no answer within {timeout:g} s") from None
    except httpx.LocalProtocolError:  # its text would show the header that is wrong
        raise EgressFailed(f"{where}: the request cannot be sent as it is") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        reason = str(error) or type(error).__name__
        raise EgressFailed(f"{where}: {reason}", unsent=unsent) from None
    return Answer(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=body,
        url=str(response.url),
        charset=response.charset_encoding,
        next_url=response.links.get("next", {}).get("url"),
    )


async def _follow(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    for _ in range(MAX_REDIRECTS + 1):
        # No login of its own making: neither from the address nor from a netrc file.
        response = await client.send(request, stream=True, auth=None, follow_redirects=False)
        following = response.next_request
        if following is None:
            return response
        await response.aclose()
        try:
            parse_url(str(following.url))
        except InvalidRequest as error:
            raise EgressFailed(f"it redirects to what cannot be used: {error.message}") from None
        if _origin(following.url) != _origin(request.url):
            for name in following.headers.keys() - _FOR_ANYBODY:
                del following.headers[name]
        request = following
    raise EgressFailed(f"it redirects more than {MAX_REDIRECTS} times")


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}[url.scheme]
