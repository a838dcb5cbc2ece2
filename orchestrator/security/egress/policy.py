"""What nodes may connect to: every public address, and what an operator has opened."""

import ipaddress
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from orchestrator.exceptions import InvalidRequest
from orchestrator.security.egress.addresses import IP, Network, is_public, parse_ip, parts_of
from orchestrator.security.egress.lookup import system_lookup

WEB_PORTS = frozenset({80, 443})
Lookup = Callable[[str, int], Awaitable[list[str]]]

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_WITH_PORT = re.compile(r"(\[[^\]]+\]|[^:]+):(\d{1,5})")
_MAX_NAME = 253


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressPolicy:
    """What is open beside public addresses. A port of None is every port.

    allow_networks: networks, each with its port.
    allow_hosts: host names, each with its port; whatever address they have.
    ports: those of HTTP at public addresses.
    own: host and port of our own servers, which are closed unless both are listed.
    lookup: returns the addresses of a host name, as texts.
    """

    allow_networks: tuple[tuple[Network, int | None], ...] = ()
    allow_hosts: frozenset[tuple[str, int | None]] = frozenset()
    ports: frozenset[int] = WEB_PORTS
    own: tuple[tuple[str, int], ...] = ()
    lookup: Lookup = system_lookup

    @classmethod
    def parse(cls, entries: Iterable[str], own: Iterable[tuple[str, int]] = ()) -> "EgressPolicy":
        """Return the policy of a list such as `10.0.0.0/8`, `api.internal`, `db.internal:5432`.

        An entry `*:8443` opens a port of HTTP at public addresses.

        Raises:
            InvalidRequest: naming the entry that is none of these.
        """
        networks: list[tuple[Network, int | None]] = []
        hosts: set[tuple[str, int | None]] = set()
        ports = set(WEB_PORTS)
        for entry in entries:
            place, port = _split(entry.strip())
            if place == "*" and port is not None:
                ports.add(port)
            elif (network := _network(place, entry)) is not None:
                networks.append((network, port))
            else:
                hosts.add((_host(place, entry), port))
        return cls(
            allow_networks=tuple(networks),
            allow_hosts=frozenset(hosts),
            ports=frozenset(ports),
            own=tuple((host_name(host) or host, port) for host, port in own),
        )

    def refusal(self, host: str, ip: IP, port: int, *, web: bool, is_own: bool) -> str:
        """Return why a host may not be connected to at this address, or an empty text.

        Args:
            host: as `host_name` returns it.
            web: whether it is HTTP, which has ports of its own.
            is_own: whether one of our own servers listens there.
        """
        if is_own:
            return "" if self._names(host, ip, port) else "it is a server of the orchestrator"
        if (host, None) in self.allow_hosts or (host, port) in self.allow_hosts:
            return ""
        parts = parts_of(ip)
        opened = [self._opens(part, port) for part in parts]
        if not all(opens or is_public(part) for opens, part in zip(opened, parts, strict=True)):
            return "it has no public address"
        if web and port not in self.ports and not all(opened):
            return f"{port} is no port of HTTP"
        return ""

    def _opens(self, ip: IP, port: int) -> bool:
        return any(ip in network and only in (None, port) for network, only in self.allow_networks)

    def _names(self, host: str, ip: IP, port: int) -> bool:
        """Whether exactly this host, or this one address, is listed with this port."""
        return (host, port) in self.allow_hosts or any(
            only == port and network.num_addresses == 1 and ip in network
            for network, only in self.allow_networks
        )


def host_name(text: str) -> str | None:
    """Return a host as it is compared: in small letters, ASCII, without brackets and last dot.

    None stands for what is no host name and no address.
    """
    name = text.removeprefix("[").removesuffix("]")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return None
    name = name.lower().removesuffix(".")
    if len(name) > _MAX_NAME:
        return None
    return name if _NAME.fullmatch(name) or parse_ip(name) else None


def _split(entry: str) -> tuple[str, int | None]:
    if found := _WITH_PORT.fullmatch(entry):
        port = int(found[2])
        if not 0 < port < 65536:
            raise InvalidRequest(f"EGRESS_ALLOW: {entry!r} has no port between 1 and 65535")
        return found[1].strip("[]"), port
    return entry, None


def _network(place: str, entry: str) -> Network | None:
    try:
        return ipaddress.ip_network(place.replace("%", " "))  # no scopes: `ipaddress` drops them
    except ValueError as error:
        if "/" in place or ":" in place:
            raise InvalidRequest(f"EGRESS_ALLOW: {entry!r} is no network: {error}") from None
        return None


def _host(place: str, entry: str) -> str:
    name = host_name(place)
    if name is None or not _NAME.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise InvalidRequest(
            f"EGRESS_ALLOW: {entry!r} is no network, no host name and none with a port"
        )
    return name


_policy = EgressPolicy()


def install(policy: EgressPolicy) -> None:
    """Let this process's nodes connect to what the policy says."""
    global _policy
    _policy = policy


def policy() -> EgressPolicy:
    """Return the policy in force; until one is installed, nothing but public addresses is open."""
    return _policy
