"""The table at the end of a run: one row for each fault."""

from collections.abc import Iterable
from typing import Any

import pytest

from tests.faults.checker import Verdict

PROPERTY = "fault_row"
_COLUMNS = (
    ("items", "items"),
    ("lost", "lost"),
    ("duplicate outputs", "duplicates"),
    ("dead letters", "dead"),
    ("re-executions", "repeated"),
    ("recovery", "recovery"),
)


class Row:
    """Adds one row to the table, whatever the checks say that follow."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._properties = request.node.user_properties

    def add(
        self, fault: str, verdict: Verdict, remark: str = "", *, duplicates: int = 0
    ) -> Verdict:
        """Enter a verdict, and check what holds for every fault; of one that takes all that Redis
        has, so many duplicates may come."""
        cells = {title: getattr(verdict, name) for title, name in _COLUMNS}
        recovery = "-" if verdict.recovery is None else f"{verdict.recovery:.1f} s"
        row = {"fault": fault, **cells, "recovery": recovery, "": remark}
        self._properties.append((PROPERTY, row))
        assert not verdict.lost and not verdict.phantom, verdict
        assert verdict.duplicates <= duplicates, verdict
        return verdict


def render(rows: Iterable[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown, by the number of their fault."""
    ordered = sorted(rows, key=_number)
    titles = list(ordered[0])
    lines = [titles, *([str(row[title]) for title in titles] for row in ordered)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: list[str], widths: list[int]) -> str:
    """Return one line, its numbers to the right."""
    fitted = [cell.rjust(width) for cell, width in zip(cells, widths, strict=True)]
    fitted[0], fitted[-1] = cells[0].ljust(widths[0]), cells[-1].ljust(widths[-1])
    return f"| {' | '.join(fitted)} |"


def _number(row: dict[str, Any]) -> tuple[int, str]:
    return int(row["fault"].split()[0].strip("R")), row["fault"]
