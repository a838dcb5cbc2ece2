"""Graphs and runs in the memory of one process."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from orchestrator.exceptions import Busy, Conflict, LeaseLost, NotFound
from storage.runs import (
    ACTIVE,
    ENDED,
    STALE_AFTER,
    CheckpointRecord,
    Data,
    GraphRecord,
    GraphStore,
    Page,
    Recorded,
    RunFilter,
    RunRecord,
    RunStore,
    StepRecord,
    as_json,
)


@dataclass(slots=True)
class _Kept:
    run: RunRecord
    steps: list[StepRecord] = field(default_factory=list)
    checkpoints: list[CheckpointRecord] = field(default_factory=list)

    def insert(self, body: bytes) -> None:
        """Add a checkpoint."""
        self.checkpoints.append(
            CheckpointRecord(
                run_id=self.run.id,
                number=len(self.checkpoints) + 1,
                steps=self.run.steps,
                body=body,
                checksum=sha256(body).hexdigest(),
                attempt=self.run.attempt,
                created_at=_now(),
            )
        )


class MemoryGraphStore(GraphStore):
    """Graphs, and what a MemoryRunStore that was made with it keeps of their runs."""

    def __init__(self) -> None:
        self._graphs: dict[str, GraphRecord] = {}
        self.kept: dict[str, _Kept] = {}

    async def save(self, graph: GraphRecord) -> GraphRecord:
        known = self._graphs.get(graph.id)
        if known is None:
            known = self._graphs[graph.id] = replace(graph, created_at=_now())
        elif known.digest != graph.digest:
            raise Conflict(f"there is another graph {graph.id}")
        return known

    async def get(self, graph_id: str) -> GraphRecord:
        if graph_id not in self._graphs:
            raise NotFound(f"there is no graph {graph_id}")
        return self._graphs[graph_id]

    async def list(self) -> Sequence[GraphRecord]:
        return list(self._graphs.values())[::-1]

    async def delete(self, graph_id: str) -> None:
        await self.get(graph_id)
        runs = [kept.run for kept in self.kept.values() if kept.run.graph_id == graph_id]
        if any(run.status in ACTIVE for run in runs):
            raise Conflict(f"graph {graph_id} has runs that have not ended")
        for run in runs:
            del self.kept[run.id]
        del self._graphs[graph_id]


class MemoryRunStore(RunStore):
    def __init__(self, graphs: MemoryGraphStore) -> None:
        self._graphs = graphs
        self._runs = graphs.kept

    async def create(
        self, run: RunRecord, *, checkpoint: bytes | None = None
    ) -> tuple[RunRecord, bool]:
        await self._graphs.get(run.graph_id)
        for known in self._runs.values():
            if run.idempotency_key and known.run.idempotency_key == run.idempotency_key:
                if known.run.request_digest != run.request_digest:
                    raise Conflict("the idempotency key came with another request before")
                return known.run, False
        if run.id in self._runs:
            raise Conflict(f"there is a run {run.id} already")
        made = replace(
            run,
            created_at=_now(),
            state=as_json(run.state),
            initial_state=as_json(run.initial_state),
        )
        kept = self._runs[run.id] = _Kept(made)
        if checkpoint is not None:
            kept.insert(checkpoint)
        return made, True

    async def get(self, run_id: str) -> RunRecord:
        return self._find(run_id).run

    async def list(self, which: RunFilter, *, offset: int = 0, limit: int = 50) -> Page:
        found = [kept.run for kept in self._runs.values() if _passes(kept.run, which)][::-1]
        return Page(runs=found[offset : offset + limit], total=len(found))

    async def update(
        self,
        run_id: str,
        *,
        expect: Collection[str] | None = None,
        token: int | None = None,
        **fields: Any,
    ) -> RunRecord:
        kept = self._find(run_id)
        if token is not None and kept.run.token != token:
            raise LeaseLost(f"another worker has run {run_id}")
        if expect is not None and kept.run.status not in expect:
            raise Conflict(f"run {run_id} is {kept.run.status}")
        if "state" in fields:
            fields["state"] = as_json(fields["state"])
        if "status" in fields:
            fields["ended_at"] = _now() if fields["status"] in ENDED else None
        kept.run = replace(kept.run, **fields)
        return kept.run

    async def claim(
        self, run_id: str, owner: str, *, stale_after: float = STALE_AFTER
    ) -> RunRecord:
        run = self._find(run_id).run
        if run.status in ENDED:
            raise Conflict(f"run {run_id} is {run.status}")
        now = _now()
        if run.beat_at is not None and run.beat_at > now - timedelta(seconds=stale_after):
            raise Busy(f"run {run_id} is in the hands of {run.owner}")
        kept = self._runs[run_id]
        kept.run = replace(
            run,
            status="running",
            token=run.token + 1,
            owner=owner,
            beat_at=now,
            crashes=run.crashes + (run.beat_at is not None),
            started_at=run.started_at or now,
        )
        return kept.run

    async def release(self, run_id: str, token: int) -> None:
        kept = self._find(run_id)
        if kept.run.token == token:
            kept.run = replace(kept.run, beat_at=None)

    async def record(
        self,
        run_id: str,
        token: int,
        *,
        state: Data | None = None,
        steps: Sequence[StepRecord] = (),
        taken: int | None = None,
        checkpoint: bytes | None = None,
    ) -> Recorded:
        kept = self._find(run_id)
        if kept.run.token != token or kept.run.status != "running":
            raise LeaseLost(f"another worker has run {run_id}, or it has ended")
        run = kept.run = replace(
            kept.run,
            beat_at=_now(),
            state=kept.run.state if state is None else as_json(state),
            steps=kept.run.steps if taken is None else taken,
            crashes=0 if steps else kept.run.crashes,
        )
        first = len(kept.steps) + 1
        placed = [replace(step, position=first + n) for n, step in enumerate(steps)]
        kept.steps += placed
        if checkpoint is not None:
            kept.insert(checkpoint)
        return Recorded(steps=placed, cancel_requested=run.cancel_requested)

    async def cancel(self, run_id: str) -> RunRecord:
        kept = self._find(run_id)
        if kept.run.status in ENDED:
            raise Conflict(f"run {run_id} is {kept.run.status}")
        if kept.run.status == "pending":
            kept.run = replace(kept.run, status="cancelled", ended_at=_now())
        kept.run = replace(kept.run, cancel_requested=True)
        return kept.run

    async def delete(self, run_id: str) -> None:
        run = self._find(run_id).run
        if run.status in ACTIVE:
            raise Conflict(f"run {run_id} is {run.status}")
        del self._runs[run_id]

    async def steps(
        self, run_id: str, *, after: int = 0, limit: int = 1000
    ) -> Sequence[StepRecord]:
        return self._find(run_id).steps[after : after + limit]

    async def checkpoints(self, run_id: str) -> Sequence[CheckpointRecord]:
        return tuple(self._find(run_id).checkpoints)

    async def checkpoint(self, run_id: str, number: int) -> CheckpointRecord:
        for found in self._find(run_id).checkpoints:
            if found.number == number:
                return found
        raise NotFound(f"run {run_id} has no checkpoint {number}")

    async def newest(
        self, run_id: str, *, before: int | None = None, attempt: int | None = None
    ) -> CheckpointRecord | None:
        for found in reversed(self._find(run_id).checkpoints):
            if before is None or found.number < before:
                return found if attempt in (None, found.attempt) else None
        return None

    async def abandoned(self, *, stale_after: float) -> Sequence[RunRecord]:
        limit = _now() - timedelta(seconds=stale_after)
        runs = [kept.run for kept in self._runs.values()]
        found = [run for run in runs if run.status in ACTIVE and _last_sign(run) < limit]
        return sorted(found, key=lambda run: run.status, reverse=True)[:1000]

    def _find(self, run_id: str) -> _Kept:
        if run_id not in self._runs:
            raise NotFound(f"there is no run {run_id}")
        return self._runs[run_id]


def _passes(run: RunRecord, which: RunFilter) -> bool:
    made = run.created_at or _now()
    return (
        which.graph_id in (None, run.graph_id)
        and which.status in (None, run.status)
        and (which.created_after is None or made >= which.created_after)
        and (which.created_before is None or made < which.created_before)
    )


def _last_sign(run: RunRecord) -> datetime:
    return run.beat_at or run.created_at or _now()


def _now() -> datetime:
    return datetime.now(UTC)
