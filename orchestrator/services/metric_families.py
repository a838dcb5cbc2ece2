"""What was read as families of samples, of which there are only so many: rows beyond a cap are
added up in one row, whose labels say `other`."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)

from orchestrator.execution.durations import BOUNDS, BUCKETS
from orchestrator.execution.measures import OTHER, summed
from orchestrator.services import queue_views
from orchestrator.services.metric_names import SYSTEM
from orchestrator.services.metric_rows import Known, Reading
from orchestrator.services.queues import Depth

MAX_SLOTS = 500
MAX_NODES = 1000
MAX_QUEUES = 1000
MAX_WORKFLOWS = 1000
MAX_RUNNERS = 500
"""Rows of each kind that are told apart. A row of a slot or a node has some 30 samples."""

Row = tuple[tuple[str, ...], list[float]]
_KINDS: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "histogram": HistogramMetricFamily,
}
_EDGES = [*map(str, BOUNDS), "+Inf"]
_DURATIONS = BUCKETS + 1
_REASONS = frozenset(
    {
        *("queue_full", "dead_letters_full", "retries_full", "redis_full", "redis_down"),
        *("crash_loop", "no_process"),
    }
)
"""Any other reason is the message of an error, of which there is no end."""


class Families:
    """Families by name; one is there once it has a sample."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}
        self._omitted: dict[str, int] = {}

    def put(self, name: str, value: float | None, *labels: str) -> None:
        """Add a sample; None adds none."""
        if value is not None:
            self._of(name).add_metric(labels, value)

    def put_durations(self, name: str, told: Sequence[float], *labels: str) -> None:
        """Add a histogram of the sum and the buckets of `execution.durations`."""
        buckets, before = [], 0.0
        for edge, count in zip(_EDGES, told[1:], strict=True):
            before += count
            buckets.append((edge, before))
        self._of(name).add_metric(labels, buckets=buckets, sum_value=told[0])

    def _of(self, name: str) -> Any:
        family = self._found.get(name)
        if family is None:
            metric = SYSTEM[name]
            made = _KINDS[metric.kind](name, metric.help, labels=metric.labels)
            family = self._found[name] = made
        return family

    def capped(
        self,
        kind: str,
        rows: Iterable[Row],
        cap: int,
        *,
        places: int,
        add: Callable[[Iterable[list[float]]], list[float]] = summed,
    ) -> list[Row]:
        """Return the first rows in the order of their labels, and the others added up.

        Args:
            places: how many of the labels say where something is; the others are kept.
        """
        other = (OTHER,) * places  # which something may be named
        known = sorted(rows, key=lambda row: (row[0][:places] == other, row[0]))
        others: dict[tuple[str, ...], list[list[float]]] = {}
        for labels, values in known[cap:]:
            others.setdefault(other + labels[places:], []).append(values)
        self._omitted[kind] = len(known[cap:])
        return [*known[:cap], *((labels, add(values)) for labels, values in others.items())]

    def all(self) -> list[Any]:
        """Return the families, with how many rows were added up."""
        for kind, count in self._omitted.items():
            self.put("workflow_metrics_omitted", count, kind)
        return list(self._found.values())


def families(reading: Reading) -> list[Any]:
    """Return what was read as families of samples."""
    found = Families()
    found.put("workflow_redis_up", reading.depths is not None)
    _put_known(found, reading.known)
    _put_counted(found, reading.known, reading.counted)
    if reading.depths is not None:
        _put_queues(found, reading.depths)
    found.put("workflow_tasks_waiting", reading.tasks)
    found.put("workflow_feed_clients", reading.listeners[0])
    found.put("workflow_feed_dropped_total", reading.listeners[1])
    return found.all()


def _put_known(found: Families, known: Known) -> None:
    _put_slots(found, known)
    letters: list[Row] = [((w, status), [count]) for w, status, count in known.letters]
    for labels, (count,) in found.capped("dead_letters", letters, MAX_WORKFLOWS, places=1):
        found.put("workflow_dead_letters", count, *labels)
    for status, count in known.runs:
        found.put("workflow_runs", count, status)
    found.put("workflow_runners_alive", sum(runner.alive for runner in known.runners))
    found.put("workflow_workers_alive", known.workers_alive)
    runners: list[Row] = [((r.id,), [r.age, r.slots]) for r in known.runners]
    for labels, (age, slots) in found.capped(
        "runners", runners, MAX_RUNNERS, places=1, add=_oldest_and_all
    ):
        found.put("workflow_runner_lease_age_seconds", age, *labels)
        found.put("workflow_runner_slots", slots, *labels)
    workers: list[Row] = [
        ((str(w["slot"]),), [w["active"], w["processed"], w["failed"], w["retried"]])
        for w in known.workers
    ]
    for labels, (active, *ended) in found.capped("workers", workers, MAX_RUNNERS, places=1):
        found.put("workflow_worker_active_tasks", active, *labels)
        for outcome, count in zip(("processed", "failed", "retried"), ended, strict=True):
            found.put("workflow_worker_tasks_total", count, *labels, outcome)


