"""Keep runners and workers alive on a cluster: the first TERM or INT drains, a second ends all."""

import asyncio
import os
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import OrchestratorError
from orchestrator.management.labels import add_label, checked
from orchestrator.runtime import healthy, lifeline
from orchestrator.runtime.cluster import Cluster, Process, Role, make_cluster, resources_of
from orchestrator.runtime.task_handlers import handlers


class Command(BaseCommand):
    help = "Keep runners and workers alive on the cluster that CLUSTER names, until TERM or INT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        for role in Role:
            parser.add_argument(
                f"--{role}s", type=int, default=0, metavar="N", help=f"how many {role}s"
            )
        add_label(parser)

    def handle(
        self, *args: Any, runners: int, workers: int, labels: list[str], **options: Any
    ) -> None:
        counts = {Role.RUNNER: runners, Role.WORKER: workers}
        if min(counts.values()) < 0 or not any(counts.values()):
            raise CommandError("Say how many: --runners 2 --workers 1.")
        arguments = [f"--label={label}" for label in checked(labels)]
        try:
            cluster = make_cluster(orchestrator_settings().CLUSTER, handlers, os.environ)
            wanted = [
                Process(
                    name=f"{role}-{number}",
                    role=role,
                    arguments=arguments,
                    resources=_resources(cluster, role, labels),
                )
                for role, count in counts.items()
                for number in range(1, count + 1)
            ]
            asyncio.run(_serve(cluster, wanted))
        except OrchestratorError as error:
            raise CommandError(error.message) from None


def _resources(cluster: Cluster, role: Role, labels: list[str]) -> dict[str, float]:
    """Return what a process holds. A worker holds nothing: its tasks do, wherever they are."""
    if role is Role.WORKER or not cluster.has_resources:
        return {}
    return resources_of([*orchestrator_settings().RUNNER_LABELS, *labels])


async def _serve(cluster: Cluster, wanted: list[Process]) -> None:
    stopping = asyncio.Event()

    def on_signal() -> None:
        if stopping.is_set():
            cluster.kill()
            os._exit(130)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    lifeline.watch_parent(lambda: loop.call_soon_threadsafe(stopping.set))
    try:
        async with healthy.signs():
            for process in wanted:
                await cluster.host(process)
            await stopping.wait()
    finally:
        await cluster.close()
