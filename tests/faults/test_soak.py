"""R22: three workflows run for SOAK_MINUTES while runners are killed, and nothing piles up."""

import json
import os
import statistics
import time
from collections import Counter, defaultdict

import pytest
import redis

from tests.faults.checker import Checker
from tests.faults.processes import holdings
from tests.faults.workflows import counter, hand_over, linked, recording, sink
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.long]
MINUTES = float(os.environ.get("SOAK_MINUTES") or 0.5)
KILL_EVERY = min(20, MINUTES * 10)
"""Seconds."""
LOOKS = 3
"""Between two kills; together with ENOUGH so many that also the shortest soak compares."""
PATIENCE = 120
FAILS_EVERY = 50
MAY_GROW = {"MB": max(8, MINUTES / 60), "files": 30, "threads": 15, "clients": 30}
"""1 MB an hour, and what a process may differ by when it has more loops to run than before."""
ENOUGH = 10
"""Looks at a process from which on its growth says something."""


def test_r22_soak(deployment, nemesis, row, section):
    for _ in range(3):
        deployment.start_runner()
    workflows = [deployment.create(made) for made in (passing(), failing(), shared())]
    eventually(lambda: deployment.status(workflows[0])["runners_alive"] == 3)
    for workflow in workflows:
        deployment.post("/prod/start", workflow)
        deployment.wait_for(workflow, "running")
    watch = Watch(deployment)
    ends = time.monotonic() + 60 * MINUTES
    while time.monotonic() < ends:
        for _ in range(LOOKS):
            nemesis.wait(KILL_EVERY * 0.8 / LOOKS, KILL_EVERY * 1.2 / LOOKS)
            watch.look()
        nemesis.kill(nemesis.random.choice(deployment.runners[1:]))
    for workflow in workflows:
        deployment.wait_for(workflow, "running", PATIENCE)
        deployment.post("/prod/drain", workflow)
    for workflow in workflows:
        deployment.wait_for(workflow, "stopped", PATIENCE)
    watch.look()
    section(f"R22, soak of {MINUTES:g} min, {len(nemesis.faults)} kills", watch.told())
    for number, workflow in enumerate(workflows, start=1):
        verdict = verdict_of(deployment, nemesis, workflow, number)
        row.add(f"R22 soak, workflow {number}", verdict, f"{len(nemesis.faults)} kills")
        assert verdict.items > 0
    growth = watch.growth()
    assert {name for name, _ in growth} >= {"web", "supervisor", "server"}
    for (name, measure), grown in growth.items():
        assert grown < MAY_GROW[measure], f"{name}: {measure} {grown:+.1f}"


def passing():
    nodes = counter(None, interval=0.01), recording("first-1"), *hand_over(), sink("1.jsonl")
    return linked("Passing", *nodes)


def failing():
    """Items whose number is divisible become dead letters."""
    form = {"fields": {"share": "{{ 1 // (data.value % %d) }}".replace("%d", str(FAILS_EVERY))}}
    divide = {"id": "divide", "type": "data-transformer", "data": {"form": form}}
    nodes = counter(None, interval=0.02), recording("first-2"), divide, sink("2.jsonl")
    return linked("Failing", *nodes)


def shared():
    """One loop that has two slots."""
    writer, reader = hand_over()
    reader["data"] = {"config": {"replicas": 2}}
    nodes = counter(None, interval=0.01), recording("first-3"), writer, reader, sink("3.jsonl")
    return linked("Shared", *nodes)


def verdict_of(deployment, nemesis, workflow, number):
    """Count what became of every item that the workflow's producer has ever made."""
    paths = (f"{number}.jsonl", f"{number}-1.jsonl")
    made = Checker(deployment, workflow, items=0).recorder.times(f"first-{number}")
    checker = AllDead(deployment, workflow, items=len(made), nodes=(), paths=paths)
    return checker.verdict(nemesis)


class AllDead(Checker):
    """Counts dead letters in the database: there are more than a page of the API has."""

    def dead(self):
        rows = self._deployment.database.rows(
            "SELECT item FROM orchestrator_deadletter WHERE workflow_id = ?", self._workflow
        )
        items = (row["item"] for row in rows)
        return Counter((json.loads(x) if isinstance(x, str) else x)["value"] for x in items)


class Watch:
    """Looks at what lives through it all: the web process, one runner, and the server."""

    def __init__(self, deployment):
        self._deployment = deployment
        self._seen = defaultdict(list)

    def look(self):
        runner = self._deployment.runners[0]
        hosts = runner.hosts()
        processes = {"web": self._deployment.web.pid, "supervisor": runner.pid}
        for name, pid in {**processes, **{f"host {pid}": pid for pid in hosts}}.items():
            for measure, value in (holdings(pid) or {}).items():
                self._seen[name, measure].append(value)
        with redis.Redis.from_url(self._deployment.redis.url) as client:
            told = client.info()
        self._seen["server", "clients"].append(told["connected_clients"])
        self._seen["server", "MB"].append(told["used_memory"] / 2**20)

    def growth(self):
        """Return by how much the last third of a series is more than the first, if it is long."""
        found = {}
        for key, values in self._seen.items():
            if len(values) < ENOUGH:
                continue
            third = max(1, len(values) // 3)
            first, last = values[:third], values[-third:]
            found[key] = statistics.median(last) - statistics.median(first)
        return found

    def told(self):
        lines = []
        growth = self.growth()
        for (name, measure), values in self._seen.items():
            line = f"{name:<14} {measure:<8} {min(values):7.1f} to {max(values):7.1f}"
            line += f" in {len(values)} looks"
            if (name, measure) in growth:
                line += f", first third to last {growth[name, measure]:+.1f}"
            lines.append(line)
        return "\n".join(lines)
