"""Leases: one owner a slot, whatever races, and nothing is taken that is not wanted any more."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from orchestrator.models import LoopSlot, Runner, Workflow
from orchestrator.runtime import leases
from orchestrator.security.actors import SYSTEM
from orchestrator.services import production, workflows

pytestmark = pytest.mark.django_db


def enter(name, seconds=30.0):
    expires = timezone.now() + timedelta(seconds=seconds)
    return Runner.objects.create(id=name, host="host", pid=1, expires_at=expires)


@pytest.fixture
def started(hello_loops):
    workflows.create(SYSTEM, hello_loops)
    production.start(SYSTEM, "hello-loops")
    return "hello-loops"


def slot_of(loop, runner="a"):
    return next(slot for slot in leases.slots(runner) if slot.loop == loop)


def everyone(work, count=8):
    """Call `work(number)` in as many threads at once, each with a connection of its own."""

    def call(number):
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count)))


@pytest.mark.django_db(transaction=True)
def test_of_many_runners_at_once_one_gets_the_slot(started):
    for number in range(8):
        enter(f"runner-{number}")
    seen = 0
    for _ in range(12):
        LoopSlot.objects.update(owner=None)
        slot = slot_of("1")
        tokens = everyone(lambda number, slot=slot: leases.acquire(slot, f"runner-{number}"))
        [token] = [token for token in tokens if token is not None]
        assert token > seen
        seen = token
        owner = LoopSlot.objects.get(loop="1").owner_id
        assert owner == f"runner-{tokens.index(token)}"


@pytest.mark.django_db(transaction=True)
def test_a_slot_of_a_dead_runner_has_one_heir(started):
    enter("dead", -1)
    for number in range(8):
        enter(f"runner-{number}")
    LoopSlot.objects.update(owner="dead", token=5, state="running")
    slot = slot_of("1")
    tokens = everyone(lambda number: leases.acquire(slot, f"runner-{number}"))
    assert sorted(token for token in tokens if token is not None) == [6]


@pytest.mark.django_db(transaction=True)
def test_starts_and_stops_at_once_leave_one_owner_and_a_rising_token(started):
    for number in range(4):
        enter(f"runner-{number}")
    tokens = []

    def act(number):
        if number % 2:
            (production.stop if number % 4 == 1 else production.start)(SYSTEM, started)
            return None
        slot = next((slot for slot in leases.slots("a") if slot.loop == "1"), None)
        token = leases.acquire(slot, f"runner-{number // 2}") if slot is not None else None
        if token is not None:
            leases.release(slot, f"runner-{number // 2}", "pending")
        return token

    for _ in range(6):
        production.start(SYSTEM, started)
        tokens += [token for token in everyone(act) if token is not None]
    assert len(tokens) == len(set(tokens))
    assert LoopSlot.objects.get(loop="1").token == len(tokens)
    assert Workflow.objects.get().activation == 1


def test_the_greater_end_counts(started):
    enter("a")
    order = ["running", "paused", "draining", "stopped", "killed"]
    LoopSlot.objects.update(owner="a", state="running")
    for one in order:
        for other in order:
            Workflow.objects.update(desired=one)
            LoopSlot.objects.filter(loop="1").update(desired=other)
            assert slot_of("1").desired == max(one, other, key=order.index)


@pytest.mark.parametrize("path", ["stop", "drain"])
def test_what_was_seen_before_it_was_to_end_is_not_taken(started, path):
    enter("a")
    slot = slot_of("1")
    getattr(production, path)(SYSTEM, started)
    assert leases.acquire(slot, "a") is None


def test_what_was_seen_in_another_version_is_not_taken(started, hello_loops):
    enter("a")
    slot = slot_of("1")
    hello_loops["nodes"][0]["data"]["form"]["stop"] = 6
    workflows.save(SYSTEM, started, hello_loops)
    production.start(SYSTEM, started)
    assert leases.acquire(slot, "a") is None
    assert leases.acquire(slot_of("1"), "a") == 1


def test_what_completes_in_an_outdated_version_is_wanted_again(started):
    enter("a")
    for loop, version in (("1", 1), ("3", 2)):
        slot = slot_of(loop)
        leases.acquire(slot, "a")
        LoopSlot.objects.filter(loop=loop).update(version=version)
        leases.release(slot, "a", "completed")
    assert {s.loop: s.state for s in LoopSlot.objects.all()} == {"1": "completed", "3": "pending"}


def test_a_slot_that_a_dead_runner_has_left_is_cleared_up_once(started):
    enter("dead", -1)
    enter("a")
    LoopSlot.objects.update(owner="dead", token=5, state="running")
    Workflow.objects.update(desired="stopped")
    [first, second] = leases.slots("a")
    assert first.forsaken and second.forsaken
    LoopSlot.objects.filter(pk=second.pk).update(token=6, owner="a")  # taken meanwhile
    leases.settle(first)
    leases.settle(second)
    states = {s.pk: (s.state, s.owner_id) for s in LoopSlot.objects.all()}
    assert states == {first.pk: ("stopped", None), second.pk: ("running", "a")}
    assert [slot.pk for slot in leases.slots("a")] == [second.pk]
