"""Execute tasks until told to stop: the first TERM or INT finishes, a second ends at once."""

import asyncio
import os
import signal
import socket
import uuid
from argparse import ArgumentParser
from collections.abc import Collection
from importlib import import_module
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import OrchestratorError
from orchestrator.management.labels import add_label, checked
from orchestrator.runtime import healthy, lifeline
from orchestrator.runtime.database_patience import limit_answers
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.output import redact_prints
from orchestrator.services import credential_keys, workers


class Command(BaseCommand):
    help = "Execute tasks: runs, members of groups, tools. Finishes on TERM or INT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--import",
            action="append",
            default=[],
            dest="modules",
            metavar="MODULE",
            help="a module that registers tasks, tools or handlers; may be repeated",
        )

        add_label(parser)

    def handle(self, *args: Any, modules: list[str], labels: list[str], **options: Any) -> None:
        settings = orchestrator_settings()
        if settings.MAX_CONCURRENT_TASKS < 1:
            raise CommandError("MAX_CONCURRENT_TASKS must be 1 or more.")
        modules = [*settings.TASK_MODULES, *modules]
        for module in modules:
            try:
                import_module(module)
            except ImportError as error:
                raise CommandError(f"{module} cannot be imported: {error}") from None
        flow_engine()  # imports what registers nodes and tools
        found = checked([*settings.WORKER_LABELS, *labels])
        name = settings.WORKER_ID or f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        try:
            limit_answers()
            credential_keys.check_at_start()
            redact_prints()  # runs take place here
            asyncio.run(_serve(name, settings.MAX_CONCURRENT_TASKS, found, modules))
        except OrchestratorError as error:
            raise CommandError(error.message) from None


async def _serve(
    name: str, concurrency: int, labels: Collection[str], modules: Collection[str]
) -> None:
    worker = workers.make_worker(name, concurrency, labels, modules)
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            os._exit(130)  # its children end with it
        asked = True
        worker.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # Not by a signal: TERM may have come before, and a second one would cut the end off.
    lifeline.watch_parent(lambda: loop.call_soon_threadsafe(worker.stop))
    async with healthy.signs():
        await worker.run()
    os._exit(0)  # a function in a thread cannot be ended, and must not hold the end up
