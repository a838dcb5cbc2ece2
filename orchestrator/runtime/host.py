"""A host process: it runs loops for its supervisor and does nothing else.

Loops of the ASYNC pool are tasks in the main event loop, those of the THREAD pool have a thread
with an event loop each; a PROCESS loop has a host of its own. A control thread takes the
supervisor's orders, and a watch thread reports status and which loop blocks its event loop: both
go on when node code does not give way.
"""

import asyncio
import gc
import itertools
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any

import orjson
from structlog.contextvars import bind_contextvars

from orchestrator.conf import orchestrator_settings
from orchestrator.engine import SlotAssignment
from orchestrator.exceptions import LeaseLost, OrchestratorError
from orchestrator.execution.measures import mark, measures
from orchestrator.execution.runner import FlowRunner
from orchestrator.runtime import clock, credentials, tracing
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.flows import Flows
from orchestrator.runtime.forked import line
from orchestrator.runtime.taps import Taps
from orchestrator.security.output import redact_prints
from orchestrator.security.secret_values import scrub
from storage.datastore import DataStore, open_store
from storage.records import SlotState

logger = logging.getLogger(__name__)

BEAT = 0.25
MEASURE_BEATS = 8
"""Beats between two reports of what loops have counted."""
GRACE = 20.0
_HEARING = 0.01
_PREFIX = "loop:"


class HostedLoop:
    """One loop in this host, wherever its event loop is."""

    def __init__(self, order: dict[str, Any], event_loop: asyncio.AbstractEventLoop) -> None:
        self.key: str = order["key"]
        self.order = order
        self.event_loop = event_loop
        self.runner: FlowRunner | None = None
        self.cut_off = False
        """Set when the slot is another runner's or the loop is forced to stop: then it commits
        nothing more, whatever is renewed."""
        self.reported: dict[str, Any] | None = None
        self._measured: dict[str, Any] | None = None
        self._seen: Any = None
        self._counted: Any = None
        """The marks of the runner when it was looked at last."""
        self._wishes: list[str] = []

    @property
    def about(self) -> dict[str, Any]:
        """Which copy of which loop this is, as lines of the log say it."""
        given = self.order["assignment"]
        return {name: given[name] for name in ("workflow", "version", "loop", "slot")}

    def wish(self, name: str) -> None:
        """Pass `stop`, `kill`, `pause` or `resume` on; kept until there is a runner."""
        if self.runner is None:
            self._wishes.append(name)
        else:
            getattr(self.runner, name)()

    async def run(self, deadline: "Deadline", store: DataStore, flows: Flows) -> dict[str, Any]:
        """Run the loop to its end and return the report of it."""
        bind_contextvars(**self.about)  # in the context of the loop's own task
        try:
            assignment = SlotAssignment(**self.order["assignment"])
            definition = self.order.pop("definition")  # not to be kept once for each loop
            shared = await asyncio.to_thread(flows.take, definition, assignment)
            del definition
            self.runner = flow_engine().runner(
                shared.flow,
                assignment,
                store.queue,
                lambda: not self.cut_off and deadline.ahead(),
                self._restore(),
                credentials=credentials.opened(self.order["credentials"]),
                traces=tracing.traces_of,
            )
            for name in self._wishes:
                self.wish(name)
            if self.cut_off:
                return {"outcome": "stopped", "error": ""}
            return {"outcome": await self._run(self.runner, store), "error": ""}
        except LeaseLost as error:
            return {"outcome": "fenced", "error": error.message}
        except OrchestratorError as error:
            return {"outcome": "failed", "error": error.message}
        except Exception as error:
            logger.exception("loop %s ended", self.key)
            return {"outcome": "failed", "error": scrub(f"{type(error).__name__}: {error}")}

    async def _run(self, runner: FlowRunner, store: DataStore) -> str:
        taps = Taps(store.cache, runner.scope, runner.plan.steps.values())
        taps.start()
        try:
            return str(await runner.run())
        finally:
            await taps.stop(last=not self.cut_off)

    def _restore(self) -> SlotState | None:
        given = self.order["restore"]
        if given is None:
            return None
        return SlotState(
            activation=self.order["assignment"]["activation"],
            number=0,
            sequence=given["sequence"],
            states={name: state.encode() for name, state in given["states"].items()},
            crashes=0,
        )

    def _loss(self) -> str:
        """Say what Redis had lost of the slot, if it had."""
        begun = self.runner.begun if self.runner is not None else None
        given = self.order["restore"]
        if given is None or begun is None or begun.number or not given["known"]:
            return ""
        if not given["at"]:
            return "Redis had lost everything: began anew"
        return f"Redis had lost everything: resumed from the checkpoint of {given['at']}"

    def news(self) -> dict[str, Any] | None:
        """Return the status if it differs from what was reported last."""
        if self.runner is None or self._seen == (seen := mark(self.runner)):
            return None
        self._seen = seen
        status = self.runner.snapshot()
        if loss := self._loss():
            if self.reported is None or loss not in self.reported["reason"]:
                logger.warning("loop %s: %s", self.key, loss, extra=self.about)
            status["reason"] = f"{status['reason']}; {loss}" if status["reason"] else loss
        if status == self.reported:
            return None
        self.reported = status
        return status

    def measures(self) -> dict[str, Any] | None:
        """Return what the loop has counted if it differs from what was reported last."""
        if self.runner is None or self._counted == (seen := mark(self.runner)):
            return None
        self._counted = seen
        found = measures(self.runner)
        if found is None or found == self._measured:
            return None
        self._measured = found
        return found


