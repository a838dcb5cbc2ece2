"""What a test of a deployment has printed at the end of the run."""

from tests.faults.conftest import section as section
from tests.faults.conftest import summarise


def pytest_terminal_summary(terminalreporter):
    summarise(terminalreporter, "tests/deploy/", "deploy")
