"""`manage.py create_token USERNAME`: make a bearer token."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import OrchestratorError
from orchestrator.security.actors import SYSTEM
from orchestrator.services import access


class Command(BaseCommand):
    help = "Make a bearer token for a user and print it. It cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="command line", help="what it is for")
        parser.add_argument(
            "--scope",
            action="append",
            metavar="ACTION",
            help="all that may be done with it: an action, queue.*, or a role; more than once",
        )
        parser.add_argument("--days", type=int, help="after how many days it expires")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["days"] is not None and not 0 < options["days"] <= 36_500:
            raise CommandError("--days is a number from 1 to 36500")
        try:
            raw = access.create_token(
                SYSTEM,
                options["username"],
                name=options["name"],
                days=options["days"],
                scopes=options["scope"],
            )
        except OrchestratorError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(raw)
