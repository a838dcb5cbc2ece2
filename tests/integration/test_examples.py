"""The examples load, and do what they say, through `manage.py run_workflow` on a real server."""

import csv
import json
import logging
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from orchestrator.conf import orchestrator_settings
from orchestrator.models import Graph, Workflow
from orchestrator.runtime import web
from orchestrator.runtime.engine import flow_engine
from orchestrator.security.actors import SYSTEM
from orchestrator.services import examples
from tests.local_runs import ROOT, LocalRuns
from tests.waiting import eventually

EXAMPLES = ROOT / "examples"
FILES = sorted(EXAMPLES.glob("*.json"))
GRAPHS = sorted(EXAMPLES.glob("graphs/*.json"))


@pytest.fixture
def runs(tmp_path, redis_url):
    return LocalRuns(tmp_path, redis_url)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_an_example_loads_and_is_drawn_from_left_to_right(path):
    flow = flow_engine().load(json.loads(path.read_text()))
    assert len(flow.analyzer.loops()) == 2
    places = {node["id"]: node["position"] for node in flow.spec.raw["nodes"]}
    assert len({(place["x"], place["y"]) for place in places.values()}) == len(places)
    for edge in flow.spec.edges:
        assert places[edge.target]["x"] - places[edge.source]["x"] == 320


@pytest.mark.django_db
def test_all_are_stored_for_a_newcomer_with_the_data_they_read():
    examples.load(SYSTEM, EXAMPLES)
    assert {path.stem for path in FILES} <= set(Workflow.objects.values_list("pk", flat=True))
    assert {path.stem for path in GRAPHS} <= set(Graph.objects.values_list("pk", flat=True))
    for name in ("orders.csv", "quality.csv"):
        copied = orchestrator_settings().files_dir / "examples" / name
        assert copied.read_bytes() == (EXAMPLES / "data" / name).read_bytes()
    assert examples.load(SYSTEM, EXAMPLES) == []


@pytest.mark.parametrize("name", ["orders", "quality"])
def test_a_table_is_what_its_script_makes(tmp_path, name):
    script = tmp_path / f"make_{name}.py"
    script.write_text((EXAMPLES / f"data/make_{name}.py").read_text())
    subprocess.run([sys.executable, str(script)], check=True)
    made = (tmp_path / f"{name}.csv").read_bytes()
    assert made == (EXAMPLES / f"data/{name}.csv").read_bytes()


def test_hello_loops_writes_every_item_once_and_in_order_each_time(runs):
    for _ in range(2):
        assert runs.run("run_workflow", EXAMPLES / "hello-loops.json") == 0, runs.told
        assert [item["value"] for item in runs.lines("hello-loops/out.jsonl")] == list(range(1000))
    assert "loop 3/0 completed: iterations 1000, failures 0\n" in runs.told


def test_every_order_is_in_one_output_or_a_dead_letter(runs):
    assert runs.run("run_workflow", EXAMPLES / "orders.json") == 0, runs.told
    rejected = rows(runs.file("orders/rejected.csv"))
    eu, us = rows(runs.file("orders/eu.csv")), rows(runs.file("orders/us.csv"))
    other = runs.lines("orders/other.jsonl")
    dead = [letter["item"] for letter in runs.dead("run-orders")]
    ways = (eu, us, rejected, other, dead)
    for way in ways:
        ids = [order["order_id"] for order in way]
        assert ids and ids == sorted(ids), "the order of the file was not kept"
    given = {row["order_id"]: row for row in rows(EXAMPLES / "data/orders.csv")}
    taken = Counter(order["order_id"] for way in ways for order in way)
    assert taken == Counter(given.keys())
    assert {given[order["order_id"]]["region"] for order in us} == {"us"}
    assert {order["region"] for order in other} == {"apac", "latam"}
    assert not any(order["placed_on"].startswith("2025-") for order in dead)
    assert f"{len(dead)} dead letters: " in runs.told


def test_log_triage_goes_on_where_it_was_stopped(runs):
    log = runs.file("logs/access.log")
    log.parent.mkdir(parents=True)
    log.write_text(access("/one", 200) + access("/two", 503) + "no access\n")
    running = runs.start("run_workflow", EXAMPLES / "log-triage.json")
    eventually(lambda: runs.lines("log-triage/requests.jsonl"))
    running.send_signal(signal.SIGINT)
    assert running.wait(60) == 130, runs.told
    with log.open("a") as file:
        file.write(access("/three", 404) + access("/four", 500))

    running = runs.start("run_workflow", EXAMPLES / "log-triage.json", "--resume")
    eventually(lambda: len(errors(runs)) == 2, 60)
    running.send_signal(signal.SIGTERM)
    assert running.wait(60) == 143, runs.told
    requests = runs.lines("log-triage/requests.jsonl")
    assert [(r["path"], r["status"]) for r in requests] == [("/one", 200), ("/three", 404)]
    assert [(e["path"], e["status"]) for e in errors(runs)] == [("/two", 503), ("/four", 500)]
    assert [letter["item"] for letter in runs.dead("run-log-triage")] == [{"line": "no access"}]


def errors(runs):
    """Return the items of all batches."""
    return [item for batch in runs.lines("log-triage/errors.jsonl") for item in batch["items"]]


def rows(path: Path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def access(path, status):
    """Return a line as the web process writes it."""
    arguments = ("127.0.0.1:5000", "GET", path, "1.1", status)
    record = logging.LogRecord("uvicorn.access", logging.INFO, "", 0, "", arguments, None)
    return web.CombinedFormatter().format(record) + "\n"
