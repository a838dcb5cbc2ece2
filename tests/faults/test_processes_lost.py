"""R1, R2, R3, R21: whatever is killed, every item ends up in exactly one place."""

import os
import signal

import pytest

from tests.deployment import descendants_of, send
from tests.faults.checker import Checker
from tests.faults.workflows import (
    ITEMS,
    PATIENCE,
    counter,
    delay,
    hand_over,
    linked,
    pipeline,
    recording,
    sink,
)
from tests.waiting import eventually

pytestmark = pytest.mark.fault
STEPS = ("begin", "read", "execute", "commit", "end")
PLACES = [f"{side}_{step}" for step in STEPS for side in ("before", "after")]
WINDOW = 300
"""`commit_window` and `max_in_flight`: what one loop may do again after a crash."""


def test_r1_runners_are_killed(deployment, nemesis, row):
    for _ in range(4):
        deployment.start_runner()
    workflow = pipeline(name="Three stages", readers=2)
    workflow["nodes"][3]["data"]["config"] = {"replicas": 2}
    workflow = deployment.create(workflow)
    nodes = ("record-0", "record-1", "record-2")
    checker = Checker(deployment, workflow, items=ITEMS, nodes=nodes)
    eventually(lambda: deployment.status(workflow)["runners_alive"] == 4)
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 20)
    kills = 6 + ITEMS // 5000
    for _ in range(kills):
        nemesis.kill_any()
        nemesis.wait(0.3, 1.5)
    deployment.wait_for(workflow, "completed", PATIENCE)
    verdict = row.add(f"R1 runners killed {kills} times", checker.verdict(nemesis))
    assert verdict.repeated <= kills * WINDOW


def test_r2_a_host_dies_between_any_two_steps(deployment, nemesis, row):
    deployment.start_runner()
    for place in PLACES:
        name, node, path = place.replace("_", " "), f"record-{place}", f"{place}.jsonl"
        nodes = counter(100, interval=0.02), *hand_over(), recording(node), sink(path)
        workflow = deployment.create(linked(name, *nodes))
        checker = Checker(deployment, workflow, items=100, nodes=(node,), paths=(path,))
        nemesis.faults.clear()
        deployment.post("/prod/start", workflow)
        who = node if "execute" in place else "reader-1"
        deaths = sum(nemesis.dies_at(f"{who} {place}", checker) for _ in range(3))
        deployment.wait_for(workflow, "completed")
        verdict = row.add(f"R2 death {name}, {deaths} times", checker.verdict(nemesis))
        assert deaths
        assert verdict.dead == 0
        assert verdict.repeated <= deaths * (1 if place == "after_commit" else WINDOW)


def test_r3_everything_of_ours_is_killed(deployment, nemesis, row):
    for _ in range(2):
        deployment.start_runner()
    workflow = deployment.create(pipeline(name="Fleet"))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=("record-0", "record-1"))
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 4)
    nemesis.kill_fleet()
    deployment.wait_for(workflow, "completed", PATIENCE)
    verdict = row.add("R3 whole fleet killed", checker.verdict(nemesis))
    assert verdict.recovery < 60


def test_r21_one_host_is_killed_and_then_the_supervisor(deployment, nemesis, row):
    runner = deployment.start_runner()
    nodes = [f"record-{n}" for n in range(4)]
    workflows = []
    for node in nodes:
        flow = linked(
            node, counter(ITEMS // 4), recording(node), delay(20 / ITEMS), sink(f"{node}.jsonl")
        )
        flow["nodes"][0]["data"]["config"] = {"pool": "process"}
        workflows.append(deployment.create(flow))
    recorder = Checker(deployment, workflows[0], items=0).recorder
    for workflow in workflows:
        deployment.post("/prod/start", workflow)
    eventually(lambda: min(map(recorder.count, nodes)) > 10)
    before = {node: recorder.executions(node)[-1].pid for node in nodes}
    send(before[nodes[0]], signal.SIGKILL)
    nemesis.note()
    eventually(lambda: recorder.executions(nodes[0])[-1].pid != before[nodes[0]])
    assert [recorder.executions(n)[-1].pid for n in nodes[1:]] == [before[n] for n in nodes[1:]]
    tree = descendants_of(runner.pid)
    deployment.runners.remove(runner)
    send(runner.pid, signal.SIGSTOP)
    nemesis.wait(0.5, 1)  # so that it dies with reports unread
    runner.kill()
    nemesis.note()
    eventually(lambda: not any(map(alive, tree)), 10)
    deployment.start_runner()
    for node, workflow in zip(nodes, workflows, strict=True):
        deployment.wait_for(workflow, "completed", PATIENCE)
        checker = Checker(
            deployment, workflow, items=ITEMS // 4, nodes=(node,), paths=(f"{node}.jsonl",)
        )
        verdict = checker.verdict(nemesis)
        row.add(f"R21 host, then supervisor killed: loop {node[-1]}", verdict)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
