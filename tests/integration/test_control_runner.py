"""What a runner makes of the desires: drains, ends, its share of the slots, and its heartbeat."""

import asyncio
import threading
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections
from django.utils import timezone

from orchestrator.exceptions import NotFound
from orchestrator.models import LoopSlot, Runner, Workflow
from orchestrator.runtime import clock, endings, leases, shares
from orchestrator.runtime.drains import Drains
from orchestrator.runtime.fleet import Fleet
from orchestrator.runtime.heartbeat import Heartbeat
from orchestrator.runtime.held import LOST, MOVE, RESTART, Held, desired, patience
from orchestrator.runtime.plans import Plans
from orchestrator.runtime.publisher import Publisher
from orchestrator.runtime.reconciler import MOVES, Reconciler
from orchestrator.runtime.troubles import MAX_FAILURES, Troubles
from orchestrator.security.actors import SYSTEM
from orchestrator.services import production, runners, workflows
from storage.datastore import open_store
from storage.records import Commit, Lease, inbox

pytestmark = pytest.mark.django_db
ID = "hello-loops"


def enter(name, seconds=30.0, host="host", **what):
    expires = timezone.now() + timedelta(seconds=seconds)
    return Runner.objects.create(id=name, host=host, pid=1, expires_at=expires, **what)


def put_slots(state, owner=None, **where):
    LoopSlot.objects.filter(**where).update(state=state, owner=owner)


@pytest.fixture
def started(hello_loops):
    """The example with a step more: 1 -> queue_2_3 -> 3 -> queue_w_r -> r."""
    hello_loops["nodes"] += [
        {"id": "w", "type": "queue-writer", "data": {}},
        {"id": "r", "type": "queue-reader", "data": {}},
    ]
    hello_loops["edges"] += [
        {"id": "d", "source": "3", "target": "w"},
        {"id": "e", "source": "w", "target": "r"},
    ]
    workflows.create(SYSTEM, hello_loops)
    production.start(SYSTEM, ID)
    enter("a")
    put_slots("running", "a")


@pytest.fixture
def memory():
    return open_store("memory://")


@pytest.fixture
def resolved(memory):
    """Return by loop what a drain makes of it."""
    drains = Drains(memory.queue, Plans())

    @async_to_sync
    async def resolve(rows):
        return {slot.loop: str(slot.desired) for slot in await drains.resolve(rows)}

    return lambda: resolve(leases.slots("a"))


def put(store, queue):
    asyncio.run(store.queue.put(ID, queue, b"{}"))


def test_a_drain_ends_loop_after_loop(started, memory, resolved):
    assert resolved() == {"1": "running", "3": "running", "r": "running"}
    production.drain(SYSTEM, ID)
    assert resolved() == {"1": "draining", "3": "running", "r": "running"}
    put(memory, "queue_2_3")
    put_slots("stopped", loop="1")
    assert resolved() == {"1": "draining", "3": "running", "r": "running"}
    asyncio.run(memory.queue.purge(ID, "queue_2_3"))
    assert resolved() == {"1": "draining", "3": "draining", "r": "running"}
    put_slots("stopped", loop="3")
    assert resolved() == {"1": "draining", "3": "draining", "r": "draining"}


def test_a_loop_is_not_at_rest_while_a_runner_has_it(started, resolved):
    production.drain(SYSTEM, ID)
    put_slots("stopped", "a", loop="1")
    assert resolved()["3"] == "running"
    put_slots("degraded", None, loop="1")
    assert resolved()["3"] == "running"


def test_what_waits_in_an_inbox_is_waited_for(started, memory, resolved):
    production.drain(SYSTEM, ID)
    put_slots("stopped", loop="1")
    put(memory, inbox("3"))
    assert resolved()["3"] == "running"


async def delay_one(queue):
    """Have an item of loop 3 wait to be tried again."""
    lease = Lease(workflow=ID, loop="3", slot=0, token=1)
    await queue.begin(lease, 1)
    commit = Commit(number=1, sequence=1, activation=1, delayed=[(60.0, b"{}")])
    assert (await queue.commit(lease, commit)).outcome == "committed"


def test_what_waits_to_be_tried_again_is_waited_for(started, memory, resolved):
    production.drain(SYSTEM, ID)
    put_slots("stopped", loop="1")
    asyncio.run(delay_one(memory.queue))
    assert resolved()["3"] == "running"


