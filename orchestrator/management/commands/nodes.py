"""`manage.py nodes`: list the node types."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from orchestrator.security.actors import SYSTEM
from orchestrator.services import nodes


class Command(BaseCommand):
    help = "List the node types that workflows can use, and what could not be loaded."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print everything as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        found = nodes.list_all(SYSTEM)
        if options["json"]:
            self.stdout.write(json.dumps(found, indent=2))
            return
        width = max((len(node["type"]) for node in found["results"]), default=0)
        for node in found["results"]:
            kind = node["kind"].replace("_", "-")
            self.stdout.write(f"{node['type']:<{width}}  {kind:<12}  {node['description']}")
        for name, reason in found["broken"].items():
            self.stderr.write(self.style.ERROR(f"{name} could not be loaded: {reason}"))
