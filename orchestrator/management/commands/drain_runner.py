"""Let a runner give back its loops and end, from any machine; returns when it has."""

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import OrchestratorError
from orchestrator.security.actors import SYSTEM
from orchestrator.services import runners

_LOOK = 0.2


class Command(BaseCommand):
    help = "Let a runner end as by TERM: its loops go on in others. Waits until it is gone."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("runner", help="the id of the runner, as in /prod/status or the admin")
        parser.add_argument(
            "--wait",
            type=float,
            default=60.0,
            metavar="SECONDS",
            help="how long to wait for its end (60)",
        )

    def handle(self, *args: Any, runner: str, wait: float, **options: Any) -> None:
        try:
            runners.drain(SYSTEM, runner)
        except OrchestratorError as error:
            raise CommandError(error.message) from None
        deadline = time.monotonic() + wait
        while runners.lives(runner):
            if time.monotonic() > deadline:
                raise CommandError(f"{runner} still drains after {wait:g} s.")
            time.sleep(_LOOK)
        self.stdout.write(f"{runner} has ended.")