def test_nobody_ends_a_reader_while_redis_is_away(started):
    production.drain(SYSTEM, ID)
    put_slots("stopped", loop="1")
    away = open_store("redis://127.0.0.1:1/0")
    slots = async_to_sync(Drains(away.queue, Plans()).resolve)(leases.slots("a"))
    assert {slot.loop: slot.desired for slot in slots}["3"] == "running"


def test_one_loop_drains_for_itself(started, resolved):
    production.drain(SYSTEM, ID, loop="1")
    assert resolved() == {"1": "draining", "3": "running", "r": "running"}
    production.start(SYSTEM, ID)
    production.drain(SYSTEM, ID, loop="3")
    assert resolved()["3"] == "running"  # what feeds it goes on
    production.stop(SYSTEM, ID, loop="1")
    put_slots("stopped", loop="1")
    assert resolved()["3"] == "draining"


def test_loops_that_feed_each_other_end_together(hello_loops, memory, resolved):
    hello_loops["nodes"][1]["data"]["config"] = {"queue_name": "q"}
    hello_loops["nodes"][2]["data"]["config"] = {"queue_name": "q"}
    hello_loops["nodes"] += [
        {"id": "back", "type": "queue-writer",
         "data": {"config": {"queue_name": "back", "overflow": "drop_oldest"}}},
        {"id": "reader", "type": "queue-reader", "data": {"config": {"queue_name": "back"}}},
        {"id": "again", "type": "queue-writer",
         "data": {"config": {"queue_name": "q", "overflow": "drop_oldest"}}},
    ]  # fmt: skip
    hello_loops["edges"] += [
        {"id": "d", "source": "3", "target": "back"},
        {"id": "e", "source": "reader", "target": "again"},
    ]
    workflows.create(SYSTEM, hello_loops)
    production.start(SYSTEM, ID)
    enter("a")
    put_slots("running", "a")
    production.drain(SYSTEM, ID)
    assert resolved() == {"1": "draining", "3": "running", "reader": "running"}
    put_slots("stopped", loop="1")
    put(memory, "back")
    assert resolved() == {"1": "draining", "3": "running", "reader": "running"}
    asyncio.run(memory.queue.purge(ID, "back"))
    assert resolved() == {"1": "draining", "3": "draining", "reader": "draining"}


@pytest.mark.parametrize("path", ["drain", "stop"])
def test_what_has_come_to_its_end_is_stopped(started, path):
    production.drain(SYSTEM, ID) if path == "drain" else production.stop(SYSTEM, ID, force=True)
    assert endings.ending() == [ID]
    endings.conclude(ID)
    assert Workflow.objects.get().desired == ("draining" if path == "drain" else "killed")
    put_slots("stopped", loop__in=["1", "3"])
    endings.conclude(ID)
    assert Workflow.objects.get().desired != "stopped"
    put_slots("failed", loop="r")
    endings.conclude(ID)
    assert Workflow.objects.get().desired == "stopped"
    assert endings.ending() == []


def test_a_loop_that_has_come_to_its_end_is_stopped(started):
    production.stop(SYSTEM, ID, loop="r", force=True)
    production.drain(SYSTEM, ID, loop="1")
    assert endings.ending() == [ID]
    put_slots("stopped", loop="1")
    endings.conclude(ID)
    rows = {slot.loop: slot.desired for slot in LoopSlot.objects.all()}
    assert rows == {"1": "stopped", "3": "running", "r": "killed"}
    assert Workflow.objects.get().desired == "running"


# What is asked of a loop


def held(slot, asked="running"):
    lease = Lease(workflow=ID, loop=slot.loop, slot=0, token=1)
    return Held(slot, lease, (), SimpleNamespace(send=lambda message: None), asked)


def test_a_loop_is_restarted_by_a_change_of_its_own_only(started):
    rows = {slot.loop: slot for slot in leases.slots("a")}
    LoopSlot.objects.filter(loop="3").update(version=2)
    now = {slot.loop: slot for slot in leases.slots("a")}
    assert desired(held(rows["1"]), now["1"]) == "running"
    assert desired(held(rows["3"]), now["3"]) == RESTART
    Workflow.objects.update(desired="stopped")
    assert (
        desired(held(rows["3"]), next(s for s in leases.slots("a") if s.loop == "3")) == "stopped"
    )


