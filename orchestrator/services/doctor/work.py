"""What works and what waits: runners, workers, loops, dead letters."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from django.db import connections
from django.db.models import Count, ExpressionWrapper, F, Q, Value, fields
from django.db.models.functions import Now

from orchestrator.exceptions import OrchestratorError
from orchestrator.models import DeadLetter, Run, Runner, WorkerSlot, Workflow
from orchestrator.runtime.desires import ENDS
from orchestrator.security.actors import SYSTEM
from orchestrator.services import queues, status
from orchestrator.services.doctor.findings import Finding, fail, ok, warn

SHOWN = 10
"""Loops that are named; of more there is the number."""
OLD = 60.0
"""Seconds that the oldest item of a queue may wait before its loop has to show that it moves."""
_LOOK_AGAIN = 2.0
_HOUR = timedelta(hours=1)
_EVERY = 1_000_000
_ADVICE = {
    "queue_full": "The loop that reads the queue is slower: give it more replicas, or see its log.",
    "dead_letters_full": "Replay or discard dead letters; the runner has to drain them.",
    "retries_full": "See why so much is tried again.",
    "redis_full": "Raise Redis' maxmemory, or drain queues.",
    "redis_down": "See Redis.",
    "crash_loop": "Its process died again and again: see the runner's log for the node.",
    status.WAITING: "Start a runner that may run it: `manage.py runner`.",
}


def runners() -> Iterator[Finding]:
    try:
        rows = list(Runner.objects.annotate(alive=Q(expires_at__gt=Now())))
        wanted = Workflow.objects.exclude(desired__in=ENDS).filter(active_version__isnull=False)
        alive = [row for row in rows if row.alive]  # type: ignore[attr-defined]
        if alive:
            hosts = sorted({row.host for row in alive})
            yield ok("runners", f"{len(alive)} alive, on {', '.join(hosts)}")
        elif wanted.exists():
            message = f"none is alive, and {wanted.count()} workflows should run"
            yield fail("runners", message, "Start one: `manage.py runner`.")
        else:
            yield warn("runners", "none is alive", "Nothing can run before one is started.")
        for row in rows:
            if not row.alive and row.slots.exists():  # type: ignore[attr-defined]
                message = f"{row.id} is gone and has loops"
                yield warn("runners", message, "Another runner takes them over by itself.")
    finally:
        connections.close_all()


def workers() -> Iterator[Finding]:
    try:
        alive = WorkerSlot.objects.exclude(worker="").filter(expires_at__gt=Now())
        waiting = Run.objects.filter(status=Run.Status.PENDING).count()
        names = sorted(alive.values_list("worker", flat=True))
        if names:
            yield ok("workers", f"{len(names)} alive: {', '.join(names[:SHOWN])}")
        elif waiting:
            message = f"none is alive, and {waiting} runs wait for one"
            yield fail("workers", message, "Start one: `manage.py worker`.")
        else:
            message = "none is alive: runs and distributed groups would wait"
            yield warn("workers", message, "Start one: `manage.py worker`, or go without.")
    finally:
        connections.close_all()


def loops() -> Iterator[Finding]:
    try:
        found = list(_troubled())
        yield from found[:SHOWN]
        if len(found) > SHOWN:
            message = f"{len(found) - SHOWN} more are in trouble"
            yield fail("loops", message, "The dashboard shows all of them.")
        if not found:
            yield ok("loops", f"{_working().count()} workflows are wanted, none is in trouble")
    finally:
        connections.close_all()


def _working() -> Any:
    return Workflow.objects.exclude(desired__in=ENDS).filter(active_version__isnull=False)


def _troubled() -> Iterator[Finding]:
    before = status.of_workflows(_working().select_related("active_version"))
    for workflow in before:
        if workflow["reason"] == status.WAITING:
            yield fail("loops", f"{_named(workflow)} waits for a runner", _ADVICE[status.WAITING])
            continue
        for loop in workflow["loops"]:
            yield from _in_state(workflow, loop)
    yield from _stuck(before)


def _in_state(workflow: dict[str, Any], loop: dict[str, Any]) -> Iterator[Finding]:
    state, reason = loop["state"], loop["reason"]
    waits = reason.startswith(status.WAITING)
    if waits or state in ("failed", "degraded", "blocked"):
        why = f": {reason}" if reason else ""
        message = f"{_named(workflow, loop)} is {state}{why}"
        known = next((text for key, text in _ADVICE.items() if reason.startswith(key)), "")
        advice = known or "See its node's last error on the dashboard, and the runner's log."
        yield (fail if waits or state == "failed" else warn)("loops", message, advice)


def _named(workflow: dict[str, Any], loop: dict[str, Any] | None = None) -> str:
    name = f"{workflow['name']} ({workflow['workflow_id']})"
    return name if loop is None else f"loop {loop['loop']}/{loop['slot']} of {name}"


def _stuck(before: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """Name loops that do not move while something has waited for them for long."""
    ids = {workflow["workflow_id"]: workflow for workflow in before}
    try:
        listed = queues.find_all(SYSTEM, queues.QueueFilter(), limit=_EVERY).results
    except OrchestratorError:
        return  # Redis has findings of its own
    old = {
        (queue["workflow_id"], loop): queue
        for queue in listed
        for loop in queue["readers"]
        if queue["workflow_id"] in ids and (queue["oldest_age"] or 0) > OLD
    }
    if not old:
        return
    time.sleep(_LOOK_AGAIN)
    rows = Workflow.objects.filter(pk__in={key for key, _ in old}).select_related("active_version")
    for after in status.of_workflows(rows):
        for loop in after["loops"]:
            queue = old.get((after["workflow_id"], loop["loop"]))
            if queue is not None and loop["state"] == "running":
                yield from _unmoved(ids[after["workflow_id"]], after, loop, queue)


def _unmoved(
    before: dict[str, Any], after: dict[str, Any], loop: dict[str, Any], queue: dict[str, Any]
) -> Iterator[Finding]:
    same = [x for x in before["loops"] if (x["loop"], x["slot"]) == (loop["loop"], loop["slot"])]
    if not same or same[0]["iterations"] != loop["iterations"]:
        return
    at = [name for name, node in loop["nodes"].items() if node.get("executing")]
    where = f" at node {', '.join(at)}" if at else ""
    yield warn(
        "loops",
        f"{_named(after, loop)} has not moved for {_LOOK_AGAIN:g} s{where}, and the oldest of "
        f"{queue['depth']} items in {queue['name']} has waited for {queue['oldest_age']:.0f} s",
        "Give the node a timeout, or see what it waits for.",
    )


def dead_letters() -> Iterator[Finding]:
    try:
        recent = ExpressionWrapper(Now() - Value(_HOUR), fields.DateTimeField())
        dead = DeadLetter.objects.filter(status=DeadLetter.Status.DEAD).order_by()
        counted = list(
            dead.values(name=F("workflow__name"))
            .annotate(count=Count("id"), fresh=Count("id", filter=Q(dead_at__gt=recent)))
            .order_by("-count")
        )
        total, fresh = (sum(row[key] for row in counted) for key in ("count", "fresh"))
        if not total:
            yield ok("dead letters", "there are none")
            return
        most = counted[0]
        yield warn(
            "dead letters",
            f"{total} wait for a decision, {fresh} of the last hour, most of {most['name']}",
            "Look at them at /dead-letters/, mend the cause, then replay or discard them.",
        )
    finally:
        connections.close_all()