class Deadline:
    """The moment until which leases may be acted on."""

    def __init__(self) -> None:
        self.at = 0.0

    def ahead(self) -> bool:
        if clock.now() < self.at:
            return True
        # A node may have kept the control thread from hearing of a renewal.
        time.sleep(_HEARING)
        return clock.now() < self.at


class Host:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._deadline = Deadline()
        self._loops: dict[str, HostedLoop] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._main = asyncio.get_running_loop()
        self._leaving = asyncio.Event()
        self._idle = asyncio.Event()
        self._silent: dict[asyncio.AbstractEventLoop, float] = {}
        self._flows = Flows(flow_engine().load_saved)
        self._store = open_store(orchestrator_settings().REDIS_URL)
        """Of all loops in the main event loop."""

    async def run(self) -> None:
        """Serve until the supervisor says so or is gone; then drain."""
        threading.Thread(target=self._obey, name="control", daemon=True).start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        await self._leaving.wait()
        for hosted in list(self._loops.values()):
            self._wish(hosted.key, "stop")
        if self._loops:
            self._idle.clear()
            async with asyncio.timeout(GRACE):
                await self._idle.wait()
        await self._store.close()

    # Orders, in the control thread

    def _obey(self) -> None:
        try:
            with self._connection.makefile("rb") as orders:
                for raw in orders:
                    order = orjson.loads(raw)
                    if order["op"] == "exit":
                        break
                    self._follow(order)
        except (OSError, ValueError) as error:
            # It was killed with reports unread, or in the middle of an order.
            logger.warning("the supervisor is gone: %s", error)
        self._main.call_soon_threadsafe(self._leaving.set)
        # The main loop may be blocked for good: nobody is left who could end this process.
        threading.Timer(GRACE + 5, os._exit, (1,)).start()

    def _follow(self, order: dict[str, Any]) -> None:
        if order["op"] == "renew":
            self._deadline.at = order["until"]
        elif order["op"] == "start":
            self._main.call_soon_threadsafe(self._start, order)
        elif order["op"] in ("lost", "kill"):
            self._cut_off(order["key"])
        else:
            self._main.call_soon_threadsafe(self._wish, order["key"], order["op"])

    def _cut_off(self, key: str) -> None:
        """Let a loop commit nothing more, at once, and give up what it has in hand."""
        hosted = self._loops.get(key)
        if hosted is not None:
            hosted.cut_off = True
        self._main.call_soon_threadsafe(self._wish, key, "kill")

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            try:
                self._connection.sendall(line(message))
            except OSError:
                self._deadline.at = 0.0

    # Loops

    def _start(self, order: dict[str, Any]) -> None:
        hosted = HostedLoop(order, self._main)
        self._loops[hosted.key] = hosted
        if order["pool"] == "thread":
            name = _PREFIX + hosted.key
            threading.Thread(
                target=self._run_thread, args=(hosted,), name=name, daemon=True
            ).start()
        else:
            self._keep(self._run(hosted, self._store), _PREFIX + hosted.key)

    def _keep(self, work: Any, name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _run_thread(self, hosted: HostedLoop) -> None:
        async def main() -> None:
            hosted.event_loop = asyncio.get_running_loop()
            task = asyncio.current_task()
            assert task is not None
            task.set_name(_PREFIX + hosted.key)
            store = open_store(orchestrator_settings().REDIS_URL)
            try:
                await self._run(hosted, store)
            finally:
                await store.close()

        asyncio.run(main())

    async def _run(self, hosted: HostedLoop, store: DataStore) -> None:
        report = await hosted.run(self._deadline, store, self._flows)
        status = hosted.news()
        if status is not None:
            self._send({"op": "status", "loops": {hosted.key: status}})
        self._send_measures([hosted])
        self._silent.pop(hosted.event_loop, None)
        self._send({"op": "ended", "key": hosted.key, **report})
        self._main.call_soon_threadsafe(self._forget, hosted)

    def _forget(self, hosted: HostedLoop) -> None:
        # Told of its end, the supervisor may have started the loop again by now.
        if self._loops.get(hosted.key) is hosted:
            del self._loops[hosted.key]
        if not self._loops:
            self._idle.set()

    def _wish(self, key: str, name: str) -> None:
        hosted = self._loops.get(key)
        if hosted is not None:
            hosted.cut_off |= name == "kill"  # it may have been asked for before it was here
            hosted.event_loop.call_soon_threadsafe(hosted.wish, name)

    # Reports, in the watch thread

    def _watch(self) -> None:
        for beat in itertools.count():
            time.sleep(BEAT)
            hosted = list(self._loops.values())
            news = {h.key: status for h in hosted if (status := h.news()) is not None}
            self._send({"op": "status", "loops": news})
            if beat % MEASURE_BEATS == 0:
                self._send_measures(hosted)
            for event_loop in {self._main, *(h.event_loop for h in hosted)}:
                self._listen_to(event_loop)

    def _send_measures(self, hosted: Iterable[HostedLoop]) -> None:
        found = {h.key: counted for h in hosted if (counted := h.measures()) is not None}
        if found:
            self._send({"op": "measures", "loops": found})

    def _listen_to(self, event_loop: asyncio.AbstractEventLoop) -> None:
        """Ask an event loop for a sign of life, and report who keeps it from giving one."""
        now = time.monotonic()
        asked = self._silent.get(event_loop)
        if asked is None:
            self._silent[event_loop] = now
            try:
                event_loop.call_soon_threadsafe(self._silent.pop, event_loop, None)
            except RuntimeError:  # its thread has ended meanwhile
                self._silent.pop(event_loop, None)
        elif now - asked > 1:
            task = asyncio.current_task(event_loop)
            name = task.get_name() if task is not None else ""
            self._send(
                {
                    "op": "blocked",
                    "key": name.removeprefix(_PREFIX) if name.startswith(_PREFIX) else "",
                    "seconds": now - asked,
                }
            )


def spare_garbage_collection() -> None:
    """Look for cycles less often than by default: items come by the thousand and make none, and
    what was loaded before the fork is never garbage."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def main(connection: socket.socket) -> None:
    """Run a host until its supervisor is gone; the entry point of the child."""
    spare_garbage_collection()
    redact_prints()

    async def serve() -> None:
        await Host(connection).run()

    try:
        asyncio.run(serve())
        tracing.flush()
    finally:
        os._exit(0)
