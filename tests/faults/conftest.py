"""Fixtures of the fault tests, and the table that they fill.

FAULT_ITEMS is how many items each row moves, FAULT_SEED repeats a run, FAULT_TABLE names a file
that gets the table as well.
"""

import os
from pathlib import Path

import pytest

from tests.deployment import Deployment
from tests.faults.nemesis import SEED, Nemesis
from tests.faults.table import PROPERTY, Row, render

SECTION = "fault_section"


@pytest.fixture
def deployment(tmp_path, redis_server, request):
    """A deployment of its own, with the options that a test gives it as parameter.

    `redis_server` only says whether there is a server at all.
    """
    deployed = Deployment(tmp_path, **getattr(request, "param", {}))
    yield deployed
    deployed.close()


@pytest.fixture
def nemesis(deployment, request):
    return Nemesis(deployment, request.node.name)


@pytest.fixture
def row(request):
    return Row(request)


@pytest.fixture
def section(request):
    """Have a text printed below a title at the end of the run."""
    return lambda title, text: request.node.user_properties.append((SECTION, (title, text)))


def pytest_terminal_summary(terminalreporter):
    summarise(terminalreporter, "tests/faults/", "faults")


def summarise(terminalreporter, folder, title):
    """Print what the tests in a folder have to show."""
    reports = [
        report
        for kind in terminalreporter.stats.values()
        for report in kind
        if getattr(report, "when", "") == "call" and report.nodeid.startswith(folder)
    ]
    told = [pair for report in reports for pair in report.user_properties]
    for heading, text in (value for name, value in told if name == SECTION):
        terminalreporter.section(heading)
        terminalreporter.write_line(text)
    rows = [value for name, value in told if name == PROPERTY]
    if not rows:
        return
    table = render(rows)
    terminalreporter.section(f"{title}, FAULT_SEED={SEED}")
    terminalreporter.write_line(table)
    if path := os.environ.get("FAULT_TABLE"):
        with Path(path).open("a") as file:
            file.write(f"{table}\n")
