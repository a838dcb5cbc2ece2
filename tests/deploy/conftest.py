"""What a test of a deployment has printed at the end of the run."""

import pytest

SECTION = "deploy_section"


@pytest.fixture
def section(request):
    """Have a text printed below a title at the end of the run."""
    return lambda title, text: request.node.user_properties.append((SECTION, (title, text)))


def pytest_terminal_summary(terminalreporter):
    reports = [report for kind in terminalreporter.stats.values() for report in kind]
    for report in reports:
        if getattr(report, "when", "") != "call":
            continue
        for name, value in report.user_properties:
            if name == SECTION:
                terminalreporter.section(value[0])
                terminalreporter.write_line(value[1])
