"""`manage.py check_workflow FILE`: say everything that is wrong with a workflow."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import InvalidPayload, WorkflowInvalid
from orchestrator.flow.schema import json_schema
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from storage.codec import decode


class Command(BaseCommand):
    help = "Check workflow files; prints every problem with its path and exits 1 if there is one."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
        parser.add_argument("--schema", action="store_true", help="print the JSON Schema")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["schema"]:
            self.stdout.write(json.dumps(json_schema(), indent=2))
        elif not options["files"]:
            raise CommandError("name a FILE, or ask for --schema")
        checked = [self._check(path) for path in options["files"]]
        if not all(checked):
            sys.exit(1)

    def _check(self, path: Path) -> bool:
        try:
            workflows.check(SYSTEM, decode(path.read_bytes()))
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from None
        except InvalidPayload as error:
            self.stderr.write(self.style.ERROR(f"{path}: {error}"))
            return False
        except WorkflowInvalid as error:
            for problem in error.problems:
                place = f"{path}: {problem.path}" if problem.path else str(path)
                self.stderr.write(self.style.ERROR(f"{place}: {problem.message}"))
            return False
        self.stdout.write(f"{path}: ok")
        return True