def test_a_loop_whose_row_is_gone_is_lost(started):
    [slot, *_] = leases.slots("a")
    assert desired(held(slot), None) == LOST
    LoopSlot.objects.update(owner=None)
    assert desired(held(slot), leases.slots("a")[0]) == LOST


@pytest.mark.parametrize(
    ("asked", "wish", "passed"),
    [
        ("running", "paused", True), ("running", "running", False), ("paused", "stopped", True),
        (RESTART, "running", False), (RESTART, "stopped", True), (RESTART, "draining", True),
        (MOVE, RESTART, False), (MOVE, "killed", True), ("stopped", "killed", True),
        ("stopped", RESTART, True), ("draining", "running", True), ("killed", "stopped", False),
        ("killed", "running", False), (LOST, "running", False), ("stopped", LOST, True),
    ],
)  # fmt: skip
def test_which_wish_is_passed_on(started, asked, wish, passed):
    assert held(leases.slots("a")[0], asked).may_be_asked(wish) is passed


def test_who_comes_back_and_who_may_take_their_time(started):
    slot = leases.slots("a")[0]
    back = {wish: held(slot, wish).comes_back for wish in (RESTART, MOVE, "stopped", "killed")}
    assert back == {RESTART: True, MOVE: True, "stopped": False, "killed": False}
    assert patience("killed") == 2 < patience("stopped") < patience(RESTART) == patience("draining")


# Its share of the slots


class PaperFleet:
    """Holds slots and runs nothing."""

    def __init__(self, name):
        self.name = name
        self.held = {}
        self.troubles = Troubles()
        self.moves = 0

    async def take(self, slot):
        token = await sync_to_async(leases.acquire)(slot, self.name)
        if token is not None:
            self.held[slot.key] = held(slot)
        return token is not None

    def ask(self, loop, wish):
        if loop.may_be_asked(wish):
            loop.asked = wish
            self.moves += wish == MOVE

    async def release(self, slot, state, reason=""):
        await sync_to_async(leases.release)(slot, self.name, state, reason)

    async def end_asked(self):
        for key, loop in list(self.held.items()):
            if loop.asked == MOVE:
                del self.held[key]
                await self.release(loop.slot, "pending")


def reconciler(fleet, store, settled=0.0):
    return Reconciler(
        fleet.name, fleet, store.queue, Publisher(store.feed), Plans(), settled=settled
    )


@pytest.fixture
def many(hello_loops):
    hello_loops["nodes"][2]["data"]["config"] = {"replicas": 6}
    workflows.create(SYSTEM, hello_loops)
    production.start(SYSTEM, ID)


def test_a_runner_that_joins_gets_its_share_and_then_all_is_quiet(many, memory):
    first, second = PaperFleet("a"), PaperFleet("b")
    enter("a")
    one, two = reconciler(first, memory), reconciler(second, memory)
    async_to_sync(one.tick)()
    assert len(first.held) == 7
    enter("b")
    for _ in range(6):
        before = first.moves
        async_to_sync(one.tick)()
        assert first.moves - before <= MOVES
        async_to_sync(first.end_asked)()
        async_to_sync(two.tick)()
    assert (len(first.held), len(second.held)) == (4, 3)
    moves = first.moves
    for _ in range(4):
        async_to_sync(one.tick)()
        async_to_sync(two.tick)()
    assert (first.moves, second.moves) == (moves, 0) == (3, 0)


def test_no_more_is_moved_while_some_are_on_their_way(many, memory):
    first = PaperFleet("a")
    enter("a")
    one = reconciler(first, memory)
    async_to_sync(one.tick)()
    enter("b")
    for _ in range(5):
        async_to_sync(one.tick)()
    assert first.moves == MOVES


def test_nothing_is_moved_while_runners_come_and_go(many, memory):
    first = PaperFleet("a")
    enter("a")
    one = reconciler(first, memory, settled=60)
    async_to_sync(one.tick)()
    enter("b")
    for _ in range(3):
        async_to_sync(one.tick)()
    assert first.moves == 0


def settle(*reconcilers):
    """Let runners look around until none has anything to do."""
    before = None
    while before != (now := [set(each._fleet.held) for each in reconcilers]):
        before = now
        for each in reconcilers:
            async_to_sync(each.tick)()
            async_to_sync(each._fleet.end_asked)()


