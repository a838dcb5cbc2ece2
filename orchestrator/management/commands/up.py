"""`manage.py up`: everything on this machine, with the examples."""

import asyncio
import os
import shlex
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections

from orchestrator.exceptions import OrchestratorError
from orchestrator.runtime import redis_url
from orchestrator.runtime.up import Plan, Up
from orchestrator.security.actors import SYSTEM
from orchestrator.services import first_account, production

MAIN_EXAMPLE = "log-triage"
TOLD = """
  Dashboard  {address}/
  User       {user}
  Password   {password}

  Start another example:

  {curl}
"""


class Command(BaseCommand):
    """Run the embedded Redis-protocol server, the web process, a runner and a worker."""

    help = __doc__
    requires_system_checks = ()  # they cost as much as the whole start; `manage.py check` runs them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--no-examples", action="store_true", help="do not load the examples")

    def handle(self, *args: Any, no_examples: bool, **options: Any) -> None:
        """Run until a signal ends it."""
        plan = Plan(
            data_dir=settings.DATA_DIR,
            port=settings.PORT,
            redis_url=redis_url.given(os.environ),
            migrate=_migrate,
            prepare=lambda: _prepare(settings.DATA_DIR, examples=not no_examples),
            tell=self._tell,
        )
        try:
            asyncio.run(Up(plan).run())
        except OrchestratorError as error:
            raise CommandError(error.message) from None
        except (OSError, DatabaseError) as error:  # a full disk, above all
            raise CommandError(f"{settings.DATA_DIR} cannot be used: {error}") from None

    def _tell(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _migrate(url: str) -> None:
    # This process was configured before the embedded server had an address.
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "REDIS_URL": url}
    try:
        call_command("migrate", interactive=False, verbosity=0)
    finally:
        connections.close_all()


def _prepare(data_dir: Path, *, examples: bool) -> str:
    """Make the account, load the examples, and return what a newcomer needs to know."""
    try:
        account = first_account.ensure(SYSTEM, data_dir)
        if examples:
            call_command("load_examples", verbosity=0)
            _start_once(MAIN_EXAMPLE)
    finally:
        connections.close_all()
    address = f"http://127.0.0.1:{settings.PORT}{settings.URL_PREFIX}"
    return TOLD.format(
        address=address,
        user=account.username,
        password=account.password or "(the one you chose)",
        curl=_curl(address, account.token_file),
    )


def _start_once(workflow_id: str) -> None:
    """Start a workflow that never ran; whoever has stopped it since does not want it to run."""
    if production.status(SYSTEM, workflow_id)["activation"] == 0:
        production.start(SYSTEM, workflow_id)


def _curl(address: str, token_file: Path) -> str:
    return (
        f"curl -s -X POST {address}/prod/start "
        f'-H "Authorization: Bearer $(cat {shlex.quote(str(token_file))})" '
        "-H 'Content-Type: application/json' -d '{\"workflow_id\": \"hello-loops\"}'"
    )
