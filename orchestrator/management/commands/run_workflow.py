"""`manage.py run_workflow FILE`: run a workflow here, without the database."""

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import OrchestratorError, WorkflowInvalid
from orchestrator.management.counters import Lines, Table
from orchestrator.runtime import redis_url
from orchestrator.runtime.local import LocalRun, Outcome
from orchestrator.security.actors import SYSTEM
from orchestrator.services import local_run

CODES = {Outcome.COMPLETED: 0, Outcome.STOPPED: 1, Outcome.FAILED: 1}


class Command(BaseCommand):
    help = (
        "Run every loop of a workflow file until its sources are exhausted: exits 0 then, 1 when a "
        "loop failed, 130 after Ctrl-C. Items that failed for good are kept in the data folder."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument(
            "--resume", action="store_true", help="go on where the last run was stopped"
        )

    def handle(self, *args: Any, file: Path, resume: bool, **options: Any) -> None:
        live = self.stdout.isatty()
        if live:  # the hosts' log would tear the table; what it says of items is in the file
            os.environ.setdefault("LOG_LEVEL", "ERROR")
        self._view = Table(sys.stdout) if live else Lines(sys.stdout)
        try:
            ended = local_run.run_file(
                SYSTEM,
                file,
                watch=self._watch,
                redis_url=redis_url.given(os.environ),
                resume=resume,
            )
        except WorkflowInvalid as error:
            problems = "".join(f"\n  {p.path}: {p.message}" for p in error.problems)
            raise CommandError(f"{file}: {error.message}{problems}") from None
        except OrchestratorError as error:
            raise CommandError(f"{file}: {error.message}") from None
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}") from None
        self._tell(ended)
        sys.exit(128 + ended.signal if ended.signal else CODES[ended.outcome])

    def _watch(self, run: LocalRun) -> None:
        self._run = run
        self._view(run)

    def _tell(self, ended: local_run.Ended) -> None:
        for slot in self._run.slots:
            if slot.error:
                self.stderr.write(self.style.ERROR(f"loop {slot.name}: {slot.error}"))
        if self._run.dead_count:
            self.stdout.write(f"{self._run.dead_count} dead letters: {self._run.dead_letters}")
        self.stdout.write(f"{self._run.name}: {ended.outcome}")
