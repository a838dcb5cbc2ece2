"""Asking the system's resolver, in threads of its own."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

# A resolver that does not answer holds its threads: those in which nodes run stay free.
_threads = ThreadPoolExecutor(max_workers=16, thread_name_prefix="lookup")


async def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses of a host.

    Raises:
        OSError: it has none, or the resolver is away.
    """
    found = await asyncio.get_running_loop().run_in_executor(_threads, _getaddrinfo, host, port)
    return list(dict.fromkeys(str(address[4][0]) for address in found))


def _getaddrinfo(host: str, port: int) -> list[tuple]:  # type: ignore[type-arg]
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def is_here(ip: str) -> bool:
    """Tell whether an address is one of this machine's own: only those can be bound."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((ip, 0))
        except OSError:
            return False
    return True
