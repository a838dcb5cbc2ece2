"""Connections of nodes: resolve, check every answer, connect to what was checked."""

import asyncio
import logging
import os
import ssl as tls
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import TypeVar

import certifi

from orchestrator.exceptions import EgressDenied
from orchestrator.security.egress.addresses import IP, Address, parse_ip, parts_of
from orchestrator.security.egress.lookup import is_here
from orchestrator.security.egress.policy import EgressPolicy, host_name, policy

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 3.0
_T = TypeVar("_T")


async def resolve(host: str, port: int, *, web: bool = False) -> list[Address]:
    """Return the addresses of a host, all of which may be connected to.

    A driver that opens its connection itself gets `Address.ip`, never the name: asked again, the
    name may have another answer.

    Args:
        web: whether it is HTTP, which has ports of its own.

    Raises:
        EgressDenied: one of its addresses is closed to nodes.
        OSError: the name has no address.
    """
    rules, name = policy(), host_name(host)
    if name is None or not 0 < port < 65536:
        raise _denied(host, port, "it is no host name with a port")
    texts = await rules.lookup(name, port)
    if not texts:
        raise OSError(f"{name} has no address")
    for text in texts:
        ip = parse_ip(text)
        if ip is None:
            raise _denied(name, port, "it has no public address", text)
        is_own = await _is_own(rules, ip, port)
        if reason := rules.refusal(name, ip, port, web=web, is_own=is_own):
            raise _denied(name, port, reason, text)
    return [Address(host=name, ip=text, port=port) for text in texts]


async def connect(
    host: str,
    port: int,
    *,
    ssl: tls.SSLContext | bool | None = None,
    timeout: float = CONNECT_TIMEOUT,
) -> tuple[StreamReader, StreamWriter]:
    """Open a TCP connection to a host.

    Args:
        ssl: a context, or True for the usual one; the certificate has to be the host's.
        timeout: seconds for everything: the look-up, each address and the handshake.

    Raises:
        EgressDenied: the host is closed to nodes.
        OSError: nobody answers, or the certificate is not valid.
        TimeoutError: not in time.
    """
    context = tls_context() if ssl is True else ssl or None

    async def open_one(address: Address, _: float) -> tuple[StreamReader, StreamWriter]:
        name = address.host if context is not None else None
        return await asyncio.open_connection(
            address.ip, address.port, ssl=context, server_hostname=name
        )

    return await first_of(host, port, open_one, timeout)


async def first_of(
    host: str,
    port: int,
    open_one: Callable[[Address, float], Awaitable[_T]],
    timeout: float,
    *,
    web: bool = False,
) -> _T:
    """Return what the first address gives that can be opened; each has its share of the time.

    Raises:
        EgressDenied: the host is closed to nodes.
        OSError, TimeoutError: what opening the last one raised.
    """
    deadline = time.monotonic() + timeout
    async with asyncio.timeout(timeout):
        addresses = await resolve(host, port, web=web)
    for left in range(len(addresses) - 1, -1, -1):
        share = max((deadline - time.monotonic()) / (left + 1), 0.001)
        try:
            async with asyncio.timeout(share):
                return await open_one(addresses[-1 - left], share)
        except OSError:
            if not left:
                raise
    raise AssertionError("resolve returns an address")


@lru_cache(maxsize=1)
def tls_context() -> tls.SSLContext:
    """Return what TLS trusts: `SSL_CERT_FILE`, the system's certificates, or else certifi's."""
    paths = tls.get_default_verify_paths()
    own = os.environ.get("SSL_CERT_FILE") or paths.cafile or paths.capath
    return tls.create_default_context(cafile=None if own else certifi.where())


def trusted_file() -> str:
    """Return a file with what `tls_context` trusts, for a driver that does TLS by itself."""
    paths = tls.get_default_verify_paths()
    own = os.environ.get("SSL_CERT_FILE") or paths.cafile
    bundle = os.path.join(paths.capath or "", "ca-certificates.crt")  # beside the single ones
    return own or (bundle if paths.capath and os.path.isfile(bundle) else certifi.where())


async def _is_own(rules: EgressPolicy, ip: IP, port: int) -> bool:
    """Tell whether one of our own servers listens at an address."""
    for host, own_port in rules.own:
        if own_port != port:
            continue
        theirs = [found for text in await rules.lookup(host, port) if (found := parse_ip(text))]
        mine = set(parts_of(ip))
        if not mine.isdisjoint(part for found in theirs for part in parts_of(found)):
            return True
        # A server on this machine may listen at all of its addresses.
        if any(is_here(str(part)) for part in mine) and any(is_here(str(ip)) for ip in theirs):
            return True
    return False


def _denied(host: str, port: int, reason: str, address: str = "") -> EgressDenied:
    logger.warning("refused to connect to %.253r port %d (%s): %s", host, port, address, reason)
    return EgressDenied(
        f"{host[:253]!r} port {port} is closed to nodes: {reason}; an operator opens it with"
        " EGRESS_ALLOW"
    )
