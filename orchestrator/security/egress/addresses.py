"""Which addresses are public, and so open to nodes. Everything else has to be opened by name.

The networks are listed rather than asked of `ipaddress`: `is_private` misses some of them, which
ones depends on the version of Python.
"""

import ipaddress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IP = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

DENIED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
PUBLIC_V6 = IPv6Network("2000::/3")
DENIED_V6 = tuple(
    IPv6Network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_MAPPED = IPv6Network("::ffff:0:0/96")
_NAT64 = IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = IPv6Network("::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ISATAP = (0x00005EFE, 0x02005EFE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address that was checked: connect to `ip`, and let TLS expect `host`."""

    host: str
    ip: str
    port: int


def parts_of(ip: IP) -> list[IP]:
    """Return every address that packets to this one may end up at.

    A mapped IPv4 address (`::ffff:10.0.0.1`), and one that a NAT64 translates, is the inner one.
    Other forms that hold an IPv4 address stand for both.
    """
    if isinstance(ip, IPv4Address):
        return [ip]
    number = int(ip)
    last = IPv4Address(number & 0xFFFFFFFF)
    if ip in _MAPPED or ip in _NAT64:
        return [last]
    if ip in _COMPATIBLE or ip in _NAT64_LOCAL:
        return [ip, last]
    if ip in _SIX_TO_FOUR:
        return [ip, IPv4Address(number >> 80 & 0xFFFFFFFF)]
    if ip in _TEREDO:
        server = IPv4Address(number >> 64 & 0xFFFFFFFF)
        return [ip, server, IPv4Address(int(last) ^ 0xFFFFFFFF)]
    if number >> 32 & 0xFFFFFFFF in _ISATAP:
        return [ip, last]
    return [ip]


def is_public(ip: IP) -> bool:
    """Tell whether an address, taken by itself, is one of the internet's."""
    if isinstance(ip, IPv4Address):
        return not any(ip in network for network in DENIED_V4)
    return ip in PUBLIC_V6 and not any(ip in network for network in DENIED_V6)


def parse_ip(text: str) -> IP | None:
    """Return an address as the resolver writes it; None for one with a scope, or for none."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if isinstance(ip, IPv6Address) and ip.scope_id else ip