@pytest.fixture
def labelled(hello_loops):
    """Four readers that ask for `gpu`, and a counter that asks for nothing."""
    hello_loops["nodes"][2]["data"]["config"] = {"replicas": 4}
    hello_loops["nodes"][3]["data"]["config"] = {"runs_on": "gpu"}
    workflows.create(SYSTEM, hello_loops)
    production.start(SYSTEM, ID)


def test_a_slot_goes_to_a_runner_that_has_its_labels(labelled, memory):
    plain, able = PaperFleet("a"), PaperFleet("b")
    enter("a")
    enter("b", labels=["eu", "gpu"])
    settle(reconciler(plain, memory), reconciler(able, memory))
    assert set(plain.held) == {f"{ID}/1/0"}
    assert set(able.held) == {f"{ID}/3/{n}" for n in range(4)}


def test_runners_with_the_labels_share_what_asks_for_them(labelled, memory):
    fleets = [PaperFleet(name) for name in "abc"]
    everybody = [reconciler(fleet, memory) for fleet in fleets]
    enter("a", labels=["gpu"])
    settle(everybody[0])
    assert len(fleets[0].held) == 5  # there is nobody else
    enter("b", labels=["gpu"])
    enter("c")
    settle(*everybody)
    assert sorted(len(fleet.held) for fleet in fleets) == [1, 2, 2]
    assert set(fleets[2].held) == {f"{ID}/1/0"}


def test_a_loop_that_no_runner_fits_waits_and_says_for_what(labelled, memory):
    fleet = PaperFleet("a")
    enter("a")
    one = reconciler(fleet, memory)
    settle(one)
    told = production.status(SYSTEM, ID)
    assert set(fleet.held) == {f"{ID}/1/0"}
    reasons = {loop["loop"]: loop["reason"] for loop in told["loops"]}
    assert reasons == {"1": "", "3": "waiting_for_runner: gpu"}
    assert (told["status"], told["reason"]) == ("starting", "waiting_for_runner: gpu")
    assert [loop["runs_on"] for loop in told["loops"][:2]] == [[], ["gpu"]]
    able = PaperFleet("b")
    enter("b", labels=["gpu"])
    settle(one, reconciler(able, memory))
    told = production.status(SYSTEM, ID)
    assert {loop["reason"] for loop in told["loops"]} == {""}
    shown = [(each["id"], each["labels"], each["slots"]) for each in told["runners"]]
    assert shown == [("a", [], 1), ("b", ["gpu"], 4)]


def test_a_stopped_loop_waits_for_nobody(labelled):
    production.stop(SYSTEM, ID)
    assert {loop["reason"] for loop in production.status(SYSTEM, ID)["loops"]} == {""}


def test_a_runner_that_is_told_to_leave_takes_nothing(labelled, memory):
    leaving, staying = PaperFleet("a"), PaperFleet("b")
    enter("a", labels=["gpu"])
    enter("b", labels=["gpu"])
    runners.drain(SYSTEM, "a")
    one = reconciler(leaving, memory)
    settle(one, reconciler(staying, memory))
    assert one.told_to_leave
    assert (len(leaving.held), len(staying.held)) == (0, 5)
    with pytest.raises(NotFound, match="no runner 'nobody' is alive; alive: a, b"):
        runners.drain(SYSTEM, "nobody")


def test_a_busy_machine_gets_slots_last(labelled, memory):
    busy, idle = PaperFleet("a"), PaperFleet("b")
    enter("a", labels=["gpu"], load=1.5, host="other")
    enter("b", labels=["gpu"], load=0.2)
    settle(reconciler(busy, memory), reconciler(idle, memory))
    assert (len(busy.held), len(idle.held)) == (0, 5)
    assert idle.moves == 0  # nothing goes there and straight back


def test_runners_of_one_machine_are_as_busy_as_each_other(labelled, memory):
    """They tell its load at different moments."""
    first, second = PaperFleet("a"), PaperFleet("b")
    enter("a", labels=["gpu"], load=1.1)
    enter("b", labels=["gpu"], load=0.8)
    settle(reconciler(first, memory), reconciler(second, memory))
    assert sorted((len(first.held), len(second.held))) == [2, 3]


