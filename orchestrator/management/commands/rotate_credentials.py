"""`manage.py rotate_credentials`: seal every credential under the first key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from orchestrator.exceptions import OrchestratorError
from orchestrator.security.actors import SYSTEM
from orchestrator.services import credential_keys


class Command(BaseCommand):
    help = "Seal every credential under the first key. Nothing that runs is disturbed."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            count = credential_keys.rotate(SYSTEM)
        except OrchestratorError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{count} credentials are sealed under the first key.")
