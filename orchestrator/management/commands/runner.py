"""Run loops until told to stop: the first TERM or INT drains, a second ends at once."""

import asyncio
import os
import signal
from argparse import ArgumentParser
from collections.abc import Collection
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import OrchestratorError
from orchestrator.management.labels import add_label, checked
from orchestrator.runtime import healthy, lifeline
from orchestrator.runtime.database_patience import limit_answers
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.services import credential_keys


class Command(BaseCommand):
    help = "Run loops: take slots that are wanted, keep them running, drain on TERM or INT."

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_label(parser)

    def handle(self, *args: Any, labels: list[str], **options: Any) -> None:
        try:
            found = checked([*orchestrator_settings().RUNNER_LABELS, *labels])
            limit_answers()
            credential_keys.check_at_start()
            asyncio.run(_serve(found))
        except OrchestratorError as error:
            raise CommandError(error.message) from None


async def _serve(labels: Collection[str]) -> None:
    supervisor = Supervisor(labels)
    asked = False

    def on_signal() -> None:
        nonlocal asked
        if asked:
            supervisor.kill()
            os._exit(130)
        asked = True
        supervisor.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    # Not by a signal: TERM may have come before, and a second one would cut the drain off.
    lifeline.watch_parent(lambda: loop.call_soon_threadsafe(supervisor.stop))
    async with healthy.signs():
        await supervisor.run()
