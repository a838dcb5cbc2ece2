"""What one slot of a loop has counted in this life, as JSON for those who watch the system.

It is gathered every few seconds from what the loop counts anyway. Durations are lists: the sum in
seconds, then the buckets of `execution.durations`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from orchestrator.execution.plan import Step

if TYPE_CHECKING:
    from orchestrator.execution.runner import FlowRunner

MAX_NODES = 200
"""Nodes of a slot that are told apart."""
OTHER = "other"
"""Stands for all further ones."""


def measures(runner: "FlowRunner") -> dict[str, Any] | None:
    """Return the counts of a runner; None before its loop has begun.

    `nodes` has for each id: answers, failed calls, and the durations of some calls.
    """
    if runner.committer is None:
        return None
    iterations = runner.iterations
    runner.producer.count = iterations.items
    rows = {step.id: _row(step) for step in runner.plan.steps.values()}
    return {
        "iterations": iterations.count,
        "failures": iterations.failures,
        "retries": iterations.retries,
        "in_flight": iterations.in_flight,
        "commits": runner.committer.durations.told(),
        "hops": runner.hops.told(),
        "nodes": folded(rows, MAX_NODES),
    }


def mark(runner: "FlowRunner") -> Any:
    """Return what differs when these counts or the runner's snapshot do, at less cost."""
    counts: tuple[int, ...] = ()
    if hasattr(runner, "iterations"):
        begun = runner.iterations
        counts = (begun.count, begun.items, begun.failures, begun.retries, begun.in_flight)
    steps = [
        (step.executions, step.failed, step.started_at, step.ended_at)
        for step in runner.plan.steps.values()
    ]
    return runner.state, runner.reason, counts, steps


def folded(rows: dict[str, list[float]], limit: int) -> dict[str, list[float]]:
    """Return the first rows, and the sum of all others as one."""
    if len(rows) <= limit:
        return rows
    told = sorted(rows.items(), key=lambda pair: pair[0] == OTHER)  # a node may have that name
    return {**dict(told[:limit]), OTHER: summed(row for _, row in told[limit:])}


def summed(rows: Iterable[list[float]]) -> list[float]:
    """Return the sum of rows of equal length, place by place."""
    return [sum(column) for column in zip(*rows, strict=True)]


def _row(step: Step) -> list[float]:
    return [step.executions, step.failed, *step.durations.told()]
