"""Many people and runners at one workflow at once: nobody waits for ever, nothing is half done."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import close_old_connections, connection

from orchestrator.exceptions import Conflict
from orchestrator.models import AuditEntry, LoopSlot, Runner, Workflow
from orchestrator.runtime import endings, leases
from orchestrator.security.actors import SYSTEM
from orchestrator.services import production, workflows

pytestmark = pytest.mark.django_db(transaction=True)
LOOPS = 12
ROUNDS = 25
STATES = (LoopSlot.State.RUNNING, LoopSlot.State.BLOCKED)


@pytest.fixture
def busy():
    """A workflow of many loops that has been started."""
    nodes, edges = [], []
    for n in range(LOOPS):
        nodes += [
            {"id": f"c{n}", "type": "counter", "data": {}},
            {"id": f"d{n}", "type": "debug", "data": {}},
        ]
        edges.append({"id": f"e{n}", "source": f"c{n}", "target": f"d{n}"})
    raw = {"name": "Busy", "nodes": nodes, "edges": edges}
    workflows.create(SYSTEM, raw)
    production.start(SYSTEM, "busy")
    return raw


def person(chance, raw):
    """Ask for what a person may ask for; return the actions that changed or confirmed something."""
    done = []
    for n in range(ROUNDS):
        action = chance.choice(("start", "stop", "pause", "drain", "save"))
        try:
            if action == "save":
                changed = {**raw, "name": f"Busy {chance.random()} {n}"}
                workflows.save(SYSTEM, "busy", changed)
            else:
                getattr(production, action)(SYSTEM, "busy")
        except Conflict:
            continue
        done.append("workflow.save" if action == "save" else f"production.{action}")
    return done


def runner(chance, name):
    """Do what a runner does beside its loops."""
    taken = 0
    for _ in range(ROUNDS):
        leases.heartbeat(leases.RunnerEntry(id=name, host="host", pid=1), 0.0, 30)
        found = leases.slots(name)
        chance.shuffle(found)
        for slot in found:
            taken += slot.free and slot.wanted and leases.acquire(slot, name) is not None
        mine = [pk for pk, _ in leases.owned(name)]
        chance.shuffle(mine)
        leases.note(name, [(pk, chance.choice(STATES), "") for pk in mine])
        for slot in leases.slots(name):
            if slot.mine and not slot.wanted:
                leases.release(slot, name, LoopSlot.State.STOPPED)
        endings.conclude("busy")
        if chance.random() < 0.2:
            leases.leave(name)
    leases.leave(name)
    return taken


def at_once(*works):
    """Call each in a thread with a connection of its own, and return their answers."""

    def call(work):
        try:
            return work()
        finally:
            close_old_connections()
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(call, works))


def test_people_and_runners_do_not_get_in_each_others_way(busy):
    before = AuditEntry.objects.count()
    seeds = [random.Random(n) for n in range(8)]
    answers = at_once(
        *(lambda c=c: person(c, busy) for c in seeds[:4]),
        *(lambda n=n, c=c: runner(c, f"runner-{n}") for n, c in enumerate(seeds[4:])),
    )
    done = [action for actions in answers[:4] for action in actions]
    written = AuditEntry.objects.order_by("id")[before:].values_list("action", flat=True)
    assert sorted(written) == sorted(done), "each change is in the log, and nothing else"
    saved = done.count("workflow.save")
    numbers = Workflow.objects.get().versions.values_list("number", flat=True)
    assert sorted(numbers) == list(range(1, saved + 2))
    tokens = LoopSlot.objects.values_list("token", flat=True)
    assert sum(tokens) == sum(answers[4:]), "a new token for each time that a slot was taken"
    assert not Runner.objects.exists()
    assert not LoopSlot.objects.filter(owner__isnull=False).exists()
