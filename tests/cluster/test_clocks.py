"""R16: the clock of a runner's machine is wrong. Nothing that matters is told by it."""

import os
import shutil
import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PACE,
    PATIENCE,
    counter,
    delay,
    faulty,
    linked,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.long]
POISON, DELAY, LATE = 7, 1.0, 5.0


class Clock:
    """The time of day of the processes that are started with its `environment`."""

    def __init__(self, library, file):
        self._file = file
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(file)}
        self.set(0)

    def set(self, hours):
        """Let it differ by so many hours, at once. The file stays the same: it is mapped."""
        with open(os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(struct.pack("q", int(hours * 3600)))


@pytest.fixture
def clock(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail("no C compiler is installed")
        pytest.skip("no C compiler is installed")
    library = tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return Clock(library, tmp_path / "offset")


@pytest.mark.parametrize(
    ("name", "hours"), [("fast", [1]), ("slow", [-1]), ("jumping", [0, 1, -1, 720, -720, 0])]
)
def test_r16_a_clock_is_wrong(deployment, make_island, clock, nemesis, row, name, hours):
    clock.set(hours[0])
    poison = faulty("raise", POISON)
    retry = {"max_attempts": 4, "delay": DELAY, "backoff": 2, "jitter": 0}
    poison["data"]["config"] = {"retry": retry}
    poison["id"] = f"fault-{name}"
    nodes = (
        counter(ITEMS),
        {"id": "writer", "type": "queue-writer", "data": {}},
        {"id": "reader", "type": "queue-reader", "data": {}},
        delay(2 * PACE),
        recording(name),
        poison,
        sink(f"{name}.jsonl"),
    )
    workflow = deployment.create(linked(name, *nodes))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=(name,), paths=(f"{name}.jsonl",))
    skewed = make_island().start_runner(**clock.environment)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > POISON)
    # Then one slot is left, which no runner gives to another.
    eventually(lambda: deployment.loop(workflow, "source")["state"] == "completed")
    assert deployment.holder(workflow, "reader") is skewed
    before = deployment.tokens(workflow)
    make_island().start_runner()
    eventually(lambda: deployment.status(workflow)["runners_alive"] == 2)
    for offset in hours[1:]:
        clock.set(offset)
        nemesis.wait(1.5, 1.5)
    deployment.wait_for(workflow, "completed", PATIENCE)
    assert deployment.tokens(workflow) == before, "a slot was taken from a living runner"
    verdict = row.add(f"R16 clock {name}", checker.verdict(nemesis))
    assert verdict.dead == 1
    tried = [x.at for x in checker.recorder.executions(poison["id"])]
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert len(tried) == 4, "no attempt was lost, none came twice"
    for number, pause in enumerate(pauses):
        due = DELAY * 2**number
        assert due <= pause < due + LATE, pauses
    assert skewed.drain() == 0
