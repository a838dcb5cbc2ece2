"""W4: one node on the bench over HTTP, beside a bare view of Django REST framework.

`/dev/execute` runs a node that does nothing, with cached input, in a bench child, and keeps its
output. The bare view reads one key of Redis and writes one. Both are served by one web process with
the project's own settings, token look-up and middleware, and are asked for in turn, by 8
connections of a client in a process of its own. Medians are compared, and only ratios within one
run mean something.

    python bench/dev_execute.py [ROUNDS] [SECONDS OF EACH ROUND]
"""

import contextlib
import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sides import HERE, private_server

from orchestrator.runtime import lifeline
from orchestrator.security.keyring import new_key

BUDGET = 1.0
CONNECTIONS = 8
CLIENT_LIMIT = 0.5
"""Share of a core; a client that takes more might be what is measured."""

_HOST = "127.0.0.1"
_WORKFLOW = {
    "name": "W4",
    "nodes": [
        {"id": "source", "type": "counter", "data": {"form": {"stop": 10}}},
        {"id": "noop", "type": "noop", "data": {}},
    ],
    "edges": [{"id": "e", "source": "source", "target": "noop"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A web process of our own."""

    port: int
    token: str

    def send(self, method: str, path: str, body: Any) -> Any:
        request = urllib.request.Request(
            f"http://{_HOST}:{self.port}{path}",
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.token}",
                "Content-Type": "application/json",
            },
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{path}: {error.code} {error.read().decode()}") from None

    def load(self, path: str, body: Any, seconds: float) -> dict[str, Any]:
        """Send requests for some seconds and return what the client saw."""
        client = [sys.executable, str(HERE / "http_load.py"), _HOST, str(self.port), path]
        done = subprocess.run(
            [*client, str(CONNECTIONS), str(seconds)],
            input=json.dumps({"token": self.token, "body": body}),
            capture_output=True,
            text=True,
            check=True,
            timeout=seconds + 60,
        )
        return dict(json.loads(done.stdout))


@contextlib.contextmanager
def web_process() -> Iterator[Server]:
    """Serve on a database and a Redis of its own; it ends with this process at the latest."""
    with (
        tempfile.TemporaryDirectory(prefix="w4-") as folder,
        private_server() as redis_url,
        contextlib.ExitStack() as started,
    ):
        with socket.socket() as free:
            free.bind((_HOST, 0))
            port = free.getsockname()[1]
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "contenders.bare_settings",
            "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)]),
            "DATA_DIR": folder,
            "DATABASE_URL": "",
            "REDIS_URL": redis_url,
            "SECRET_KEY": secrets.token_urlsafe(32),
            "ORCHESTRATOR_CREDENTIAL_KEYS": new_key(),
            "PORT": str(port),
            "LOG_LEVEL": "WARNING",
            "DJANGO_SUPERUSER_PASSWORD": secrets.token_urlsafe(16),
        }
        manage(environment, "migrate", "-v0")
        manage(environment, "createsuperuser", "--noinput", "--username=ada", "--email=")
        token = manage(environment, "create_token", "ada").split()[-1]
        held, lost = os.pipe()
        environment[lifeline.VARIABLE] = str(held)
        web = subprocess.Popen(
            [sys.executable, "-m", "orchestrator.runtime.web"],
            cwd=folder, env=environment, pass_fds=[held],
        )  # fmt: skip
        os.close(held)
        started.callback(web.wait)
        started.callback(os.close, lost)
        wait_for(port)
        yield Server(port=port, token=token)


def manage(environment: dict[str, str], *arguments: str) -> str:
    command = [sys.executable, str(HERE.parent / "manage.py"), *arguments]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection((_HOST, port), 1):
            return
        time.sleep(0.1)
    raise SystemExit("the web process does not answer")


def main(rounds: int, seconds: float) -> int:
    with web_process() as server:
        workflow = server.send("POST", "/workflows/", _WORKFLOW)["id"]
        server.send("POST", "/dev/execute", {"workflow_id": workflow, "node_id": "source"})
        body = {"workflow_id": workflow, "node_id": "noop"}
        sides = {"/dev/execute": body, "/bare": body}
        for path in sides:
            server.load(path, body, 1)  # the children are started, the tables are warm
        speeds: dict[str, list[float]] = {path: [] for path in sides}
        for number in range(rounds):
            for path in sides:
                seen = server.load(path, body, seconds)
                if seen["failures"]:
                    raise SystemExit(f"{path}: {seen['failures']} failed: {seen['failed']}")
                if seen["busy"] > CLIENT_LIMIT:
                    raise SystemExit(f"the client took {seen['busy']:.0%} of a core")
                speeds[path].append(seen["speed"])
                print(
                    f"round {number + 1}: {path:<13} {seen['speed']:8,.0f} req/s"
                    f"   client {seen['busy']:.0%} of a core",
                    flush=True,
                )
    middle = {path: statistics.median(found) for path, found in speeds.items()}
    ratio = middle["/dev/execute"] / middle["/bare"]
    print()
    for path, speed in middle.items():
        print(f"{path:<13} {speed:8,.0f} req/s")
    reached = "reached" if ratio >= BUDGET else "NOT reached"
    print(f"/dev/execute / bare view {ratio:.2f}   at least {BUDGET:g}: {reached}")
    return 0 if ratio >= BUDGET else 1


if __name__ == "__main__":
    arguments = sys.argv[1:]
    sys.exit(
        main(
            int(arguments[0]) if arguments else 5,
            float(arguments[1]) if len(arguments) > 1 else 4.0,
        )
    )
