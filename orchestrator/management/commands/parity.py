"""`manage.py parity WORKFLOW`: does the bench show what production does?"""

import sys
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from orchestrator.exceptions import OrchestratorError, WorkflowInvalid
from orchestrator.runtime.parity.compare import Difference, NodeReport, Report
from orchestrator.security.actors import SYSTEM
from orchestrator.services import parity

SHOWN = 10
"""Differences that are printed of a node."""


class Command(BaseCommand):
    help = (
        "Replay items of a workflow through the bench and through production's runners, and print "
        "what differs: exits 0 when nothing does, 1 when something does, 2 when nothing could be "
        "compared."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "workflow", metavar="WORKFLOW", help="id of a saved workflow, or path of a .json file"
        )
        parser.add_argument(
            "--from", dest="origin", choices=("tap", "cache", "file"), help="items to take instead"
        )
        parser.add_argument("--file", type=Path, help="JSON lines, for --from file")
        parser.add_argument("--loop", help="the loop whose items the file holds")
        parser.add_argument("--items", type=_count, default=20, help="of each source, default 20")
        parser.add_argument("--seed", type=int, help="of the order in which items arrive")
        parser.add_argument("--session", help="of the bench, for --from cache")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["origin"] == "file") != (options["file"] is not None):
            raise CommandError("--from file and --file PATH go together", returncode=2)
        report = self._compare(options)
        for node in report.nodes:
            self._print(node)
        for difference in report.loops:
            self.stdout.write(self.style.ERROR(f"{difference.item}: {difference.production}"))
        if report.notes:
            self.stdout.write("not compared:")
        for note in report.notes:
            self.stdout.write(f"  {note}")
        self._conclude(report)

    def _compare(self, options: dict[str, Any]) -> Report:
        given = {name: options[name] for name in ("workflow", "origin", "loop", "items", "seed")}
        request = parity.ParityRequest(path=options["file"], session=options["session"], **given)
        workflow = request.workflow
        try:
            return parity.compare(SYSTEM, request)
        except WorkflowInvalid as error:
            problems = "".join(f"\n  {p.path}: {p.message}" for p in error.problems)
            raise CommandError(f"{workflow} cannot run:{problems}", returncode=2) from None
        except OrchestratorError as error:
            raise CommandError(f"{workflow}: {error.message}", returncode=2) from None
        except DatabaseError as error:
            raise CommandError(f"the database cannot be read: {error}", returncode=2) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}", returncode=2) from None

    def _print(self, node: NodeReport) -> None:
        found = _differences(len(node.differences))
        if node.followed:
            found += f", {node.followed} that follow from a node before it"
        self.stdout.write(f"{node.node} {node.type}: {node.compared} compared, {found}")
        for difference in node.differences[:SHOWN]:
            self._print_difference(difference)
        if len(node.differences) > SHOWN:
            self.stdout.write(f"  and {len(node.differences) - SHOWN} more")

    def _print_difference(self, difference: Difference) -> None:
        path = f", {difference.path}" if difference.path else ""
        self.stdout.write(self.style.ERROR(f"  item {difference.item}{path}"))
        self.stdout.write(f"    bench:      {difference.bench}")
        self.stdout.write(f"    production: {difference.production}")

    def _conclude(self, report: Report) -> None:
        compared = f"{report.compared} outputs of {len(report.nodes)} nodes (seed {report.seed})"
        if report.differences:
            self.stdout.write(self.style.ERROR(f"{_differences(report.differences)} in {compared}"))
            sys.exit(1)
        if not report.compared:
            raise CommandError("nothing was compared: no source gave an item", returncode=2)
        self.stdout.write(f"no differences in {compared}")


def _differences(count: int) -> str:
    return "1 difference" if count == 1 else f"{count or 'no'} differences"


def _count(text: str) -> int:
    if not text.isdigit() or not 0 < int(text) <= 10_000:
        raise ArgumentTypeError("a number from 1 to 10000")
    return int(text)
