"""Make `orders.csv`: made-up orders, the same ones each time.

    python examples/data/make_orders.py

About one row in forty has a mistake that real exports have: no quantity, a price that is no number,
an address without `@`, or a date that is written another way. The last kind cannot be read at all;
the others can, and are turned down.
"""

import csv
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import TypeVar

T = TypeVar("T")

ROWS = 3000
SEED = 20250101
COLUMNS = ("order_id", "placed_on", "email", "region", "sku", "quantity", "unit_price")
REGIONS = ("eu", "eu", "eu", "us", "us", "apac", "latam")
NAMES = "ada grace linus barbara edsger margaret donald frances ken radia niklaus hedy".split()
DOMAINS = ("example.com", "example.org", "example.net")
PRODUCTS = {"MUG-01": 890, "TEE-02": 1990, "CAP-03": 1450, "PEN-04": 320, "BAG-05": 3490}
"""Prices in cents."""


def orders() -> Iterator[list[str]]:
    """Yield the rows, without the line of names."""
    random = Random(SEED)
    for number in range(1, ROWS + 1):
        day = date(2025, 1, 1) + timedelta(days=number * 90 // ROWS)
        product = _pick(random, tuple(PRODUCTS))
        row = [
            f"A{number:05}",
            day.isoformat(),
            f"{_pick(random, NAMES)}.{1 + _below(random, 400)}@{_pick(random, DOMAINS)}",
            _pick(random, REGIONS),
            product,
            str(1 + _below(random, 5)),
            f"{PRODUCTS[product] / 100:.2f}",
        ]
        if _below(random, 40) == 0:
            _spoil(random, row, day)
        yield row


def _spoil(random: Random, row: list[str], day: date) -> None:
    mistakes = ((5, "0"), (6, "n/a"), (2, row[2].replace("@", " at ")), (1, f"{day:%d.%m.%y}"))
    column, value = _pick(random, mistakes)
    row[column] = value


# `Random.random` gives the same numbers in every version of Python; its other methods may change.
def _below(random: Random, limit: int) -> int:
    return int(random.random() * limit)


def _pick(random: Random, choices: Sequence[T]) -> T:
    return choices[_below(random, len(choices))]


def main() -> None:
    """Write the file beside this one."""
    path = Path(__file__).with_name("orders.csv")
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(orders())


if __name__ == "__main__":
    main()
