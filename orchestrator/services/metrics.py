"""The metrics of the system and of this process, as text for Prometheus."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from orchestrator.execution.durations import BOUNDS
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import metric_families, metric_rows
from orchestrator.services.metric_names import REQUESTS

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_registry = CollectorRegistry()
"""What this process counts as it goes."""
_count, _duration = REQUESTS.values()
_requests = Counter("workflow_http_requests", _count.help, _count.labels, registry=_registry)
_durations = Histogram(
    "workflow_http_request_duration_seconds",
    _duration.help,
    _duration.labels,
    buckets=BOUNDS,
    registry=_registry,
)


class _System(Collector):
    """What was read of the system at one moment."""

    def __init__(self, families: Iterable[Any]) -> None:
        self._families = families

    def collect(self) -> Iterable[Any]:
        yield from self._families
        yield from _registry.collect()


def exposition(actor: Actor, accept: str) -> tuple[bytes, str]:
    """Return all metrics as text, and its content type, as an Accept header asks for it.

    What is away leaves its metrics out.
    """
    authorize(actor, "metrics.read")
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_System(metric_families.families(metric_rows.read())))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def count_request(method: str, status: int, seconds: float) -> None:
    """Count a request that was answered."""
    name = method if method in _METHODS else "other"
    _requests.labels(name, f"{status // 100}xx").inc()
    _durations.labels(name).observe(seconds)
