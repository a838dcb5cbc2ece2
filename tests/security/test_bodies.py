"""S1: ten thousand hostile bodies, at a web process as it runs in production.

BODIES says how many, BODIES_SEED repeats a run.
"""

import os
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles

import httpx
import pytest

from tests.deployment import Deployment
from tests.security.bodies import KINDS, Body, body, dump, good

COUNT = int(os.environ.get("BODIES") or 1000)
SEED = int(os.environ.get("BODIES_SEED") or time.time_ns() % 1_000_000)
GROWTH = 50
"""MB that the web process may grow."""
STORING = ("POST /workflows/", "PUT /workflows/w/")
DOORS = {
    "POST /workflows/": 6,
    "PUT /workflows/w/": 2,
    "POST /dev/validate": 2,
    "POST /nodes/data-transformer/validate": 1,
    "POST /graph/create": 2,
    "POST /prod/start": 1,
    "POST /dead-letters/replay": 1,
    "POST /webhooks/open": 2,
}
"""Where bodies are sent, and how often."""


class Seen:
    """What came of the bodies at one door."""

    def __init__(self):
        self.statuses = Counter()
        self.seconds = []

    def row(self, door):
        groups = Counter(f"{status // 100}xx" for status in self.statuses.elements())
        told = " ".join(f"{name}:{groups[name]}" for name in ("2xx", "4xx", "5xx"))
        p99 = quantiles(self.seconds, n=100)[98] if len(self.seconds) > 1 else 0
        return f"| {door} | {len(self.seconds)} | {told} | {p99 * 1000:.0f} ms |"


@pytest.fixture(scope="module")
def house(tmp_path_factory, redis_server):
    deployed = Deployment(tmp_path_factory.mktemp("bodies"))
    assert deployed.create({**good(), "name": "w"}) == "w"
    hook = {"id": "1", "type": "webhook", "data": {"form": {"path": "open", "check": "none"}}}
    name = deployed.create({"name": "Hook", "nodes": [hook], "edges": []})
    assert deployed.post("/prod/start", name).status_code == 202
    yield deployed
    deployed.close()


def memory(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def stored(house):
    """Return how many workflows and versions there are."""
    workflows = house.client.get("/workflows/").json()["count"]
    return workflows, house.client.get("/workflows/w/versions/").json()["count"]


def send(house, door, made: Body):
    method, path = door.split()
    headers = {"Content-Type": made.content_type} if made.content_type else {}
    return house.client.request(method, path, content=made.content, headers=headers)


def warm_up(house):
    """Send each kind to each door once: whatever a request loads or needs is there by then."""
    first = {}
    for number in range(100_000):
        made = body(0, number)
        first.setdefault(made.kind, made)
        if len(first) == len(KINDS):
            break
    for door in DOORS:
        for made in first.values():
            send(house, door, made)


def test_ten_thousand_bodies(house, section):
    doors = [door for door, weight in DOORS.items() for _ in range(weight)]
    seen = {door: Seen() for door in DOORS}
    kinds = Counter()
    warm_up(house)
    workflows, versions = stored(house)
    created, wrong, before = Counter(), [], 0.0
    for number in range(COUNT):
        if number == COUNT // 20:
            before = memory(house.web.pid)  # by now everything is loaded
        made, door = body(SEED, number), doors[number % len(doors)]
        begun = time.perf_counter()
        try:
            answer = send(house, door, made)
        except httpx.HTTPError as error:
            wrong.append((number, made.kind, door, repr(error)))
            continue
        seen[door].seconds.append(time.perf_counter() - begun)
        seen[door].statuses[answer.status_code] += 1
        kinds[made.kind] += 1
        if door in STORING and answer.is_success:
            created[door] += answer.json().get("created", True)
        wrong += problems(number, made, door, answer)
    growth = memory(house.web.pid) - before
    after = stored(house)
    every = sorted(second for one in seen.values() for second in one.seconds)
    lines = ["| door | bodies | answers | p99 |", "|---|---|---|---|"]
    lines += [one.row(door) for door, one in seen.items()]
    p99 = quantiles(every, n=100)[98] * 1000
    told = ", ".join(f"{name} {count}" for name, count in kinds.most_common())
    failures = sum(n for one in seen.values() for code, n in one.statuses.items() if code >= 500)
    summary = f"{len(every)} bodies, 5xx {failures}, p99 {p99:.0f} ms, RSS growth {growth:.0f} MB"
    section(f"hostile bodies, BODIES_SEED={SEED}", "\n".join([*lines, told, summary]))
    assert not wrong, wrong[:5]
    assert growth < GROWTH
    assert after == (
        workflows + created["POST /workflows/"],
        versions + created["PUT /workflows/w/"],
    )


def problems(number, made, door, answer):
    """Return what is wrong with an answer."""
    found = (number, made.kind, door, answer.status_code, answer.text[:300])
    if answer.status_code >= 500:
        return [found]
    if answer.is_success:
        lenient = door not in STORING  # it tells what is wrong, or takes any JSON
        return [] if made.may_pass or lenient else [found]
    error = answer.json()["error"]
    named = error["details"] or error["code"] != "invalid_workflow"
    return [] if error["message"] and named else [found]


@pytest.mark.parametrize(
    ("content", "path"),
    [
        (dump({**good(), "edges": [{"source": "1", "target": "x"}]}), "edges[0].target"),
        (dump({**good(), "nodes": [7]}), "nodes[0]"),
        (dump(good()).replace(b'"Good"', rb'"\ud800"'), "name"),
        (dump(good()).replace(b'{"x":1}', rb'{"x":"\u0000"}'), "nodes[1].data.form.fields.x"),
        (b'{"nodes":[' + b",".join([b"{}"] * 2001) + b"]}", "nodes"),
        (b'{"nodes":[],"edges":[' + b",".join([b"{}"] * 10_001) + b"]}", "edges"),
    ],
)
def test_an_error_names_the_place(house, content, path):
    headers = {"Content-Type": "application/json"}
    answer = house.client.post("/workflows/", content=content, headers=headers)
    assert answer.status_code == 400
    assert path in [problem["path"] for problem in answer.json()["error"]["details"]]
