"""What `manage.py check --deploy` refuses: settings with which this system must not be reachable.

Django's own checks of a deployment come with these; they warn, ours are errors.
"""

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import CredentialsClosed
from orchestrator.security.egress.addresses import parse_ip
from orchestrator.security.egress.policy import EgressPolicy
from orchestrator.security.keyring import VARIABLE, Keyring

_MIN_KEY, _MIN_DIFFERENT = 50, 5
_HEADERS = "orchestrator.api.headers.PageHeaders"
_METADATA = ("169.254.169.254", "fd00:ec2::254")
"""Where clouds hand out the credentials of a machine to whoever asks from there."""
_SECRETS = ("secret_key", "credential_keys", "password", "token")


@register(Tags.security, deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    """Return what is wrong with the settings."""
    return [
        *_keys(),
        *_hosts(),
        *_pages(),
        *_egress(),
        *_files(settings.DATA_DIR),
        *_store(orchestrator_settings().REDIS_URL),
    ]


def _keys() -> Iterator[CheckMessage]:
    key = settings.SECRET_KEY
    if len(key) < _MIN_KEY or len(set(key)) < _MIN_DIFFERENT or key.startswith("django-insecure"):
        yield _error(
            1,
            "SECRET_KEY can be guessed: whoever has it logs in as anybody",
            f"Set a random text of at least {_MIN_KEY} characters.",
        )
    keys = orchestrator_settings().CREDENTIAL_KEYS
    try:
        Keyring(keys)
    except CredentialsClosed as error:
        yield _error(2, error.message, "docs/credentials.md tells how to make one.")
    if key in keys:
        yield _error(3, f"{VARIABLE} has SECRET_KEY in it", "Give each its own.")


def _hosts() -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield _error(
            4,
            "ALLOWED_HOSTS is *: any site may give a browser our pages under its own name",
            "List the names at which people reach this site.",
        )
    if "*" in orchestrator_settings().TRUSTED_PROXIES:
        yield Warning(
            "TRUSTED_PROXIES is *: whoever connects may say that they are somebody else",
            hint="List the addresses of your proxies, unless nobody else reaches the port.",
            id="orchestrator.W001",
        )


def _pages() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield _error(5, "DEBUG is on: an error shows settings and data", "Take it out.")
    if not settings.SESSION_COOKIE_SECURE or not settings.CSRF_COOKIE_SECURE:
        yield _error(
            6,
            "the cookies of a session are sent without https as well",
            "Put a proxy with https in front, and set HTTPS=1.",
        )
    if _HEADERS not in settings.MIDDLEWARE:
        yield _error(7, f"{_HEADERS} is not in MIDDLEWARE: pages have no policy", "Put it back.")
    for name, sources in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items():
        weak = {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(map(str, sources))
        if weak and name in ("default-src", "script-src"):
            yield _error(
                8,
                f"CONTENT_SECURITY_POLICY allows {', '.join(sorted(weak))} as {name}",
                "Move scripts into files of your own static folder.",
            )


def _egress() -> Iterator[CheckMessage]:
    policy = EgressPolicy.parse(settings.EGRESS_ALLOW)
    for text in _METADATA:
        address = parse_ip(text)
        if any(address in network for network, _ in policy.allow_networks):
            yield _error(
                9,
                f"EGRESS_ALLOW opens {text}, where a machine's own credentials are to be had",
                "List the hosts that nodes need, and no network that has it.",
            )


def _files(folder: Path) -> Iterator[CheckMessage]:
    for path in (folder / name for name in _SECRETS):
        if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield _error(10, f"others may read {path}", f"chmod 600 {path}")


def _store(url: str) -> Iterator[CheckMessage]:
    """Ask the server of REDIS_URL for something, without the password."""
    import redis

    client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
    given = client.connection_pool.connection_kwargs
    if "path" in given:
        return
    given.update(username=None, password=None)
    try:
        client.ping()
    except redis.AuthenticationError:
        return
    except (redis.RedisError, OSError) as error:
        yield Warning(
            f"whether Redis asks for a password is not known: {type(error).__name__}",
            hint="Run the check where the web process and the runners run.",
            id="orchestrator.W002",
        )
    else:
        yield _error(
            11,
            "Redis serves whoever connects: all that is in queues can be read and written",
            "Set requirepass or an ACL, and the password in REDIS_URL.",
        )
    finally:
        client.close()


def _error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"orchestrator.E{number:03}")
