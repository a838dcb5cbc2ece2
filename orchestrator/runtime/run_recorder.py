"""RunRecorder: writes what happens in a run while it goes on, and hears what is wanted of it."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from orchestrator.exceptions import OrchestratorError, StoreUnavailable
from orchestrator.execution.checkpoints import Snapshot, encode
from orchestrator.execution.runs import RunResult
from orchestrator.runtime.run_feed import publish_step
from orchestrator.security.secret_values import scrub_value
from storage.base import Feed
from storage.runs import RunRecord, RunStore, StepRecord

logger = logging.getLogger(__name__)
BEAT = 1.0
"""Seconds after which an owner gives a sign of life, and sees whether it is to cancel."""
LAG = 0.1
"""Seconds after which what happened since the last checkpoint is written."""
BATCH = 200
"""As many steps are written together."""
PATIENCE = 20.0
"""Seconds for which a run waits for a database that is away."""


class RunRecorder:
    """The observer of one run.

    Steps are written with the checkpoint that follows them, in one transaction, or after LAG.

    Args:
        run: as it was claimed. live: gives the newest state.
    """

    def __init__(
        self,
        runs: RunStore,
        run: RunRecord,
        *,
        live: Callable[[], Mapping[str, Any]],
        feed: Feed | None = None,
    ) -> None:
        self.checkpoint_every = run.checkpoint_every
        self._runs, self._run, self._feed, self._live = runs, run, feed, live
        self._steps: list[StepRecord] = []
        self._taken = run.steps
        self._news = asyncio.Event()
        self._writing = asyncio.Lock()
        self._wants_end = False
        self._lost: OrchestratorError | None = None

    async def watch(
        self, walk: Coroutine[Any, Any, RunResult], cancel: Callable[[], None]
    ) -> RunResult:
        """Await the walk of the run, and write what happens until it has ended.

        Args:
            cancel: ends the walk; called when somebody wants the run cancelled.

        Raises:
            LeaseLost: the run has another owner. StoreUnavailable: the database stays away.
            InvalidPayload: the state cannot be kept.
        """
        walking = asyncio.create_task(walk)
        beating = asyncio.create_task(self._beat(walking, cancel))
        try:
            result = await walking
            await self._write()
        except asyncio.CancelledError:
            if self._lost is None:
                with suppress(OrchestratorError):
                    await self._write()
                raise
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)
        if self._lost is not None:
            raise self._lost
        return result

    async def step(self, record: StepRecord) -> None:
        """Take note of a step."""
        changes, error = scrub_value((record.changes, record.error))
        self._steps.append(replace(record, changes=changes, error=error))
        self._taken = max(self._taken, record.number)
        self._news.set()
        if len(self._steps) >= BATCH:
            await self._write()

    async def checkpoint(self, snapshot: Snapshot) -> None:
        """Write a snapshot, with the steps before it."""
        self._taken = snapshot.steps
        await self._write(encode(snapshot), snapshot.state)

    async def _beat(self, walking: asyncio.Task[RunResult], cancel: Callable[[], None]) -> None:
        """Write after LAG what is new, and give a sign of life when nothing is."""
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._news.wait(), BEAT)
                    await asyncio.sleep(LAG)
                await self._write()
                if self._wants_end:
                    cancel()
        except Exception as error:  # whatever it is, a run that is not recorded must not go on
            if not isinstance(error, OrchestratorError):
                logger.exception("run %s cannot be recorded", self._run.id)
                self._lost = StoreUnavailable(f"the run cannot be recorded: {error}")
            walking.cancel()

    async def _write(
        self, checkpoint: bytes | None = None, state: Mapping[str, Any] | None = None
    ) -> None:
        """Write in order; a node that is cancelled meanwhile does not cut a write off."""
        await asyncio.shield(asyncio.create_task(self._write_next(checkpoint, state)))

    async def _write_next(self, checkpoint: bytes | None, state: Mapping[str, Any] | None) -> None:
        async with self._writing:
            self._news.clear()
            steps, self._steps = self._steps, []
            if steps and state is None:
                state = self._live()
            state = scrub_value(state)
            try:
                written = await self._patiently(
                    state=state, steps=steps, taken=self._taken, checkpoint=checkpoint
                )
            except OrchestratorError as error:
                self._lost = self._lost or error
                raise
        if written.cancel_requested and not self._wants_end:
            self._wants_end = True
            self._news.set()
        if self._feed is not None:
            for step in written.steps:
                await publish_step(self._feed, self._run.id, step)

    async def _patiently(self, **what: Any) -> Any:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while True:
            if self._lost is not None:
                raise self._lost
            try:
                return await self._runs.record(self._run.id, self._run.token, **what)
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)
