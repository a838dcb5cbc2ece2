"""Serve HTTP and WebSockets until told to stop: TERM or INT drains."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from orchestrator.runtime import web


class Command(BaseCommand):
    help = "Serve HTTP and WebSockets at PORT. TERM or INT drains."
    requires_system_checks = ()  # they cost as much as the whole start; `manage.py check` runs them

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="the address to listen at; 0.0.0.0 for every one"
        )

    def handle(self, *args: Any, host: str, **options: Any) -> None:
        web.serve(host, settings.PORT)
