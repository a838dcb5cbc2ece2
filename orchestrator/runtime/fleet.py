"""The loops that a runner runs: it starts them, passes wishes on, and sees to how they end."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ObjectDoesNotExist

from orchestrator.events import WorkflowCompleted, WorkflowFailed
from orchestrator.exceptions import NotFound, OrchestratorError, StoreUnavailable
from orchestrator.models import LoopSlot, Workflow
from orchestrator.runtime import credentials, leases, restores, run_as
from orchestrator.runtime.database import afresh
from orchestrator.runtime.guard import guarded
from orchestrator.runtime.held import LOST, Held, patience
from orchestrator.runtime.hosts import HostProcess, start_order
from orchestrator.runtime.leases import Slot
from orchestrator.runtime.placement import Placement
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.publisher import Publisher
from orchestrator.runtime.troubles import Troubles
from storage.base import QueueStore
from storage.records import Lease, inbox

logger = logging.getLogger(__name__)
State = LoopSlot.State
Desired = Workflow.Desired
_ORDERS = {Desired.RUNNING: "resume", Desired.PAUSED: "pause", LOST: "lost", Desired.KILLED: "kill"}


@dataclass(frozen=True, slots=True)
class _Verdict:
    """Why a host is ended. `forced`: because an operator wants it, not for what its loops did."""

    culprit: str
    forced: bool


class Fleet:
    """Args:
    on_take: called with the workflow of each slot that is taken.
    on_end: called when a loop has ended, so that its slot may be wanted again.
    on_measures: called with a slot, its token, and what its loop has counted.
    slack: see `restores.find`.
    """

    def __init__(
        self,
        runner_id: str,
        queues: QueueStore,
        publisher: Publisher,
        plans: Plans,
        *,
        block_limit: float,
        slack: float = 10.0,
        on_take: Callable[[str], None],
        on_end: Callable[[], None],
        on_measures: Callable[[Slot, int, dict[str, Any]], None] = lambda *_: None,
    ) -> None:
        self.held: dict[str, Held] = {}
        self.placement = Placement(self._on_message, self._on_death, block_limit)
        self.troubles = Troubles()
        self.jobs: set[asyncio.Task[Any]] = set()
        """What is left to do for loops that have ended."""
        self._id = runner_id
        self._queues = queues
        self._publisher = publisher
        self._plans = plans
        self._slack = slack
        self._on_take = on_take
        self._on_end = on_end
        self._on_measures = on_measures
        self._until = 0.0
        self._verdicts: dict[HostProcess, _Verdict] = {}
        self._watched_at = 0.0

    def renew(self, until: float) -> None:
        """Tell every host until when the leases may be acted on."""
        self._until = until
        for host in self.placement.hosts:
            host.send({"op": "renew", "until": until})

    def give_up_lost(self, suspects: Iterable[Held], owned: Set[tuple[int, int]]) -> None:
        """Give up those whose slot is not among the (pk, token) that this runner owns."""
        for held in suspects:
            if (held.slot.pk, held.lease.token) not in owned:
                self.ask(held, LOST)

    def ask(self, held: Held, wish: str) -> None:
        """Pass a changed wish on to the loop."""
        if not held.may_be_asked(wish):
            return
        held.asked = wish
        held.host.send({"op": _ORDERS.get(wish, "stop"), "key": held.slot.key})
        if wish not in (Desired.RUNNING, Desired.PAUSED):
            held.stop_by = time.monotonic() + patience(wish)

    # Beginnings

    async def take(self, slot: Slot) -> bool:
        """Acquire a slot and start its loop; tell whether it is ours now."""
        token = await sync_to_async(leases.acquire)(slot, self._id)
        if token is None:
            return False
        lease = Lease(workflow=slot.workflow, loop=slot.loop, slot=slot.slot, token=token)
        try:
            plan = await self._plans.of(slot.workflow, slot.version)
            if slot.loop not in plan.loops:
                raise NotFound("the version has no such loop")
            loop = plan.loops[slot.loop]
            active = await self._plans.of(slot.workflow, slot.active)
            restore = await sync_to_async(restores.find)(slot, active.loops, self._slack)
            nodes = [node.node for node in loop.nodes]
            await sync_to_async(run_as.for_loop)(slot.workflow, slot.version, loop.nodes)
            sealed = await sync_to_async(credentials.for_loop)(slot.workflow, slot.version, nodes)
            host = await self.placement.host_for(slot.key, loop.pool, isolated=slot.isolated)
        except (OSError, EOFError) as error:
            await self._on_failure(slot, lease, "no_process", str(error))
            return False
        except (OrchestratorError, ObjectDoesNotExist) as error:  # of this slot, not of others
            await self._on_failure(slot, lease, "failed", str(error))
            return False
        self._on_take(slot.workflow)
        self._publisher.forget(slot.workflow, slot.name)
        queues = (inbox(loop.id), *([loop.reads] if loop.reads is not None else []))
        held = self.held[slot.key] = Held(
            slot, lease, queues, host, revisions=credentials.revisions_of(sealed)
        )
        host.send({"op": "renew", "until": self._until})
        host.send(
            start_order(
                slot.key,
                loop,
                plan.definition,
                restore,
                sealed,
                workflow=slot.workflow,
                version=slot.version,
                activation=slot.activation,
                loop=slot.loop,
                slot=slot.slot,
                token=token,
            )
        )
        self.ask(held, slot.desired)
        return True

    # Messages of hosts

    def _on_message(self, host: HostProcess, message: dict[str, Any]) -> None:
        if message["op"] == "status":
            for key, status in message["loops"].items():
                self._on_status(key, status)
        elif message["op"] == "measures":
            for key, counted in message["loops"].items():
                if held := self.held.get(key):
                    self._on_measures(held.slot, held.lease.token, counted)
        elif message["op"] == "blocked":
            if message["seconds"] > host.patience:
                self._condemn(host, message["key"], "blocks its event loop")
        elif message["op"] == "ended":
            self._later(self._on_ended(host, message))

    def _on_status(self, key: str, status: dict[str, Any]) -> None:
        if (held := self.held.get(key)) is None:
            return
        self._publisher.update(held.slot.workflow, held.slot.name, status)
        if status["iterations"] and not held.progressed:
            held.progressed = True
            self.troubles.forget(key)

    def _condemn(self, host: HostProcess, culprit: str, why: str, *, forced: bool = False) -> None:
        """End a host; its loops go on elsewhere, and the culprit in a process of its own."""
        held = self.held.get(culprit)
        about = held.slot.about if held is not None else None
        logger.warning("host %d is ended: %s %s", host.pid, culprit or "a loop", why, extra=about)
        self._verdicts[host] = _Verdict(culprit, forced)
        host.kill()

    def _on_death(self, host: HostProcess) -> None:
        self.placement.remove(host)
        verdict = self._verdicts.pop(host, _Verdict("", False))
        keys = [key for key in host.keys if key in self.held]
        if keys:
            self._later(self._recover(keys, verdict))

    async def _recover(self, keys: list[str], verdict: _Verdict) -> None:
        """Free the loops of a host that died; the next tick starts those again that are wanted."""
        # One may have ended just before its host did.
        gone = {key: held for key in keys if (held := self.held.pop(key, None))}
        for key in self.placement.suspects(keys, verdict.culprit):
            if key in gone and not gone[key].slot.isolated:
                slot = gone[key].slot
                logger.warning("loop %s gets a process of its own", key, extra=slot.about)
                await sync_to_async(leases.isolate)(slot.pk)
        for key, held in gone.items():
            if verdict.forced:
                await self._acquit(held)
            elif not self.troubles.crashed(key):
                await self._give_up(held.slot, held.lease, "crash_loop")
        self._on_end()

    async def _acquit(self, held: Held) -> None:
        """Leave a slot for its loop: it has not died with anything that it had in hand."""
        try:
            await self._queues.end(held.lease, held.queues)
        except StoreUnavailable as error:
            slot = held.slot
            logger.warning(
                "slot %s is not left cleanly: %s", slot.key, error.message, extra=slot.about
            )

    async def _on_ended(self, host: HostProcess, message: dict[str, Any]) -> None:
        key, outcome, error = message["key"], message["outcome"], message["error"]
        held = self.held.pop(key, None)
        if held is None:
            return
        await self.placement.loop_ended(host, key)
        slot = held.slot
        if outcome == "completed":
            await self.release(slot, State.COMPLETED)
            await self._revive_reopened(slot)
            await self._announce_completion(slot)
        elif outcome == "stopped" or held.asked == Desired.KILLED:
            await self.release(slot, State.PENDING if held.comes_back else State.STOPPED)
        else:
            await self._on_failure(slot, held.lease, outcome, error)
        self._on_end()

    # Ends

    async def release(self, slot: Slot, state: str, reason: str = "") -> None:
        """Give a slot back. Until it is, its loop would be started again, whatever it ended as."""
        await sync_to_async(afresh)(partial(leases.release, slot, self._id, state, reason))

    async def _on_failure(self, slot: Slot, lease: Lease, outcome: str, error: str) -> None:
        logger.warning("loop %s ended: %s: %s", slot.key, outcome, error, extra=slot.about)
        if not self.troubles.failed(slot.key) and outcome == "failed":
            await self._give_up(slot, lease, error)
            return
        await self.release(slot, State.DEGRADED, error)

    async def _give_up(self, slot: Slot, lease: Lease, reason: str) -> None:
        await self._queues.close(lease)  # its siblings get what it had in hand
        self.troubles.forget(slot.key)
        await self.release(slot, State.FAILED, reason)
        event = WorkflowFailed(loop=slot.loop, slot=slot.slot, reason=reason)
        self._publisher.announce(slot.workflow, event)

    async def _revive_reopened(self, slot: Slot) -> None:
        """Want a slot again whose completion was withdrawn before it was noted here."""
        marks = await self._queues.completed(slot.workflow)
        if marks.get(slot.name) != slot.activation:
            await sync_to_async(leases.revive)(slot.pk, slot.activation)

    async def _announce_completion(self, slot: Slot) -> None:
        if await sync_to_async(leases.all_completed)(slot.workflow, slot.activation):
            event = WorkflowCompleted(activation=slot.activation)
            self._publisher.announce(slot.workflow, event)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(guarded(lambda: work))
        self.jobs.add(task)
        task.add_done_callback(self.jobs.discard)

    # Watching

    async def watch(self) -> None:
        """End hosts that give no sign of life and loops that do not stop in time."""
        now = time.monotonic()
        if now - self._watched_at > 1:  # held up itself, it has not listened
            self.placement.hear()
        self._watched_at = now
        for host in list(self.placement.hosts):
            if host.silent:
                self._condemn(host, "", "gives no sign of life")
        for held in self.held.values():
            if now > held.stop_by:
                held.stop_by = math.inf
                forced = held.asked == Desired.KILLED
                self._condemn(held.host, held.slot.key, "does not stop", forced=forced)
