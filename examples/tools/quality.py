"""Tools that look after the quality of a table: plain functions on a CSV file and JSON values.

A rule turns rows down or corrects them. Every tool reads the file as it is after the rules so far,
so nothing is written and any worker can take any step.
"""

import csv
from collections import Counter
from collections.abc import Iterable
from statistics import median
from typing import Any

from nodes.files import resolve
from nodes.tools import tools

Row = dict[str, str]
Rule = dict[str, Any]
Anomaly = dict[str, Any]

_FEW = 0.2
"""The share of a column up to which something is an exception, and not the way it is."""
_FAR = 8.0
"""How many times the usual distance from the middle a number may be away."""


def profile(path: str, rules: list[Rule] | None = None) -> dict[str, Any]:
    """Describe a CSV file column by column: how much is filled, of which kind, how many values."""
    rows = _table(path, rules)
    columns = rows[0].keys() if rows else ()
    return {"rows": len(rows), "columns": {c: _column([r[c] for r in rows]) for c in columns}}


def anomalies(path: str, profile: dict[str, Any], rules: list[Rule] | None = None) -> list[Anomaly]:
    """Find what is out of line in the columns that a profile describes, the most frequent first."""
    rows = _table(path, rules)
    found = [
        {"column": column, "kind": kind, "rows": count}
        for column, described in profile["columns"].items()
        for kind, count in Counter(_flaws(rows, column, described)).items()
    ]
    found += _repeated(rows, profile)
    return sorted(found, key=lambda each: (-each["rows"], each["column"]))


def rules(
    anomalies: list[Anomaly],
    profile: dict[str, Any],
    rules: list[Rule] | None = None,
    at_once: int = 2,
) -> list[Rule]:
    """Add rules for the most frequent anomalies to the rules so far."""
    new = [
        {
            "column": each["column"],
            "kind": each["kind"],
            "action": "correct" if each["kind"] == "spelling" else "drop",
            "profile": profile["columns"][each["column"]],
        }
        for each in anomalies[:at_once]
    ]
    return [*(rules or []), *new]


def apply(path: str, rules: list[Rule]) -> dict[str, int]:
    """Apply rules, and count the rows that they keep, correct and turn down."""
    before, after = _table(path, None), _table(path, rules)
    originals = {tuple(row.values()) for row in before}
    corrected = sum(tuple(row.values()) not in originals for row in after)
    return {"kept": len(after), "corrected": corrected, "dropped": len(before) - len(after)}


def score(path: str, profile: dict[str, Any], rules: list[Rule]) -> float:
    """Return the share of rows without an anomaly, of those that the rules keep."""
    rows = _table(path, rules)
    flawed = {
        number
        for column, described in profile["columns"].items()
        for number, row in enumerate(rows)
        if _flaw(row[column], described) is not None
    }
    repeated = sum(each["rows"] for each in _repeated(rows, profile))
    return round(1 - min(len(rows), len(flawed) + repeated) / len(rows), 4) if rows else 0.0


def _table(path: str, rules: Iterable[Rule] | None) -> list[Row]:
    """Return the rows of a file in the files folder, after some rules."""
    file = resolve(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for rule in rules or ():
        rows = _applied(rule, rows)
    return rows


def _applied(rule: Rule, rows: list[Row]) -> list[Row]:
    column, described = rule["column"], rule["profile"]
    if rule["kind"] == "repeated":
        return list({row[column]: row for row in reversed(rows)}.values())[::-1]
    if rule["action"] == "correct":
        return [{**row, column: row[column].strip().upper()} for row in rows]
    return [row for row in rows if _flaw(row[column], described) != rule["kind"]]


def _column(values: list[str]) -> dict[str, Any]:
    filled = [value for value in values if value.strip()]
    numbers = [number for value in filled if (number := _number(value)) is not None]
    numeric = bool(filled) and len(numbers) >= (1 - _FEW) * len(filled)
    described = {
        "filled": round(len(filled) / len(values), 4) if values else 0.0,
        "kind": "number" if numeric else "text",
        "distinct": len(set(filled)),
        "unique": len(set(filled)) >= (1 - _FEW) * len(filled),
    }
    if numeric:
        middle = median(numbers)
        spread = median(abs(number - middle) for number in numbers)
        return {**described, "middle": middle, "spread": spread}
    if not described["unique"]:
        described["common"] = [value for value, _ in Counter(filled).most_common(20)]
    return described


def _flaw(value: str, described: dict[str, Any]) -> str | None:
    """Return what is wrong with a value in a column, or None."""
    if not value.strip():
        return "missing" if described["filled"] >= 1 - _FEW else None
    if described["kind"] == "number":
        number = _number(value)
        if number is None:
            return "no number"
        far = abs(number - described["middle"]) > _FAR * described["spread"]
        return "outlier" if far else None
    usual = value.strip().upper()
    return "spelling" if value != usual and usual in described.get("common", ()) else None


def _flaws(rows: list[Row], column: str, described: dict[str, Any]) -> list[str]:
    flaws = (_flaw(row[column], described) for row in rows)
    return [flaw for flaw in flaws if flaw is not None]


def _repeated(rows: list[Row], profile: dict[str, Any]) -> list[Anomaly]:
    found = []
    for column, described in profile["columns"].items():
        if described["kind"] == "text" and described["unique"]:
            values = [row[column] for row in rows if row[column].strip()]
            if len(values) > len(set(values)):
                extra = len(values) - len(set(values))
                found.append({"column": column, "kind": "repeated", "rows": extra})
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


for _function in (profile, anomalies, rules, apply, score):
    tools.register(f"quality.{_function.__name__}", _function)
