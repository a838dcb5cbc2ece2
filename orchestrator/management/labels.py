"""`--label`, which runners and workers have."""

import re
from argparse import ArgumentParser
from collections.abc import Iterable

from django.core.management.base import CommandError

from orchestrator.flow.shapes import LABEL


def add_label(parser: ArgumentParser) -> None:
    """Add the option; its values arrive as `labels`."""
    parser.add_argument(
        "--label",
        action="append",
        default=[],
        dest="labels",
        metavar="LABEL",
        help="what it is good for, such as gpu; may be repeated",
    )


def checked(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the labels, each once, sorted.

    Raises:
        CommandError: one is no label, so that no node could ask for it.
    """
    found = tuple(sorted(set(labels)))
    for label in found:
        if not re.fullmatch(LABEL, label):
            message = "is no label: it has letters, digits, '_', '.' and '-', at most 50"
            raise CommandError(f"{label!r} {message}.")
    return found
