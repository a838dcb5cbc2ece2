"""Tasks and groups behave the same in memory and on Redis."""

import asyncio
import time

import pytest

from orchestrator.exceptions import InvalidPayload, InvalidRequest, LeaseLost, NotFound
from storage.records import SlotState
from storage.task_slot import TaskSlot, close_slot
from storage.tasks import (
    LOOP,
    QUEUE,
    TASKS,
    FailedTask,
    Reply,
    Task,
    TaskQueue,
    TaskResult,
    put_and_wait,
)
from tests.waiting import until


@pytest.fixture
async def queue(store):
    await store.queue.forget(TASKS)
    yield TaskQueue(store.queue)
    await store.queue.forget(TASKS)


@pytest.fixture
def coordinator(store):
    return store.coordinator


@pytest.fixture
async def group(coordinator):
    await coordinator.close("g")
    yield "g"
    await coordinator.close("g")


def a_task(number=1, **options):
    return Task(type="task", arguments={"name": "f", "arguments": {"n": number}}, **options)


async def a_slot(queue, slot=0, token=1, labels=()):
    taken = TaskSlot(queue, slot, token, labels)
    await taken.begin()
    return taken


async def take_one(slot):
    (taken,) = await slot.take(1, 5)
    return taken


async def test_what_is_put_comes_out_whole_and_once(queue):
    task = a_task(timeout=1.5, retry={"max_attempts": 3}, reply=Reply(group="g", batch=2))
    assert await queue.put(task)
    slot = await a_slot(queue)
    taken = await take_one(slot)
    assert taken.task == task
    assert await queue.waiting() == 1
    assert await slot.done(taken)
    assert await queue.waiting() == 0
    assert await slot.take(1, 0) == []


async def test_a_task_enters_once_unless_told_otherwise(queue):
    task = a_task()
    assert [await queue.put(task) for _ in range(3)] == [True, False, False]
    assert await queue.put(task, once=False)
    assert await queue.waiting() == 2


async def test_what_is_not_json_is_refused_when_it_is_put(queue):
    for value in (object(), float("nan"), {1: 2}):
        with pytest.raises(InvalidPayload):
            await queue.put(Task(type="task", arguments={"value": value}))
    assert await queue.waiting() == 0


async def test_take_gives_no_more_than_asked_for_in_order(queue):
    for number in range(5):
        await queue.put(a_task(number))
    slot = await a_slot(queue)
    first, second = await slot.take(3, 0), await slot.take(3, 0)
    numbers = [taken.task.arguments["arguments"]["n"] for taken in (*first, *second)]
    assert (len(first), numbers) == (3, [0, 1, 2, 3, 4])


async def test_who_waits_is_woken_by_what_is_put(queue):
    slot = await a_slot(queue)
    taking = asyncio.create_task(slot.take(1, 4))
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    await queue.put(a_task())
    assert len(await taking) == 1
    assert time.monotonic() - begun < 2


async def test_two_slots_share_and_no_task_comes_twice(queue):
    for number in range(20):
        await queue.put(a_task(number))
    one, two = await a_slot(queue, 0), await a_slot(queue, 1)
    seen = []
    for slot in (one, two, one, two):
        for taken in await slot.take(5, 0):
            seen.append(taken.task.arguments["arguments"]["n"])
            assert await slot.done(taken)
    assert sorted(seen) == list(range(20))


async def test_many_end_at_once_each_for_itself(queue):
    for number in range(50):
        await queue.put(a_task(number))
    slot = await a_slot(queue)
    taken = await slot.take(50, 0)
    assert all(await asyncio.gather(*(slot.done(each) for each in taken)))
    assert await queue.waiting() == 0


async def test_a_retry_comes_back_after_its_delay_with_one_attempt_more(queue):
    await queue.put(a_task())
    slot = await a_slot(queue)
    begun = time.monotonic()
    await slot.retry(await take_one(slot), 0.3)
    assert await slot.take(1, 0) == []
    assert await queue.waiting() == 1
    again = await take_one(slot)
    assert time.monotonic() - begun >= 0.29
    assert again.task.attempts == 1


