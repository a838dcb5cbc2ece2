"""An HTTP client that connects to nothing but what was checked, at every redirect anew."""

import http.cookiejar
from collections.abc import Iterable

import httpcore
import httpx

from orchestrator.exceptions import EgressDenied
from orchestrator.security.egress.addresses import Address
from orchestrator.security.egress.connect import CONNECT_TIMEOUT, first_of, tls_context

TIMEOUT = 30.0
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=15.0)
_SocketOptions = Iterable[httpcore.SOCKET_OPTION]


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens the client's connections. TLS goes on to expect the host of the address."""

    def __init__(self) -> None:
        self._sockets = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to an address of the host that was checked.

        Raises:
            EgressDenied: the host is closed to nodes.
        """

        async def open_one(address: Address, seconds: float) -> httpcore.AsyncNetworkStream:
            try:
                return await self._sockets.connect_tcp(
                    address.ip, port, seconds, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                raise OSError(str(error)) from error

        try:
            return await first_of(host, port, open_one, timeout or CONNECT_TIMEOUT, web=True)
        except TimeoutError:
            raise httpcore.ConnectTimeout("nobody answers") from None
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: _SocketOptions | None = None
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no node reaches a socket of this machine.

        Raises:
            EgressDenied: always.
        """
        raise EgressDenied("sockets of this machine are closed to nodes")

    async def sleep(self, seconds: float) -> None:
        await self._sockets.sleep(seconds)


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self) -> None:
        context = tls_context()
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=context,
            max_connections=_LIMITS.max_connections,
            max_keepalive_connections=_LIMITS.max_keepalive_connections,
            keepalive_expiry=_LIMITS.keepalive_expiry,
            network_backend=GuardedBackend(),
        )


def http_client(*, timeout: float = TIMEOUT) -> httpx.AsyncClient:
    """Return a client that is guarded: close it with `aclose`.

    It heeds no proxy of the environment, keeps no cookies and follows no redirect by itself;
    `exchange` does, and reads no more of an answer than allowed.

    Args:
        timeout: seconds for each single step but connecting, which has CONNECT_TIMEOUT.
    """
    refuse_all = http.cookiejar.DefaultCookiePolicy(allowed_domains=[])
    return httpx.AsyncClient(
        transport=_Transport(),
        trust_env=False,
        follow_redirects=False,
        cookies=http.cookiejar.CookieJar(refuse_all),
        timeout=httpx.Timeout(timeout, connect=CONNECT_TIMEOUT),
        headers={"User-Agent": "workflow-orchestrator", "Accept-Encoding": "gzip, deflate"},
    )
