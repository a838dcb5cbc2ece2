"""What a proxy in front of us changed, put right before anything else looks at a request.

Behind this a scope is as if there were no proxy: scheme, host and client are those of the browser,
and the path begins with the prefix below which the site is served, as ASGI has it.
"""

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from django.core.exceptions import ImproperlyConfigured

Scope = dict[str, Any]
ANYBODY = "*"
_SECURE = {"http": "https", "ws": "wss"}


class BehindProxy:
    """Believes the `X-Forwarded-` headers of trusted proxies, and knows the prefix.

    Args:
        prefix: what the addresses of the site begin with, such as `/flows`; empty for nothing.
        trusted: addresses and networks of proxies, or `*`.
    """

    def __init__(self, application: Any, *, prefix: str = "", trusted: Iterable[str] = ()) -> None:
        self._application = application
        self._prefix = prefix
        self._anybody = ANYBODY in trusted
        self._trusted = [_network(name) for name in trusted if name != ANYBODY]

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            told = self._told(scope)
            if told.get("for"):
                scope["client"] = (told["for"], 0)  # in place: the server's access log looks here
            scope = {**scope, **_seen_outside(scope, told), **self._below_prefix(scope, told)}
        await self._application(scope, receive, send)

    def _told(self, scope: Scope) -> dict[str, str]:
        """Return what a trusted proxy tells, by the header's last part; each proxy adds its own."""
        client = scope.get("client")
        if not self._is_trusted(client[0] if client else None):
            return {}
        told = _last_values(scope, ("proto", "host", "prefix"))
        hops = _values(scope, b"x-forwarded-for")
        told["for"] = next((hop for hop in reversed(hops) if not self._is_trusted(hop)), "")
        return told

    def _is_trusted(self, address: str | None) -> bool:
        if self._anybody or not self._trusted:
            return self._anybody
        try:
            found = ip_address(address or "")
        except ValueError:
            return False
        return any(found in network for network in self._trusted)

    def _below_prefix(self, scope: Scope, told: dict[str, str]) -> Scope:
        """Return the whole path, whether the proxy has taken the prefix away or not.

        One that did so says it. Without a word a path that begins with the prefix has it still;
        any other came past the proxy, as a health check does.
        """
        if not self._prefix:
            return {}
        path = scope["path"]
        whole = path == self._prefix or path.startswith(f"{self._prefix}/")
        inner = path.removeprefix(self._prefix) if whole and "prefix" not in told else path
        return {"root_path": self._prefix, "path": self._prefix + (inner or "/")}


def path_inside(scope: Scope) -> str:
    """Return the path below the prefix."""
    return str(scope["path"]).removeprefix(scope.get("root_path") or "")


def _seen_outside(scope: Scope, told: dict[str, str]) -> Scope:
    changed: Scope = {}
    if told.get("proto") == "https":
        changed["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
    if told.get("host"):
        others = [(name, value) for name, value in scope["headers"] if name.lower() != b"host"]
        changed["headers"] = [(b"host", told["host"].encode("latin-1")), *others]
    return changed


def _last_values(scope: Scope, names: Iterable[str]) -> dict[str, str]:
    found = {name: _values(scope, b"x-forwarded-" + name.encode()) for name in names}
    return {name: values[-1] for name, values in found.items() if values}


def _values(scope: Scope, name: bytes) -> list[str]:
    """Return the comma separated values of a header, in order."""
    whole = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == name]
    return [text.strip() for text in ",".join(whole).split(",") if text.strip()]


def _network(name: str) -> Any:
    try:
        return ip_network(name, strict=False)
    except ValueError:
        message = f"TRUSTED_PROXIES: {name!r} is no address, no network and not `*`."
        raise ImproperlyConfigured(message) from None