async def test_a_retry_survives_its_worker(queue, store):
    await queue.put(a_task())
    slot = await a_slot(queue)
    await slot.retry(await take_one(slot), 0.2)
    await close_slot(store.queue, 0, 2)
    other = await a_slot(queue, 1)
    assert (await take_one(other)).task.attempts == 1


async def test_what_is_given_back_goes_to_another_at_once(queue):
    await queue.put(a_task())
    one, two = await a_slot(queue, 0), await a_slot(queue, 1)
    await one.give_back(await take_one(one))
    taken = await take_one(two)
    assert (taken.task.attempts, taken.task.lost) == (0, 0)


async def test_a_clean_end_hands_back_what_is_in_hand(queue):
    for number in range(3):
        await queue.put(a_task(number))
    one, two = await a_slot(queue, 0), await a_slot(queue, 1)
    assert len(await one.take(3, 0)) == 3
    await one.end()
    taken = await two.take(3, 0)
    assert [each.task.lost for each in taken] == [0, 0, 0]


async def test_what_a_gone_worker_had_in_hand_is_taken_over(queue, store):
    await queue.put(a_task(1))
    gone, other = await a_slot(queue, 0), await a_slot(queue, 1)
    await take_one(gone)
    await other.adopt()
    assert await other.take(1, 0) == []  # its slot is not closed: it may still be working
    await close_slot(store.queue, 0, 2)
    await other.adopt()
    taken = await take_one(other)
    assert (taken.task.lost, taken.returned) == (1, True)
    assert await other.done(taken)
    assert await queue.waiting() == 0


async def test_a_worker_that_takes_the_slot_finds_what_was_in_hand(queue):
    await queue.put(a_task(1))
    await take_one(await a_slot(queue, 0, token=1))
    again = await a_slot(queue, 0, token=2)
    assert (await take_one(again)).task.lost == 1


async def test_who_lost_the_lease_takes_and_ends_nothing(queue, store):
    await queue.put(a_task(1))
    await queue.put(a_task(2))
    zombie = await a_slot(queue, 0)
    held = await take_one(zombie)
    await close_slot(store.queue, 0, 2)
    with pytest.raises(LeaseLost):
        await zombie.take(1, 0)
    for end in (zombie.done(held), zombie.give_back(held), zombie.retry(held, 0)):
        with pytest.raises(LeaseLost):
            await end
    assert await queue.waiting() == 2


async def test_what_another_has_taken_over_cannot_be_ended(queue, store):
    """Its entry alone is refused: what ends beside it does."""
    await queue.put(a_task(1))
    await queue.put(a_task(2))
    slot = await a_slot(queue, 0)
    first, second = await slot.take(2, 0)
    other = await a_slot(queue, 1)
    await other.take(1, 0)
    await store.queue.redeliver(other.lease, first.entry)  # as a claim of its entry does
    assert await asyncio.gather(slot.done(first), slot.done(second)) == [False, True]
    assert await queue.waiting() == 1


async def test_a_commit_whose_answer_was_lost_is_repeated_once(queue, store, monkeypatch):
    from orchestrator.exceptions import StoreUnavailable

    await queue.put(a_task(1))
    slot = await a_slot(queue)
    taken = await take_one(slot)
    real, calls = store.queue.commit, []

    async def loses_the_first_answer(lease, commit):
        result = await real(lease, commit)
        calls.append(result)
        if len(calls) == 1:
            raise StoreUnavailable
        return result

    monkeypatch.setattr(store.queue, "commit", loses_the_first_answer)
    assert await slot.give_back(taken)
    assert len(calls) == 2
    assert await queue.waiting() == 1


