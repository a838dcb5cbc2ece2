"""A bench child: it takes requests one after the other, runs a node for each, and answers.

It may serve several requests of one owner, as a process of production runs many items: a fork for
each would cost more than all the rest. What a node leaves behind in its process must not reach the
next request, so each answer says whether anything was left; then the child is not used again.
"""

import asyncio
import contextlib
import logging
import os
import resource
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson

from orchestrator.exceptions import PayloadTooLarge
from orchestrator.logs import LineFormatter
from orchestrator.runtime import descendants
from orchestrator.runtime.bench import errors, requests
from orchestrator.runtime.bench.traces import Traces
from orchestrator.runtime.forked import line
from orchestrator.security.output import redact_prints

ANSWER_LIMIT = 8 * 1024 * 1024
MAX_TASKS = 256
"""Processes and threads that may be started, beside those that the user has."""

BEGUN = b"b"
"""What the keeper is told before the first request."""


def serve(connection: socket.socket, keeper: int, memory: int) -> None:
    """Serve requests until the other side is gone, then end the process.

    Args:
        keeper: descriptor that leads to the keeper.
        memory: bytes that this process may take, and each that it starts.
    """
    _limit(memory)
    redact_prints()
    _log_to_reader()
    lines = connection.makefile("rb")
    raw = lines.readline()
    os.write(keeper, BEGUN)
    os.close(keeper)
    traces = Traces()
    while raw:
        answer = _answer(orjson.loads(raw))
        _flush()
        connection.sendall(_bounded({**answer, "clean": traces.gone()}))
        raw = lines.readline()
    os._exit(0)


def _log_to_reader() -> None:
    """Log for the person who asked, whatever the operator's logs look like."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)


def _limit(memory: int) -> None:
    """Bound what this process and all it starts may take, and let them be the first to go.

    The kernel counts the tasks of a user, whoever has started them, and never those of root.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    if tasks := descendants.count_tasks(os.getuid()):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NPROC, (tasks + MAX_TASKS, tasks + MAX_TASKS))
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    answers: list[dict[str, Any]] = []

    def run() -> None:
        try:
            answers.append(_run(request))
        except BaseException as error:  # what a task of the node raised to end the process, too
            answers.append(errors.unexpected(error))

    if requests.wants_thread(request):
        thread = threading.Thread(target=run, name="node")
        thread.start()
        thread.join()
    else:
        run()
    return answers[0]


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """Answer in an event loop of the request's own; one with tasks left in it stays open."""
    loop = asyncio.new_event_loop()
    executor = ThreadPoolExecutor()
    loop.set_default_executor(executor)
    try:
        return loop.run_until_complete(requests.respond(request))
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        if not asyncio.all_tasks(loop):
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()


def _bounded(answer: dict[str, Any]) -> bytes:
    try:
        body = line(answer)
    except (TypeError, ValueError, RecursionError) as error:
        return line({**errors.unexpected(error), "clean": answer["clean"]})
    if len(body) <= ANSWER_LIMIT:
        return body
    message = f"the answer has {len(body)} bytes, {ANSWER_LIMIT} are allowed"
    return line({**errors.told(PayloadTooLarge(message)), "clean": answer["clean"]})


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the node may have closed it
            stream.flush()
