"""Whether a process of ours still works, asked by whoever restarts it: `python -m ... ROLE`; with
`ready` for the role, whether the web process should be sent requests.

A runner and a worker give a sign every second from the event loop that does their work. The sign
says nothing about Redis or the database: both wait for those, and to start them anew would help
nobody. It imports nothing but Python's own modules, as it is asked every few seconds.
"""

import asyncio
import contextlib
import http.client
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping

logger = logging.getLogger(__name__)

VARIABLE = "HEALTH_FILE"
"""Names the file of the signs; without it no sign is given."""
PERIOD = 1.0
PATIENCE = 15.0
"""Seconds without a sign after which a process is taken for dead."""
TIMEOUT = 3.0
LOOKING = 6.0
"""Seconds for `/readyz`, which waits for the database and for Redis."""


class Unhealthy(Exception):
    """The process does not answer."""


@contextlib.asynccontextmanager
async def signs() -> AsyncIterator[None]:
    """Give a sign of life, again and again, where HEALTH_FILE says; none is left at the end."""
    giving = asyncio.create_task(_give())
    try:
        yield
    finally:
        giving.cancel()
        await asyncio.wait([giving])


async def _give() -> None:
    if not (path := os.environ.get(VARIABLE)):
        return
    try:
        await _write_often(path)
    except OSError as error:
        logger.error("no sign of life can be given in %s: %s", path, error.strerror)


async def _write_often(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            # Monotonic, as all of one machine have the same and nobody sets it; one short write at
            # one place, so that no reader finds half of it.
            os.pwrite(fd, f"{time.monotonic():020.3f}\n".encode(), 0)
            await asyncio.sleep(PERIOD)
    finally:
        os.close(fd)
        os.unlink(path)  # or whoever comes next would seem to be well before it is


def check_signs(environment: Mapping[str, str]) -> None:
    """Raise unless a sign was given lately.

    Raises:
        Unhealthy: it was not.
    """
    path = environment.get(VARIABLE)
    if not path:
        raise Unhealthy(f"{VARIABLE} is not set: set it for the process and for this check")
    try:
        with open(path, "rb") as file:
            age = time.monotonic() - float(file.read(64))
    except (OSError, ValueError) as error:
        raise Unhealthy(f"no sign of life in {path}: {error}") from None
    if not 0 <= age <= PATIENCE:
        raise Unhealthy(f"the last sign of life in {path} is not of the last {PATIENCE:.0f} s")


def check_web(environment: Mapping[str, str]) -> None:
    """Raise unless the web process of this machine answers.

    Raises:
        Unhealthy: it does not.
    """
    _ask(environment, "/healthz", TIMEOUT)


def check_ready(environment: Mapping[str, str]) -> None:
    """Raise unless the web process of this machine has all that it needs for requests.

    Raises:
        Unhealthy: it has not.
    """
    _ask(environment, "/readyz", LOOKING)


def _ask(environment: Mapping[str, str], path: str, patience: float) -> None:
    port = int(environment.get("PORT") or 8000)
    hosts = environment.get("ALLOWED_HOSTS") or "localhost"
    host = hosts.split(",")[0].strip().lstrip(".")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
    try:
        connection.request("GET", path, headers={"Host": host if host != "*" else "localhost"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise Unhealthy(f"port {port} does not answer: {error}") from None
    finally:
        connection.close()
    if status != http.HTTPStatus.OK:
        raise Unhealthy(f"{path} answered {status}")


CHECKS = {"web": check_web, "runner": check_signs, "worker": check_signs, "ready": check_ready}


def main(arguments: list[str], environment: Mapping[str, str]) -> str:
    """Check one role; return what is wrong, or nothing."""
    if len(arguments) != 1 or arguments[0] not in CHECKS:
        return f"give one of: {', '.join(CHECKS)}"
    try:
        CHECKS[arguments[0]](environment)
    except Unhealthy as error:
        return f"{arguments[0]}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ) or 0)
