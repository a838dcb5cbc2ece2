"""Run loops until told to stop: the first TERM or INT drains, a second ends at once."""

import asyncio
import os
import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import OrchestratorError
from orchestrator.runtime import healthy, lifeline
from orchestrator.runtime.supervisor import Supervisor
from orchestrator.services import credential_keys


class Command(BaseCommand):
    help = "Run loops: take slots that are wanted, keep them running, drain on TERM or INT."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            credential_keys.check_at_start()
            asyncio.run(_serve())
        except OrchestratorError as error:
            raise CommandError(error.message) from None


async def _serve() -> None:
    supervisor = Supervisor()
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
