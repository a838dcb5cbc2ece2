"""What a machine and its settings have to give: keys, disk, egress, logs, traces."""

import ipaddress
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import DatabaseError, connections

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import CredentialsClosed
from orchestrator.security.egress.policy import EgressPolicy
from orchestrator.security.keyring import VARIABLE
from orchestrator.services import credential_keys
from orchestrator.services.doctor.findings import Finding, fail, ok, warn

_WARN_FREE, _FAIL_FREE = 2**30, 2**27
_MIN_KEY = 50
_WIDE = 8
"""Networks with so few bits in common are half the world."""
_METADATA = ipaddress.ip_address("169.254.169.254")


def keys() -> Iterator[Finding]:
    try:
        credential_keys.check_keys()
    except CredentialsClosed as error:
        yield fail("keys", error.message, f"Set {VARIABLE}; docs/credentials.md tells how.")
    except DatabaseError:
        message = "whether they open what is stored is not known without the database"
        yield warn("keys", message, "See the database first.")
    else:
        count = len(orchestrator_settings().CREDENTIAL_KEYS)
        yield ok("keys", f"{count} for credentials, and they open what is stored")
    finally:
        connections.close_all()
    if len(settings.SECRET_KEY) < _MIN_KEY:
        advice = f"Set a random text of at least {_MIN_KEY} characters; sessions end with that."
        yield warn("keys", "SECRET_KEY is short: it can be guessed", advice)


def disk() -> Iterator[Finding]:
    folder = settings.DATA_DIR
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        yield fail("disk", f"{folder} cannot be written", "Make it, and give it to our account.")
        return
    yield _room(folder)


def _room(folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    message = f"{usage.free / 2**30:.1f} of {usage.total / 2**30:.0f} GB are free for {folder}"
    if usage.free > _WARN_FREE:
        return ok("disk", message)
    advice = "Make room: files of nodes, SQLite and the embedded server's file are there."
    return (warn if usage.free > _FAIL_FREE else fail)("disk", message, advice)


def egress() -> Iterator[Finding]:
    entries = settings.EGRESS_ALLOW
    policy = EgressPolicy.parse(entries)
    for network, _ in policy.allow_networks:
        if _METADATA in network or network.prefixlen < _WIDE:
            advice = "List the hosts that nodes need, and no network that has it."
            yield warn("egress", f"EGRESS_ALLOW opens {network} to every node", advice)
    opened = ", ".join(entries) or "nothing"
    yield ok("egress", f"nodes may connect to public addresses, and beside them to {opened}")


def logs() -> Iterator[Finding]:
    message = f"LOG_LEVEL is {settings.LOG_LEVEL}, LOG_FORMAT {settings.LOG_FORMAT}"
    if settings.LOG_LEVEL == "DEBUG":
        yield warn("logs", message, "Set INFO: libraries write much, and loops wait for it.")
    else:
        yield ok("logs", message)


def traces() -> Iterator[Finding]:
    """Look whether somebody listens where spans are sent."""
    if not orchestrator_settings().TRACES_PER_SECOND:
        yield ok("traces", "are off")
        return
    url = (
        os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
        or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
        or "http://localhost:4318"
    )
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    place = f"{host}:{port}"
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError as error:
        advice = "Start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT."
        yield warn("traces", f"nobody takes spans at {place}: {error.strerror or error}", advice)
    else:
        yield ok("traces", f"are sent to {place}")
