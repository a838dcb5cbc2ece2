"""The *orders* example with a slow node in its second loop, and where each order ended up."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

from tests.deployment import ROOT, Deployment

SOURCE = ROOT / "examples/data/orders.csv"
WRITTEN = ("rejected.csv", "eu.csv", "us.csv", "other.jsonl")
READER, SWITCH = "7", "8"


def slow_orders(seconds: float = 0.005) -> dict:
    """Return the example with a delay between the queue and the switch."""
    workflow = json.loads((ROOT / "examples/orders.json").read_text())
    workflow["name"] = "Slow orders"
    workflow["nodes"].append(
        {"id": "slow", "type": "static-delay", "data": {"form": {"seconds": seconds}}}
    )
    for edge in workflow["edges"]:
        if (edge["source"], edge["target"]) == (READER, SWITCH):
            edge["target"] = "slow"
    workflow["edges"].append({"id": "slow-8", "source": "slow", "target": SWITCH})
    return workflow


def ship_data(deployment: Deployment) -> None:
    target = deployment.folder / "files/examples/orders.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SOURCE, target)


def asked() -> Counter[str]:
    """Return the order ids of the input."""
    with SOURCE.open() as file:
        return Counter(row["order_id"] for row in csv.DictReader(file))


def written(deployment: Deployment) -> Counter[str]:
    """Return the order ids of all outputs."""
    folder = deployment.folder / "files/orders"
    return Counter(order for name in WRITTEN for order in _ids(folder / name))


def _ids(path: Path) -> list[str]:
    if not path.exists():
        return []
    lines = path.read_text().rpartition("\n")[0].splitlines()
    if path.suffix == ".jsonl":
        return [json.loads(line)["order_id"] for line in lines]
    return [row["order_id"] for row in csv.DictReader(lines)]


def dead(deployment: Deployment, workflow: str) -> Counter[str]:
    """Return the order ids of the dead letters."""
    return Counter(letter["item"]["order_id"] for letter in deployment.dead_letters(workflow))
