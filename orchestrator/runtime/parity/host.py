"""Production's side of a parity run: real FlowRunners in processes of their own.

Loops of the ASYNC pool share the event loop of the first process, as in a host; one of the THREAD
pool has a thread with an event loop, one of the PROCESS pool a process. The first process has the
queues, the others reach them over sockets.
"""

import asyncio
import dataclasses
import os
import random
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson

from nodes.contract import NodeOutput, PoolType
from orchestrator.engine import SlotAssignment
from orchestrator.exceptions import OrchestratorError
from orchestrator.execution.envelope import seal
from orchestrator.execution.runner import FlowRunner
from orchestrator.flow.loops import Loop
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.forked import line
from orchestrator.runtime.parity.record import Event, Replay, item_rank
from orchestrator.runtime.parity.recorder import Recorder
from orchestrator.runtime.parity.source import SourceLimits
from orchestrator.runtime.parity.store import Feed, RemoteQueues, ReplayQueues, serve
from storage.base import QueueStore
from storage.codec import decode
from storage.records import Commit, Completion, Lease, inbox

OUTSIDE = "parity"
"""The slot that stands for whoever writes a queue that no loop of the workflow writes."""


class _Slot:
    def __init__(self, runner: FlowRunner) -> None:
        self.runner = runner
        self.loop = runner.job.loop
        self.event_loop: asyncio.AbstractEventLoop | None = None

    def stop(self, *, at_once: bool) -> None:
        wish = self.runner.kill if at_once else self.runner.stop
        if self.event_loop is not None and not self.event_loop.is_closed():
            self.event_loop.call_soon_threadsafe(wish)


class ReplayHost:
    """Runs some loops of a workflow to their end and tells what they did."""

    def __init__(self, replay: Replay, loops: Sequence[str]) -> None:
        self._replay = replay
        self._here = loops
        self._flow = flow_engine().load(replay.definition)
        self._recorder = Recorder()
        self._loops = self._flow.analyzer.loops()
        self._slots: list[_Slot] = []

    def queues(self) -> ReplayQueues:
        feeds = {
            loop.id: Feed(writers=self._writers(loop), stateful=loop.stateful)
            for loop in self._loops
            if loop.reads is not None
        }
        rank = item_rank([loop.id for loop in self._loops])
        return ReplayQueues(
            feeds,
            self._replay.seed,
            lambda item_id: rank(self._recorder.name(item_id)),
            self._recorder.taken,
        )

    def _writers(self, loop: Loop) -> tuple[str, ...]:
        writers, _ = self._flow.analyzer.queue_graph()[loop.reads or ""]
        replicas = {other.id: other.replicas for other in self._loops}
        found = tuple(f"{w}/{slot}" for w in writers for slot in range(replicas[w]))
        return found or (f"{OUTSIDE}/0",)

    def learn(self, names: dict[str, str]) -> None:
        """Take what the other processes know of the identities of items."""
        self._recorder.names |= names

    async def fill(self, store: QueueStore) -> None:
        """Put the given items where they enter, and close what nobody else writes."""
        workflow = self._replay.workflow
        for loop in self._loops:
            items = list(enumerate((self._replay.given or {}).get(loop.id, ()), 1))
            if loop.reads is None and not loop.stateful:
                random.Random(self._replay.seed).shuffle(items)
            for number, data in items:
                item = NodeOutput(f"{loop.id}:1:{number}", data)
                body = seal(item, activation=1, version=1, born=1.0)
                await store.put(workflow, loop.reads or inbox(loop.id), body)
        lease = Lease(workflow=workflow, loop=OUTSIDE, slot=0, token=1)
        await store.begin(lease, 1)
        commit = Commit(number=1, sequence=0, activation=1, completion=Completion())
        await store.commit(lease, commit)

    async def run(self, store: QueueStore, ended: asyncio.Event) -> None:
        """Run the loops until all have ended, one fails, or `ended` is set."""
        self._slots = [
            self._slot(loop, number, store)
            for loop in self._loops
            if loop.id in self._here
            for number in range(loop.replicas)
        ]
        tasks = [asyncio.create_task(self._place(slot)) for slot in self._slots]
        asked = asyncio.create_task(ended.wait())
        waiting: set[asyncio.Task[Any]] = {*tasks, asked}
        while any(not task.done() for task in tasks):
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            waiting = {task for task in waiting if not task.done()}
            if self._recorder.recording.broken or ended.is_set():
                for slot in self._slots:
                    slot.stop(at_once=ended.is_set())
                await asyncio.wait(tasks, timeout=5)
                break
        asked.cancel()

    def _slot(self, loop: Loop, number: int, store: QueueStore) -> _Slot:
        flow = flow_engine().load(self._replay.definition)  # each slot has nodes of its own
        assignment = SlotAssignment(
            workflow=self._replay.workflow, version=1, activation=1, loop=loop.id, slot=number,
            token=1,
        )  # fmt: skip
        asked = self._replay.items if self._replay.given is None else 0
        shuffle = None if loop.stateful else random.Random(self._replay.seed)
        around = self._recorder.around(loop, SourceLimits(asked, self._replay.patience, shuffle))
        runner = flow_engine().runner(flow, assignment, store, around=around)
        if loop.reads is not None:
            job = dataclasses.replace(runner.job, writers=self._writers(loop))
            runner = FlowRunner(job)
        for flow_node in runner.job.loop.nodes:
            self._recorder.stand_by(flow_node.node)
        return _Slot(runner)

    async def _place(self, slot: _Slot) -> None:
        if slot.loop.pool is PoolType.THREAD:
            await _in_thread(lambda: self._end(slot))
        else:
            await self._end(slot)

    async def _end(self, slot: _Slot) -> None:
        slot.event_loop = asyncio.get_running_loop()
        try:
            await slot.runner.run()
        except OrchestratorError as error:
            where = getattr(error, "node_id", "")
            text = f"node {where}: {error.message}" if where else error.message
            self._recorder.recording.broken[slot.loop.id] = text
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            self._recorder.recording.broken[slot.loop.id] = text

    async def count_dead(self, store: QueueStore) -> None:
        """Note which iterations failed, also those that no call of a node tells of: a condition
        may have raised."""
        recording = self._recorder.recording
        known = {(e.node, self._recorder.name(e.item)) for e in recording.events if e.error}
        for entry in await store.dead(self._replay.workflow, 1_000_000):
            letter = decode(entry.body)
            item = self._recorder.name(letter["item_id"])
            recording.failed.add((letter["loop"], item))
            if (letter["node_id"], item) not in known:
                error = [letter["error_type"], letter["message"]]
                recording.events.append(Event(node=letter["node_id"], item=item, error=error))

    @property
    def names(self) -> dict[str, str]:
        return self._recorder.names

    @property
    def broken(self) -> bool:
        return bool(self._recorder.recording.broken)

    def answer(self) -> dict[str, Any]:
        return {**self._recorder.recording.to_json(), "names": self.names}