def test_what_a_runner_does_not_take_falls_to_the_next(labelled, memory, monkeypatch):
    """One that hangs has a lease for a while yet."""
    enter("a", labels=["gpu"])  # it is never heard of
    enter("b", labels=["gpu"])
    fleet = PaperFleet("b")
    one = reconciler(fleet, memory, settled=60)
    settle(one)
    assert 0 < len(fleet.held) < 5
    monkeypatch.setattr(shares, "PATIENCE", 0.0)
    for _ in range(8):
        async_to_sync(one.tick)()
    assert len(fleet.held) == 5


def test_what_a_dead_runner_had_in_hand_is_left_to_siblings(many, memory):
    put(memory, "queue_2_3")
    dead = Lease(workflow=ID, loop="3", slot=5, token=1)
    sibling = Lease(workflow=ID, loop="3", slot=0, token=1)

    async def take():
        await memory.queue.begin(sibling, 1)
        await memory.queue.begin(dead, 1)
        [entry] = await memory.queue.read(dead, ["queue_2_3"], 10, 0)
        assert await memory.queue.adopt(sibling, ["queue_2_3"]) == []
        return entry

    entry = asyncio.run(take())
    enter("dead", -1)
    enter("a")
    put_slots("running", "dead", slot=5)
    LoopSlot.objects.filter(slot=5).update(token=1, activation=0)  # no replica any more
    async_to_sync(reconciler(PaperFleet("a"), memory).tick)()
    row = LoopSlot.objects.get(slot=5)
    assert (row.state, row.owner_id) == ("stopped", None)
    [adopted] = asyncio.run(memory.queue.adopt(sibling, ["queue_2_3"]))
    assert adopted.id == entry.id


def test_what_a_slot_had_in_hand_that_is_given_up_is_left_to_siblings(many, memory):
    put(memory, "queue_2_3")
    sibling = Lease(workflow=ID, loop="3", slot=0, token=1)
    LoopSlot.objects.filter(slot=5).update(version=2)  # which cannot be loaded
    enter("a")
    [slot] = [slot for slot in leases.slots("a") if slot.slot == 5]
    ended = []
    fleet = Fleet(
        "a", memory.queue, Publisher(memory.feed), Plans(),
        block_limit=60, on_take=ended.append, on_end=lambda: None,
    )  # fmt: skip

    async def fail_to_start():
        await memory.queue.begin(sibling, 1)
        worker = Lease(workflow=ID, loop="3", slot=5, token=1)
        await memory.queue.begin(worker, 1)
        [entry] = await memory.queue.read(worker, ["queue_2_3"], 10, 0)
        for _ in range(MAX_FAILURES + 1):
            assert await memory.queue.adopt(sibling, ["queue_2_3"]) == []
            assert not await fleet.take(slot)
        return entry, await memory.queue.adopt(sibling, ["queue_2_3"])

    entry, [adopted] = async_to_sync(fail_to_start)()
    assert adopted.id == entry.id
    assert LoopSlot.objects.get(slot=5).state == "failed"


# Its heartbeat


@pytest.mark.django_db(transaction=True)
async def test_a_renewal_does_not_wait_for_slow_work_with_the_database():
    free = threading.Event()
    slow = asyncio.create_task(sync_to_async(free.wait)(30))
    heart = Heartbeat(leases.RunnerEntry(id="a", host="host", pid=1), 9.0)
    try:
        begun = clock.now()
        async with asyncio.timeout(10):
            assert await heart.beat() == set()
        assert not slow.done()
        assert begun + 6 <= heart.until <= clock.now() + 6
        async with asyncio.timeout(10):
            assert await heart.beat() is None  # in time: nobody can have taken anything
            await heart.leave()
    finally:
        free.set()
        await slow
        await sync_to_async(connections.close_all)()


@pytest.mark.django_db(transaction=True)
async def test_a_late_renewal_tells_what_is_still_owned():
    heart = Heartbeat(leases.RunnerEntry(id="a", host="host", pid=1), 9.0)
    await heart.beat()
    heart.until = clock.now() - 1
    assert await heart.beat() == set()
    await heart.leave()
    assert not await sync_to_async(Runner.objects.exists)()
    await sync_to_async(connections.close_all)()


def test_leases_end_by_the_clock_that_a_sleeping_machine_does_not_stop():
    assert abs(clock.now() - time.clock_gettime(time.CLOCK_BOOTTIME)) < 5
