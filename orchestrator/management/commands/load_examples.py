"""`manage.py load_examples`: store the example workflows that are not there yet."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import OrchestratorError
from orchestrator.security.actors import SYSTEM
from orchestrator.services import examples


class Command(BaseCommand):
    help = "Store the example workflows, and copy the files they read into the data folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        default = Path(settings.BASE_DIR) / "examples"
        parser.add_argument("folder", nargs="?", type=Path, default=default)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            loaded = examples.load(SYSTEM, options["folder"])
        except OrchestratorError as error:
            problems = "".join(f"\n  {p.path}: {p.message}" for p in error.problems)
            raise CommandError(f"{error}{problems}") from None
        for workflow_id in loaded if options["verbosity"] else ():
            self.stdout.write(f"loaded {workflow_id}")
