"""Islands: hosts that reach the servers by lines of their own, which can be cut.

A runner on an island is a process of this machine; what makes it another host is that all it hears
of others goes through its lines. One in a network namespace has an interface of its own as well.
"""

import contextlib
import itertools
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.cluster.line import Line
from tests.deployment import Deployment, RunnerProcess
from tests.postgres import Postgres

_numbers = itertools.count(1)


class Island:
    """Args:
    host: the address at which it reaches its lines. inside: a command that puts a process there.
    """

    def __init__(
        self,
        deployment: Deployment,
        postgres: Postgres,
        host: str = "127.0.0.1",
        inside: Sequence[str] = (),
    ) -> None:
        self._deployment = deployment
        self._inside = inside
        self.lines = {
            "redis": Line(deployment.redis.port, host),
            "database": Line(postgres.port, host),
        }
        self.runner: RunnerProcess | None = None

    def start_runner(self, *arguments: str, **environment: str) -> RunnerProcess:
        known = self._deployment.environment
        self.runner = self._deployment.start_runner(
            *arguments,
            inside=self._inside,
            REDIS_URL=self.lines["redis"].url(known["REDIS_URL"]),
            DATABASE_URL=self.lines["database"].url(known["DATABASE_URL"]),
            **environment,
        )
        return self.runner

    def close(self) -> None:
        for line in self.lines.values():
            line.close()


class Wire:
    """A network namespace and the wire to it; who pulls that drops every packet, unheard.

    Raises:
        PermissionError: this machine does not allow it.
    """

    def __init__(self) -> None:
        number = next(_numbers)
        self.name = f"isle-{uuid.uuid4().hex[:6]}"
        self._end = f"v{uuid.uuid4().hex[:8]}"
        net = f"10.{200 + number % 50}.{uuid.uuid4().int % 250}"
        self.host = f"{net}.1"
        _ip("netns", "add", self.name)
        try:
            self._lay(net)
        except PermissionError:
            self.close()
            raise

    def _lay(self, net: str) -> None:
        _ip("link", "add", self._end, "type", "veth", "peer", "name", "inner", "netns", self.name)
        _ip("addr", "add", f"{self.host}/30", "dev", self._end)
        _ip("link", "set", self._end, "up")
        _ip("-n", self.name, "addr", "add", f"{net}.2/30", "dev", "inner")
        for device in ("lo", "inner"):
            _ip("-n", self.name, "link", "set", device, "up")

    @property
    def inside(self) -> list[str]:
        return ["ip", "netns", "exec", self.name]

    @contextmanager
    def pulled(self) -> Iterator[None]:
        _ip("link", "set", self._end, "down")
        yield
        _ip("link", "set", self._end, "up")

    def close(self) -> None:
        with contextlib.suppress(PermissionError):
            _ip("netns", "del", self.name)


def _ip(*arguments: str) -> None:
    try:
        subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise PermissionError(getattr(error, "stderr", "") or str(error)) from None