async def test_what_was_handed_out_in_a_lost_answer_is_found(queue, store, monkeypatch):
    from orchestrator.exceptions import StoreUnavailable

    await queue.put(a_task(1))
    slot = await a_slot(queue)
    real = store.queue.read

    async def loses_the_answer(*args):
        await real(*args)
        raise StoreUnavailable

    monkeypatch.setattr(store.queue, "read", loses_the_answer)
    with pytest.raises(StoreUnavailable):
        await slot.take(1, 0)
    monkeypatch.setattr(store.queue, "read", real)
    taken = await take_one(slot)
    assert (taken.task.lost, taken.returned) == (0, False)  # nobody has died


async def test_a_cancelled_end_happens_all_the_same(queue):
    await queue.put(a_task(1))
    await queue.put(a_task(2))
    slot = await a_slot(queue)
    first, second = await slot.take(2, 0)
    ending = asyncio.create_task(slot.done(first))
    await asyncio.sleep(0)
    ending.cancel()
    assert await slot.done(second)
    assert await queue.waiting() == 0


async def die_with(queue, store, times):
    """Take a task and die with it, so many times; return the slot that finds it next."""
    token = 0
    for _ in range(times):
        token += 1
        slot = await a_slot(queue, 0, token)
        taken = await take_one(slot)
        await slot.charge(taken)
    return await a_slot(queue, 0, token + 1)


@pytest.mark.parametrize(
    ("deaths", "alone", "given_up"), [(1, False, False), (2, True, False), (3, False, True)]
)
async def test_deaths_are_counted_and_lead_to_solitude_and_an_end(
    queue, store, deaths, alone, given_up
):
    await queue.put(a_task(1))
    slot = await die_with(queue, store, deaths)
    taken = await take_one(slot)
    assert (taken.task.lost, taken.alone, taken.given_up) == (deaths, alone, given_up)


async def test_what_must_be_alone_comes_by_itself(queue, store):
    await queue.put(a_task(1))
    await queue.put(a_task(2))
    slot = await a_slot(queue, 0, 1)
    await slot.take(2, 0)
    slot = await a_slot(queue, 0, 2)
    for taken in await slot.take(2, 0):
        await slot.charge(taken)
    slot = await a_slot(queue, 0, 3)
    assert [len(await slot.take(5, 0)), len(await slot.take(5, 0))] == [1, 1]


async def test_what_must_be_alone_does_not_come_behind_another(queue, store):
    await queue.put(a_task(1))
    await queue.put(a_task(2, lost=1))
    await (await a_slot(queue, 0, 1)).take(2, 0)
    slot = await a_slot(queue, 0, 2)
    taken = [await slot.take(5, 0), await slot.take(5, 0)]
    assert [[each.alone for each in some] for some in taken] == [[False], [True]]


async def test_deaths_before_a_hand_back_still_count(queue, store):
    await queue.put(a_task(1))
    slot = await die_with(queue, store, 1)
    await slot.give_back(await take_one(slot))
    assert (await take_one(slot)).task.lost == 1


async def test_failures_are_kept_and_can_be_forgotten(queue):
    task = a_task(7)
    await queue.put(task)
    slot = await a_slot(queue)
    problem = {"path": "arguments", "message": "no"}
    result = TaskResult(
        ok=False, error_type="ValueError", message="no", reason="failed", details=[problem]
    )
    await slot.fail(await take_one(slot), result)
    (failed,) = await queue.failed()
    assert failed == FailedTask(id=failed.id, task=task, result=result)
    await queue.forget_failed([failed.id])
    assert await queue.failed() == []
    assert await queue.waiting() == 0


async def test_the_oldest_failures_make_room(queue, monkeypatch):
    import storage.memory_queue
    import storage.redis_wire

    for module in (storage.memory_queue, storage.redis_wire):
        monkeypatch.setattr(module, "DEAD_LETTERS_LIMIT", 3)
    slot = await a_slot(queue)
    for number in range(5):
        await queue.put(a_task(number))
        await slot.fail(await take_one(slot), TaskResult(ok=False, reason="failed"))
    numbers = [failed.task.arguments["arguments"]["n"] for failed in await queue.failed()]
    assert numbers[-1] == 4
    assert len(numbers) <= 3


