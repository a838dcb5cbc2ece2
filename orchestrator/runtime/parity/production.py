"""Production's side of a parity run, seen from the command: it starts the hosts and hears them."""

import asyncio
import functools
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import IO, Any

import orjson

from nodes.contract import PoolType
from orchestrator.flow.builder import LoadedFlow
from orchestrator.runtime.forked import ForkedChild, fork, line
from orchestrator.runtime.parity.host import main
from orchestrator.runtime.parity.record import Event, Recording, Replay

_ANSWER_LIMIT = 2**30
_GRACE = 6.0
_LOG_END = 1000


async def production_side(replay: Replay, flow: LoadedFlow) -> Recording:
    """Run a workflow's loops in processes of their own and return what they did."""
    loops = flow.analyzer.loops()
    apart = [loop.id for loop in loops if loop.pool is PoolType.PROCESS]
    shared = [loop.id for loop in loops if loop.id not in apart]
    pairs = [socket.socketpair() for _ in apart]
    hosts = [await _Host.start(replay, shared, [ours for ours, _ in pairs], has_queues=True)]
    hosts += [
        await _Host.start(replay, [loop], [theirs], has_queues=False)
        for loop, (_, theirs) in zip(apart, pairs, strict=True)
    ]
    for pair in pairs:
        for end in pair:
            end.close()
    try:
        return _joined(await _answers(hosts, replay.limit))
    finally:
        for host in hosts:
            host.end()


class _Host:
    """A process that runs some of the loops."""

    def __init__(self, child: ForkedChild, loops: Sequence[str], log: IO[bytes]) -> None:
        self.loops = loops
        self._child = child
        self._log = log
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    @classmethod
    async def start(
        cls, replay: Replay, loops: Sequence[str], links: Sequence[socket.socket], *,
        has_queues: bool,
    ) -> "_Host":  # fmt: skip
        log = tempfile.TemporaryFile()
        entry = functools.partial(main, links)
        child = await asyncio.to_thread(fork, entry, output=log.fileno(), name="parity")
        host = cls(child, loops, log)
        child.connection.setblocking(False)
        host._reader, host._writer = await asyncio.open_connection(
            sock=child.connection, limit=_ANSWER_LIMIT
        )
        order = {"replay": asdict(replay), "loops": list(loops), "has_queues": has_queues}
        host._writer.write(line(order))
        return host

    async def answer(self) -> dict[str, Any]:
        """Return what the process did; one that died tells of it as what broke its loops."""
        try:
            raw = await self._reader.readline()
        except (ConnectionError, ValueError):
            raw = b""
        if raw:
            return dict(orjson.loads(raw))
        code = await asyncio.to_thread(self._child.join, 1)
        told = f"its process ended (exit code {code}){self._last_words()}"
        return {**Recording(broken={", ".join(self.loops): told}).to_json(), "names": {}}

    def stop(self) -> None:
        self._writer.write(b"\n")

    def end(self) -> None:
        self._child.kill()
        self._writer.close()
        self._log.close()

    def _last_words(self) -> str:
        self._log.seek(0)
        said = self._log.read()[-_LOG_END:].decode("utf-8", "replace").strip()
        return f": {said}" if said else ""


async def _answers(hosts: Sequence[_Host], limit: float) -> list[dict[str, Any]]:
    """Hear all hosts; when one has failed, or the time is up, the others are stopped."""
    asking = {asyncio.create_task(host.answer()): host for host in hosts}
    answers: list[dict[str, Any]] = []
    left = limit
    while asking:
        done, _ = await asyncio.wait(asking, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del asking[task]
            answers.append(task.result())
        if not done and left == _GRACE:
            break
        if not done or any(answer["broken"] for answer in answers):
            for host in asking.values():
                host.stop()
            if not done:
                late = Recording(broken={"production": f"had not ended after {limit:g} s"})
                answers.append({**late.to_json(), "names": {}})
            left = _GRACE
    for task in asking:
        task.cancel()
    return answers


def _joined(answers: Sequence[dict[str, Any]]) -> Recording:
    """Make one recording of all, in which items go by the id they had at their source."""
    names: dict[str, str] = {}
    joined = Recording()
    for answer in answers:
        names |= answer.pop("names")
        joined.add(Recording.from_json(answer))

    def renamed(event: Event) -> Event:
        item = event.item
        for _ in range(100):
            item = names.get(item, item)
        return replace(event, item=item)

    joined.events = [renamed(event) for event in joined.events]
    joined.flushed = [renamed(event) for event in joined.flushed]
    return joined
