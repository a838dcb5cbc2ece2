"""Fixtures of the corpora, and the table that they fill."""

import time

import pytest

from tests.security.bombs import S6, S6_LOOPS
from tests.security.escapes import S4, S4_LITERAL
from tests.security.table import PROPERTY, Renderings, Tally, render
from tests.security.texts import S5, S5_TEMPLATES, SECRET

SECTION = "security_section"


@pytest.fixture(autouse=True)
def canary(monkeypatch):
    """Something to be found by whoever gets out."""
    monkeypatch.setenv("HOSTILE_CANARY", SECRET)


@pytest.fixture
def tally(request):
    """Make a tally; nothing may have escaped or been rendered twice when the test ends."""
    made = []

    def make(corpus, door, clock=time.thread_time):
        made.append(Tally(corpus, door, clock))
        return made[-1]

    yield make
    for each in made:
        request.node.user_properties.append((PROPERTY, each.row()))
    for each in made:
        assert not each.escaped, each.escaped[:5]
        assert not each.twice, each.twice[:5]


@pytest.fixture
def section(request):
    """Have a text printed below a title at the end of the run."""
    return lambda title, text: request.node.user_properties.append((SECTION, (title, text)))


@pytest.fixture
def renderings(monkeypatch):
    return Renderings(monkeypatch)


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", "") == "call":
            for name, value in report.user_properties:
                if name == SECTION:
                    terminalreporter.section(value[0])
                    terminalreporter.write_line(value[1])
    rows = [
        value
        for report in reports
        if getattr(report, "when", "") == "teardown"
        for name, value in report.user_properties
        if name == PROPERTY
    ]
    if rows:
        terminalreporter.section("hostile templates")
        terminalreporter.write_line(render(rows))
        escapes, bombs = len(S4) + len(S4_LITERAL), len(S6) + len(S6_LOOPS)
        texts = f"{len(S5)} in {len(S5_TEMPLATES)} templates"
        terminalreporter.write_line(f"payloads: S4 {escapes}, S5 {texts}, S6 {bombs}")
