"""Cluster: what hosts runners and workers, and where workers execute groups and runs.

A cluster places processes and tasks, and starts again what ends. It guarantees nothing about
items: a process that it takes for dead may live on somewhere. Leases and tokens do that, with every
cluster.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from django.utils.module_loading import import_string

from nodes.contract import Json
from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import InvalidRequest
from orchestrator.runtime.task_handlers import TaskHandlers
from storage.tasks import Task

KINDS = {
    "local": "orchestrator.runtime.cluster_local.LocalCluster",
    "ray": "orchestrator.runtime.cluster_ray.RayCluster",
}
"""What CLUSTER may say, and the class that it stands for."""
TRAVELS = ("group", "run")
"""The types of tasks that a cluster may execute elsewhere than in the worker that has them."""


class Role(StrEnum):
    """What a hosted process does; also the name of its command."""

    RUNNER = "runner"
    WORKER = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process to host.

    name: tells it apart from others of the same cluster.
    arguments: of its command, `manage.py runner` or `manage.py worker`.
    resources: what it needs to be placed, such as {"num_gpus": 1}.
    """

    name: str
    role: Role
    arguments: Sequence[str] = ()
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosted:
    """A hosted process as it is now.

    host: the machine it lives on. pid: 0 while it does not live.
    starts: how often it was started.
    """

    process: Process
    host: str
    pid: int
    starts: int


class Cluster(ABC):
    """Args:
    handlers: what executes tasks, by type.
    environment: of the processes it hosts.
    """

    has_resources: ClassVar[bool]
    """Whether processes may ask for resources."""

    def __init__(self, handlers: TaskHandlers, environment: Mapping[str, str]) -> None:
        self.handlers = handlers
        self.environment = environment

    @abstractmethod
    async def host(self, process: Process) -> None:
        """Start a process, and start it again whenever it ends, until it is drained.

        Raises:
            Conflict: one of this name is hosted.
            InvalidRequest: it needs resources, and this cluster has none to give.
        """

    @abstractmethod
    async def hosted(self) -> Sequence[Hosted]:
        """Return what is hosted, in the order in which it was begun."""

    @abstractmethod
    async def drain(self, name: str) -> None:
        """Let a process end as by TERM, and return when it has; its slots are free then.

        Raises:
            NotFound: none of this name is hosted.
        """

    @abstractmethod
    def kill(self) -> None:
        """End all that is hosted at once; what it had in hand goes on when its leases end."""

    @abstractmethod
    async def execute(self, task: Task) -> Json:
        """Execute a task that a worker has in hand, and return its value.

        One of a type in TRAVELS may be executed on another machine, where its handler is made
        anew; any other here. Raises what the task raised; from elsewhere that is a NodeFailed with
        the `error_type` and `kinds` of it. A task whose process died is a NodeFailed of the type
        `ProcessEnded`: whether it did its work is not known. Being cancelled ends it.
        """

    @abstractmethod
    async def close(self) -> None:
        """Drain all that is hosted, and let go of the cluster."""


def resources_of(labels: Iterable[str]) -> dict[str, float]:
    """Return what the labels stand for together, by LABEL_RESOURCES: of each resource the most."""
    known = orchestrator_settings().LABEL_RESOURCES
    found: dict[str, float] = {}
    for label in labels:
        for name, amount in known.get(label, {}).items():
            found[name] = max(amount, found.get(name, 0.0))
    return found


def make_cluster(
    kind: str, handlers: TaskHandlers, environment: Mapping[str, str], **options: object
) -> Cluster:
    """Return the cluster that a setting names, one of KINDS.

    Raises:
        InvalidRequest: there is none of this name, or it is not installed.
    """
    if kind not in KINDS:
        raise InvalidRequest(f"CLUSTER must be one of {', '.join(KINDS)}, not {kind!r}")
    try:
        made = import_string(KINDS[kind])
    except ImportError as error:
        raise InvalidRequest(f"CLUSTER={kind} needs what is not installed: {error}") from None
    cluster: Cluster = made(handlers, environment, **options)
    return cluster