async def _in_thread(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Do the work in a thread that has an event loop of its own."""
    home = asyncio.get_running_loop()
    ended = asyncio.Event()

    def main() -> None:
        try:
            asyncio.run(work())
        finally:
            home.call_soon_threadsafe(ended.set)

    threading.Thread(target=main, daemon=True).start()
    await ended.wait()


def main(links: Sequence[socket.socket], connection: socket.socket) -> None:
    """Do what the first line of the connection says, answer, and end.

    Args:
        links: the sockets of the processes that come for the queues; of such a process, its own.
    """
    try:
        asyncio.run(_main(links, connection))
    finally:
        os._exit(0)


async def _main(links: Sequence[socket.socket], connection: socket.socket) -> None:
    connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=connection, limit=2**30)
    order = orjson.loads(await reader.readline())
    host = ReplayHost(Replay(**order["replay"]), order["loops"])
    ended = asyncio.Event()
    listening = asyncio.create_task(_listen(reader, ended))
    if order["has_queues"]:
        store = host.queues()
        await host.fill(store)
        serving = [asyncio.create_task(serve(store, link, host.learn)) for link in links]
        await host.run(store, ended)
        while not (ended.is_set() or host.broken or all(task.done() for task in serving)):
            await asyncio.wait([*serving, listening], return_when=asyncio.FIRST_COMPLETED)
            serving = [task for task in serving if not task.done()]
        await host.count_dead(store)
    else:
        (link,) = links
        remote = RemoteQueues(host.names)
        await remote.open(link)
        await host.run(remote, ended)
    writer.write(line(host.answer()))
    await writer.drain()
    listening.cancel()


async def _listen(reader: asyncio.StreamReader, ended: asyncio.Event) -> None:
    await reader.readline()
    ended.set()
