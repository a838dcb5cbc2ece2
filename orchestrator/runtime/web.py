"""The web process: uvicorn with our options, and a lifeline to its parent where it has one.

Below `manage.py up` it writes an access log into the data folder; `manage.py web` to its terminal.
"""

import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn

from orchestrator.runtime import lifeline
from orchestrator.runtime.web_socket import PatientSocket

SOCKET_VARIABLE = "ORCHESTRATOR_WEB_FD"
ACCESS_LOG = Path("files/logs/access.log")
"""Below the data folder, where file nodes may read it."""

DRAIN_SECONDS = 20
KEEP_ALIVE_SECONDS = 75
"""Of an idle connection: longer than proxies keep theirs, mostly 60 seconds. Whoever closes first
may cut off a request that is just being sent, and a proxy does not send a POST again."""
WEBSOCKET_FRAME = 64 * 1024


class CombinedFormatter(logging.Formatter):
    """Format an access of uvicorn as the *combined* log format; what it does not know is `-`."""

    converter = time.gmtime
    default_time_format = "%d/%b/%Y:%H:%M:%S +0000"

    def format(self, record: logging.LogRecord) -> str:
        client, method, path, version, status = record.args or ("-", "-", "-", "-", "-")
        host = str(client).rpartition(":")[0] or "-"
        request = f"{method} {path} HTTP/{version}".replace('"', "%22")
        when = self.formatTime(record, self.default_time_format)
        return f'{host} - - [{when}] "{request}" {status} - "-" "-"'


def open_access_log(data_dir: Path) -> Path:
    """Return the path of the access log, and make it, so that a workflow can follow it at once."""
    path = data_dir / ACCESS_LOG
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def log_config(access_log: Path | None) -> dict[str, Any]:
    """Return uvicorn's logging: accesses to the file or the terminal, the rest to the terminal."""
    to_file = {"class": "logging.handlers.WatchedFileHandler", "filename": str(access_log)}
    to_terminal = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"combined": {"()": f"{__name__}.CombinedFormatter"}},
        "handlers": {
            "access": {"formatter": "combined", **(to_file if access_log else to_terminal)},
        },
        "loggers": {
            "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
            "uvicorn.error": {"level": "WARNING"},
        },
    }


def serve(host: str, port: int, access_log: Path | None = None) -> None:
    """Serve until TERM, or until the parent is gone; requests in hand are answered first."""
    config = uvicorn.Config(
        "config.asgi:application",
        host=host,
        port=port,
        log_config=log_config(access_log),
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws=PatientSocket,
        ws_max_size=WEBSOCKET_FRAME,
        ws_per_message_deflate=False,  # it would pack each event anew for each client
        proxy_headers=False,
        server_header=False,
    )
    server = uvicorn.Server(config)
    # uvicorn drains on TERM and then sends it to itself again: that was a clean end.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    inherited = os.environ.pop(SOCKET_VARIABLE, "")
    lifeline.watch_parent()
    server.run(sockets=[socket.socket(fileno=int(inherited))] if inherited else None)


if __name__ == "__main__":
    serve(
        "127.0.0.1",
        int(os.environ.get("PORT") or 8000),
        open_access_log(Path(os.environ["DATA_DIR"])),
    )