async def test_a_task_waits_for_a_worker_that_has_its_labels(queue):
    await queue.put(a_task(1, runs_on=("gpu", "eu")))
    await queue.put(a_task(2, runs_on=("gpu",)))
    await queue.put(a_task(3))
    plain, able = await a_slot(queue), await a_slot(queue, 1, 1, ["moon", "gpu", "eu"])
    assert [taken.task.arguments["arguments"]["n"] for taken in await plain.take(9, 0)] == [3]
    taken = await able.take(9, 0)
    assert [each.task.arguments["arguments"]["n"] for each in taken] == [1, 2]
    assert taken[0].task.runs_on == ("gpu", "eu")
    assert [await queue.waiting(labels) for labels in ((), ("gpu",), ("gpu", "eu"))] == [1, 2, 3]


async def test_what_was_put_off_or_given_back_still_needs_its_labels(queue):
    await queue.put(a_task(1, runs_on=("gpu",)))
    able = await a_slot(queue, 0, 1, ["gpu"])
    await able.retry(await take_one(able), 0.0)
    plain = await a_slot(queue, 1)
    due = await take_one(plain)  # what is due comes to any worker
    assert not plain.fits(due.task)
    await plain.give_back(due)
    assert await plain.take(1, 0) == []
    again = await take_one(able)
    assert able.fits(again.task)
    assert (again.task.attempts, again.task.lost) == (1, 0)
    await able.end()  # with it in hand
    assert await plain.take(1, 0) == []
    assert (await take_one(await a_slot(queue, 0, 2, ["gpu"]))).task.attempts == 1


async def test_what_a_dead_worker_had_is_for_others_of_its_labels(queue, store):
    await queue.put(a_task(1, runs_on=("gpu",)))
    await take_one(await a_slot(queue, 0, 1, ["gpu"]))
    plain, able = await a_slot(queue, 1), await a_slot(queue, 2, 1, ["gpu"])
    await close_slot(store.queue, 0, 2)
    await plain.adopt()
    assert await plain.take(1, 0) == []
    await able.adopt()
    assert (await take_one(able)).task.lost == 1


async def test_too_many_labels_are_refused(queue):
    with pytest.raises(InvalidRequest, match="5 labels at most, not 6"):
        TaskSlot(queue, 0, 1, "abcdef")


async def test_what_is_not_a_task_is_told_so(queue, store):
    for body in (b"{}", b"[1]", b'{"type":"x","nonsense":1,"reply":null}', b"not json"):
        await store.queue.put(TASKS, QUEUE, body)
    slot = await a_slot(queue)
    for _ in range(4):
        taken = await take_one(slot)
        assert taken.task is None
        await slot.fail(taken, TaskResult(ok=False, reason="invalid"))
    assert len(await queue.failed()) == 4


async def test_a_slot_goes_on_counting_where_the_one_before_ended(queue, store):
    for number in range(4):
        await queue.put(a_task(number))
    slot = await a_slot(queue, 0, 1)
    for taken in await slot.take(2, 0):
        await slot.done(taken)
    again = await a_slot(queue, 0, 2)
    for taken in await again.take(2, 0):
        assert await again.done(taken)
    state = await store.queue.snapshot(again.lease)
    assert isinstance(state, SlotState)
    assert (state.number, again.lease.loop) == (4, LOOP)
    assert await queue.waiting() == 0


# Groups


async def test_who_waits_gets_all_batches_when_the_last_arrives(coordinator, group):
    await coordinator.open(group, 3, 60)
    waiting = asyncio.create_task(coordinator.wait(group, 10))
    for batch in (2, 0):
        assert await coordinator.arrive(group, batch, b"%d" % batch)
    await asyncio.sleep(0.05)
    assert not waiting.done()
    begun = time.monotonic()
    assert await coordinator.arrive(group, 1, b"1")
    assert await waiting == {0: b"0", 1: b"1", 2: b"2"}
    assert time.monotonic() - begun < 1


