"""`manage.py doctor`: look at everything the system needs, and say what to do."""

import json
import os
import sys
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from orchestrator.runtime import embedded, redis_url
from orchestrator.security.actors import SYSTEM
from orchestrator.services.doctor.examine import examine
from orchestrator.services.doctor.findings import Finding, Status


class Command(BaseCommand):
    help = "Check all that the system needs and say what to do; exits 1 if something is wrong."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        if not redis_url.given(os.environ) and (url := embedded.running(settings.DATA_DIR)):
            settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "REDIS_URL": url}
        found = []
        for finding in examine(SYSTEM):
            found.append(finding)
            if not options["json"]:
                self._tell(finding)
        counts = Counter(finding.status for finding in found)
        worst = next(s for s in (Status.FAIL, Status.WARN, Status.OK) if counts[s])
        if options["json"]:
            answer = {"status": worst, "findings": [finding.as_json() for finding in found]}
            self.stdout.write(json.dumps(answer, indent=2))
        else:
            self.stdout.write(", ".join(f"{counts[status]} {status}" for status in Status))
        sys.exit(worst is Status.FAIL)

    def _tell(self, finding: Finding) -> None:
        styles = {Status.OK: self.style.SUCCESS, Status.WARN: self.style.WARNING}
        paint = styles.get(finding.status, self.style.ERROR)
        self.stdout.write(f"{paint(f'{finding.status:4}')}  {finding.check:14}  {finding.message}")
        if finding.advice:
            self.stdout.write(f"{'':22}{finding.advice}")
        self.stdout.flush()
