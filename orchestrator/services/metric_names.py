"""The names, kinds and labels of all metrics; `docs/metrics.md` says what each means."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_SLOT = ("workflow", "loop", "slot")
_NODE = (*_SLOT, "node")
_QUEUE = ("workflow", "queue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """kind: counter, gauge or histogram. names of counters end with `_total`."""

    kind: str
    help: str
    labels: tuple[str, ...] = ()


def _counter(text: str, *labels: str) -> Metric:
    return Metric(kind="counter", help=text, labels=labels)


def _gauge(text: str, *labels: str) -> Metric:
    return Metric(kind="gauge", help=text, labels=labels)


def _histogram(text: str, *labels: str) -> Metric:
    return Metric(kind="histogram", help=text, labels=labels)


SYSTEM: Mapping[str, Metric] = MappingProxyType(
    {
        "workflow_loop_iterations_total": _counter("Iterations that have ended.", *_SLOT),
        "workflow_loop_failures_total": _counter("Iterations that failed for good.", *_SLOT),
        "workflow_loop_retries_total": _counter("Iterations that were put off.", *_SLOT),
        "workflow_loop_in_flight": _gauge("Iterations that wait for their commit.", *_SLOT),
        "workflow_loop_commit_duration_seconds": _histogram("Commits.", *_SLOT),
        "workflow_loop_hop_duration_seconds": _histogram("Entries in the loop's queue.", *_SLOT),
        "workflow_loop_state": _gauge("1 for the state of a slot.", *_SLOT, "state", "reason"),
        "workflow_loop_slots": _gauge("Slots that are wanted.", "workflow", "loop"),
        "workflow_loop_slots_held": _gauge("Wanted slots that are held.", "workflow", "loop"),
        "workflow_loop_delayed_items": _gauge("Items to be tried again.", "workflow", "loop"),
        "workflow_node_items_total": _counter("Answers of a node.", *_NODE),
        "workflow_node_failures_total": _counter("Calls of a node that raised.", *_NODE),
        "workflow_node_duration_seconds": _histogram("Measured calls of a node.", *_NODE),
        "workflow_queue_items": _gauge("Entries, those in hand included.", *_QUEUE),
        "workflow_queue_lag_items": _gauge("Entries that nobody has in hand.", *_QUEUE),
        "workflow_queue_bytes": _gauge("Bytes of the entries.", *_QUEUE),
        "workflow_queue_oldest_age_seconds": _gauge("Age of the oldest entry.", *_QUEUE),
        "workflow_queue_fill_ratio": _gauge("Share of the limits that is used.", *_QUEUE),
        "workflow_queue_added_total": _counter("Entries that were ever put.", *_QUEUE),
        "workflow_queue_dropped_total": _counter("Entries that were dropped.", *_QUEUE),
        "workflow_dead_letters": _gauge("Dead letters to be dealt with.", "workflow", "status"),
        "workflow_runs": _gauge("One-shot runs that have not ended.", "status"),
        "workflow_tasks_waiting": _gauge("Tasks for workers."),
        "workflow_worker_tasks_total": _counter("Tasks of a worker's slot.", "slot", "outcome"),
        "workflow_worker_active_tasks": _gauge("Tasks in hand.", "slot"),
        "workflow_workers_alive": _gauge("Workers whose lease holds."),
        "workflow_runners_alive": _gauge("Runners whose lease holds."),
        "workflow_runner_lease_age_seconds": _gauge("Since the leases were renewed.", "runner"),
        "workflow_runner_slots": _gauge("Slots that a runner holds.", "runner"),
        "workflow_redis_up": _gauge("1 when Redis answers."),
        "workflow_metrics_omitted": _gauge("Rows that were folded into other.", "kind"),
        "workflow_feed_clients": _gauge("Listeners of this web process."),
        "workflow_feed_dropped_total": _counter("Events that slow listeners did not get."),
    }
)
"""What a scrape gathers anew."""

REQUESTS: Mapping[str, Metric] = MappingProxyType(
    {
        "workflow_http_requests_total": _counter("Requests answered.", "method", "code"),
        "workflow_http_request_duration_seconds": _histogram("Requests.", "method"),
    }
)
"""What a web process counts as it goes."""
