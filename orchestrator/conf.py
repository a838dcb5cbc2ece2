"""The project's settings: `settings.ORCHESTRATOR`, typed, with defaults, read on each access."""

import json
import math
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchestratorSettings:
    """Times in seconds.

    ALLOW_UNSAFE_STORE: whether a server that may evict or forget what it holds is warned of
        instead of refused.
    NODE_PACKAGES: packages whose modules hold nodes, beside the built-in ones.
    POST_PROCESSORS: dotted paths of functions `(FlowGraph) -> list[Problem]`.
    CHECKPOINT_PERIOD: between two checkpoints of a loop in the database.
    BLOCK_LIMIT: for how long a node may block a process of its own before that is ended and the
        item in hand is charged a delivery.
    BENCH_MEMORY: bytes that a process on the bench may take.
    TOOL_MODULES: modules that register tools when they are imported.
    TASK_MODULES: modules that workers import because they register tasks, or handlers of them.
    WORKER_ID: the name of a worker; empty for one that is made up.
    MAX_CONCURRENT_TASKS: tasks that a worker has in hand at once.
    RUNNER_LABELS, WORKER_LABELS: what the runners, and the workers, of this machine are good for.
    CLUSTER: what hosts runners and workers; one of `runtime.cluster.KINDS`.
    LABEL_RESOURCES: what of a cluster each label stands for, such as {"gpu": {"num_gpus": 1}}.
    TRUSTED_PROXIES: addresses and networks whose `X-Forwarded-` headers are believed, or `*`.
    EGRESS_ALLOW: networks and hosts that nodes may connect to beside public addresses.
    TRACES_PER_SECOND: traces that each slot of a loop may begin in a second; 0: nothing is traced.
    CREDENTIAL_KEYS: keys under which credentials are kept: the first encrypts, all decrypt.
    """

    REDIS_URL: str = "redis://127.0.0.1:6379/0"
    ALLOW_UNSAFE_STORE: bool = False
    DATA_DIR: Path
    MAX_ITERATIONS: int = 1000
    LEASE_TTL: float = 30.0
    CHECKPOINT_PERIOD: float = 5.0
    NODE_PACKAGES: list[str] = field(default_factory=list)
    POST_PROCESSORS: list[str] = field(default_factory=list)
    TOOL_MODULES: list[str] = field(default_factory=list)
    TASK_MODULES: list[str] = field(default_factory=list)
    WORKER_ID: str = ""
    MAX_CONCURRENT_TASKS: int = 8
    RUNNER_LABELS: list[str] = field(default_factory=list)
    WORKER_LABELS: list[str] = field(default_factory=list)
    CLUSTER: str = "local"
    LABEL_RESOURCES: dict[str, dict[str, float]] = field(default_factory=dict)
    TRUSTED_PROXIES: list[str] = field(default_factory=list)
    EGRESS_ALLOW: list[str] = field(default_factory=list)
    CREDENTIAL_KEYS: list[str] = field(default_factory=list, repr=False)
    TRACES_PER_SECOND: int = 0
    BLOCK_LIMIT: float = 60.0
    BENCH_CHILDREN: int = 4
    BENCH_TIMEOUT: float = 30.0
    BENCH_TTL: float = 24 * 3600.0
    BENCH_MEMORY: int = 2 * 1024**3

    @property
    def files_dir(self) -> Path:
        """The only folder that file nodes may read and write."""
        return self.DATA_DIR / "files"


def label_resources(text: str) -> dict[str, dict[str, float]]:
    """Return what a setting like `{"gpu": {"num_gpus": 1}}` says.

    Raises:
        ImproperlyConfigured: it says something else.
    """
    try:
        given = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not all(isinstance(each, dict) for each in given.values()):
        example = '{"gpu": {"num_gpus": 1}}'
        raise ImproperlyConfigured(f"LABEL_RESOURCES must be an object such as {example}")
    for label, resources in given.items():
        for name, amount in resources.items():
            if not _is_amount(amount):
                message = "a part of 1, such as 0.5, or a whole number"
                raise ImproperlyConfigured(f"LABEL_RESOURCES: {name} of {label} must be {message}")
    return given


def _is_amount(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value > 0
        and (value <= 1 or value == int(value))
    )


def orchestrator_settings() -> OrchestratorSettings:
    """Return the settings.

    Raises:
        ImproperlyConfigured: a name is unknown.
    """
    given: dict[str, Any] = getattr(settings, "ORCHESTRATOR", {})
    known = {f.name for f in fields(OrchestratorSettings)}
    unknown = sorted(set(given) - known)
    if unknown:
        raise ImproperlyConfigured(f"ORCHESTRATOR has unknown settings: {', '.join(unknown)}")
    return OrchestratorSettings(**given)