def _put_slots(found: Families, known: Known) -> None:
    states: list[Row] = [
        ((s.workflow, s.loop, str(s.slot), s.state, _reason(s.reason)), [1]) for s in known.slots
    ]
    for labels, (count,) in found.capped("states", states, MAX_SLOTS, places=3):
        found.put("workflow_loop_state", count, *labels)
    loops: dict[tuple[str, ...], list[float]] = {}
    for slot in known.slots:
        counts = loops.setdefault((slot.workflow, slot.loop), [0, 0])
        counts[0] += slot.wanted
        counts[1] += slot.wanted and slot.held
    for labels, (wanted, held) in found.capped("loops", loops.items(), MAX_SLOTS, places=2):
        found.put("workflow_loop_slots", wanted, *labels)
        found.put("workflow_loop_slots_held", held, *labels)


def _reason(reason: str) -> str:
    return reason if not reason or reason in _REASONS else OTHER


def _put_counted(found: Families, known: Known, counted: Iterable[dict[str, Any]]) -> None:
    """Put what runners have counted of slots that there still are."""
    there = {(slot.workflow, slot.loop, slot.slot) for slot in known.slots}
    slots: list[Row] = []
    nodes: list[Row] = []
    for row in counted:
        if (row["workflow"], row["loop"], row["slot"]) in there:
            place = row["workflow"], row["loop"], str(row["slot"])
            counts = [row["iterations"], row["failures"], row["retries"], row["in_flight"]]
            slots.append((place, [*counts, *row["commits"], *row["hops"]]))
            nodes += [((*place, node), values) for node, values in row["nodes"].items()]
    for labels, values in found.capped("slots", slots, MAX_SLOTS, places=3):
        found.put("workflow_loop_iterations_total", values[0], *labels)
        found.put("workflow_loop_failures_total", values[1], *labels)
        found.put("workflow_loop_retries_total", values[2], *labels)
        found.put("workflow_loop_in_flight", values[3], *labels)
        commits, hops = values[4 : 4 + _DURATIONS], values[4 + _DURATIONS :]
        found.put_durations("workflow_loop_commit_duration_seconds", commits, *labels)
        if any(hops):
            found.put_durations("workflow_loop_hop_duration_seconds", hops, *labels)
    for labels, (count, failed, *durations) in found.capped("nodes", nodes, MAX_NODES, places=4):
        found.put("workflow_node_items_total", count, *labels)
        found.put("workflow_node_failures_total", failed, *labels)
        found.put_durations("workflow_node_duration_seconds", durations, *labels)


def _put_queues(found: Families, depths: Iterable[Depth]) -> None:
    queues: list[Row] = []
    delayed: list[Row] = []
    for depth in depths:
        stats = depth.stats
        waiting = stats.length - sum(stats.in_hand.values())
        fill = queue_views.fill(depth.plan, stats)
        queues.append(
            (
                (depth.workflow, depth.plan.name),
                [
                    *(stats.length, max(0, waiting), stats.bytes, stats.added, stats.dropped),
                    *(queue_views.age(stats.oldest_at) or 0.0, -1.0 if fill is None else fill),
                ],
            )
        )
        if depth.delayed is not None:
            delayed.append(((depth.workflow, depth.plan.inbox_of or ""), [depth.delayed]))
    for labels, values in found.capped("queues", queues, MAX_QUEUES, places=2, add=_all_queues):
        found.put("workflow_queue_items", values[0], *labels)
        found.put("workflow_queue_lag_items", values[1], *labels)
        found.put("workflow_queue_bytes", values[2], *labels)
        found.put("workflow_queue_added_total", values[3], *labels)
        found.put("workflow_queue_dropped_total", values[4], *labels)
        found.put("workflow_queue_oldest_age_seconds", values[5], *labels)
        found.put("workflow_queue_fill_ratio", values[6] if values[6] >= 0 else None, *labels)
    for labels, (count,) in found.capped("delayed", delayed, MAX_SLOTS, places=2):
        found.put("workflow_loop_delayed_items", count, *labels)


def _all_queues(rows: Iterable[list[float]]) -> list[float]:
    """Add queues up; of age and fill the greatest counts."""
    *counts, ages, fills = zip(*rows, strict=True)
    return [*map(sum, counts), max(ages), max(fills)]


def _oldest_and_all(rows: Iterable[list[float]]) -> list[float]:
    ages, slots = zip(*rows, strict=True)
    return [max(ages), sum(slots)]