async def test_a_batch_counts_once_and_its_first_result_stays(coordinator, group):
    await coordinator.open(group, 2, 60)
    assert await coordinator.arrive(group, 0, b"first")
    assert not await coordinator.arrive(group, 0, b"second")
    assert await coordinator.wait(group, 0.05) == {0: b"first"}
    await coordinator.arrive(group, 1, b"other")
    assert await coordinator.wait(group, 5) == {0: b"first", 1: b"other"}


async def test_many_wait_for_one_group_also_afterwards(coordinator, group):
    await coordinator.open(group, 1, 60)
    waiting = [asyncio.create_task(coordinator.wait(group, 10)) for _ in range(3)]
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    await coordinator.arrive(group, 0, b"x")
    assert await asyncio.gather(*waiting) == [{0: b"x"}] * 3
    assert time.monotonic() - begun < 1.5
    assert await coordinator.wait(group, 10) == {0: b"x"}


async def test_a_wait_ends_in_time_with_what_has_arrived(coordinator, group):
    await coordinator.open(group, 2, 60)
    await coordinator.arrive(group, 1, b"x")
    begun = time.monotonic()
    assert await coordinator.wait(group, 0.2) == {1: b"x"}
    assert 0.19 <= time.monotonic() - begun < 2


async def test_nothing_is_kept_of_a_closed_group(coordinator, group):
    await coordinator.open(group, 1, 60)
    assert not await coordinator.arrived(group, 0)
    await coordinator.close(group)
    assert not await coordinator.arrive(group, 0, b"x")
    assert await coordinator.arrived(group, 0)
    with pytest.raises(NotFound):
        await coordinator.wait(group, 1)


async def test_who_waits_hears_that_a_group_was_closed(coordinator, group):
    await coordinator.open(group, 1, 60)
    waiting = asyncio.create_task(coordinator.wait(group, 10))
    await asyncio.sleep(0.05)
    await coordinator.close(group)
    with pytest.raises(NotFound):
        await waiting


async def test_a_group_is_forgotten_after_its_time(coordinator, group):
    await coordinator.open(group, 1, 0.1)
    await until(lambda: _is_gone(coordinator, group), 5)


async def _is_gone(coordinator, group):
    return await coordinator.arrived(group, 0)


async def test_opening_again_changes_nothing(coordinator, group):
    await coordinator.open(group, 1, 60)
    await coordinator.arrive(group, 0, b"x")
    await coordinator.open(group, 5, 60)
    assert await coordinator.wait(group, 1) == {0: b"x"}


async def test_redis_keeps_nothing_of_a_group_that_has_ended(redis_url):
    from storage.datastore import open_store
    from storage.redis_client import connect

    store, client = open_store(redis_url), connect(redis_url)
    try:
        await store.coordinator.open("mine", 1, 60)
        await store.coordinator.arrive("mine", 0, b"x")
        lives = [await client.pttl(key) async for key in client.scan_iter("wo:{group:mine}*")]
        assert len(lives) == 2
        assert all(0 < life <= 60_000 for life in lives)  # also after a crash of who waited
        await store.coordinator.close("mine")
        assert not [key async for key in client.scan_iter("wo:{group:mine}*")]
    finally:
        await client.aclose()
        await store.close()


async def test_an_answer_to_a_task_comes_to_who_waits(queue, coordinator):
    async def work():
        slot = await a_slot(queue)
        taken = await take_one(slot)
        result = TaskResult(ok=True, value={"n": 1})
        await coordinator.arrive(taken.task.reply.group, taken.task.reply.batch, result.encode())
        await slot.done(taken)

    working = asyncio.create_task(work())
    result = await put_and_wait(queue, coordinator, a_task(), 10)
    await working
    assert (result.ok, result.value) == (True, {"n": 1})


async def test_no_answer_in_time_is_none_and_the_task_goes_on(queue, coordinator):
    assert await put_and_wait(queue, coordinator, a_task(), 0.1) is None
    assert await queue.waiting() == 1
