"""Make `quality.csv`: made-up customers, the same ones each time.

    python examples/data/make_quality.py

About one row in six has a mistake: no address, an age that nobody has, a country in small letters,
an amount that is no number, or a customer who is there twice.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")

ROWS = 400
SEED = 20250102
COLUMNS = ("customer_id", "email", "country", "age", "joined_on", "spent")
COUNTRIES = ("AT", "AT", "CA", "DE", "DE", "DE", "US", "US")
NAMES = "ada grace linus barbara edsger margaret donald frances ken radia niklaus hedy".split()
MISTAKES = ("no address", "age", "age", "country", "country", "amount")


def customers() -> Iterator[list[str]]:
    """Yield the rows, without the line of names."""
    random = Random(SEED)
    for number in range(1, ROWS + 1):
        row = [
            f"C{number:04}",
            f"{_pick(random, NAMES)}.{number}@example.com",
            _pick(random, COUNTRIES),
            str(18 + _below(random, 60)),
            (date(2025, 1, 1) + timedelta(days=number * 180 // ROWS)).isoformat(),
            f"{_below(random, 50000) / 100:.2f}",
        ]
        if _below(random, 7) == 0:
            _spoil(random, row)
        yield row
        if _below(random, 50) == 0:
            yield row


def _spoil(random: Random, row: list[str]) -> None:
    mistake = _pick(random, MISTAKES)
    if mistake == "no address":
        row[1] = ""
    elif mistake == "age":
        row[3] = str(200 + _below(random, 800))
    elif mistake == "country":
        row[2] = f" {row[2].lower()}"
    else:
        row[5] = "n/a"


# `Random.random` gives the same numbers in every version of Python; its other methods may change.
def _below(random: Random, limit: int) -> int:
    return int(random.random() * limit)


def _pick(random: Random, choices: Sequence[T]) -> T:
    return choices[_below(random, len(choices))]


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).with_name("quality.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(customers())


if __name__ == "__main__":
    main()
