"""What runners keep of slots in the database, and what a slot begins with when Redis lost it."""

import asyncio
import time
from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async

from orchestrator.execution.committer import EFFECT
from orchestrator.execution.sources import TRIAL
from orchestrator.models import Checkpoint, LoopSlot, Workflow
from orchestrator.runtime import checkpoints, leases, restores
from orchestrator.runtime.checkpoints import Checkpoints
from orchestrator.runtime.plans import Plans
from orchestrator.security.actors import SYSTEM
from orchestrator.services import production, workflows
from storage.datastore import open_store
from storage.records import Commit, Lease

pytestmark = pytest.mark.django_db(transaction=True)
ID, QUEUE = "hello-loops", "queue_2_3"
SLACK = 10.0


class House:
    """The example with both its loops in the hands of one runner, on a store in memory."""

    def __init__(self):
        self.queue = open_store("memory://").queue
        self.plans = Plans()
        self.writer = Checkpoints("r", self.queue, self.plans, 5.0)
        self._numbers = {}

    def lease(self, loop, token=1):
        return Lease(workflow=ID, loop=loop, slot=0, token=token)

    async def begin(self):
        for loop in "13":
            await self.queue.begin(self.lease(loop), 1)

    async def commit(self, loop, sequence, states, **parts):
        number = self._numbers[loop] = self._numbers.get(loop, 0) + 1
        commit = Commit(number=number, sequence=sequence, activation=1, states=states, **parts)
        await self.queue.commit(self.lease(loop), commit)

    async def rows(self, loop):
        await self.writer.write({ID})
        return await sync_to_async(self.kept)(loop)

    def kept(self, loop):
        return list(Checkpoint.objects.filter(loop=loop).order_by("pk"))

    async def found(self, loop):
        loops = (await self.plans.of(ID, 1)).loops
        slot = await sync_to_async(self._slot)(loop)
        return await sync_to_async(restores.find)(slot, loops, SLACK)

    def _slot(self, loop):
        return next(slot for slot in leases.slots("r") if slot.loop == loop)


def start(definition):
    workflows.create(SYSTEM, definition)
    production.start(SYSTEM, ID)
    LoopSlot.objects.update(token=1)


@pytest.fixture
async def house(hello_loops):
    await sync_to_async(start)(hello_loops)
    house = House()
    await house.begin()
    return house


def shift(seconds, **where):
    """Make checkpoints older than they are."""
    for row in Checkpoint.objects.filter(**where):
        older = timedelta(seconds=seconds)
        row.oldest_at -= older
        Checkpoint.objects.filter(pk=row.pk).update(
            created_at=row.created_at - older,
            oldest_at=row.oldest_at,
            checksum=restores.checksum(row),
        )


async def test_a_row_is_written_when_something_has_changed(house):
    states = {"1": b'{"next": 4}', TRIAL: b"[3, 1]", EFFECT + "x": b'{"length": 9}'}
    await house.commit("1", 4, states)
    [row] = await house.rows("1")
    assert (row.activation, row.version, row.token, row.sequence) == (1, 1, 1, 4)
    assert row.states == {"1": '{"next": 4}', EFFECT + "x": '{"kept": true}'}
    assert restores.is_sound(row)
    assert len(await house.rows("1")) == 1
    await house.commit("1", 5, {"1": b'{"next": 5}'})
    assert [row.sequence for row in await house.rows("1")] == [4, 5]


async def test_a_slot_in_which_nothing_happens_is_noted_again(house):
    house.writer.period = 0.0
    await house.rows("1")
    assert len(await house.rows("1")) == 0  # no round is quick enough for that
    house.writer.period = 0.02
    await house.rows("1")
    await asyncio.sleep(0.02 * checkpoints.REFRESH)
    assert len(await house.rows("1")) == 2


@pytest.mark.parametrize("change", [{"token": 2}, {"activation": 2}, {"owner_id": "other"}])
async def test_nothing_is_written_of_a_slot_that_somebody_else_has(house, change):
    if "owner_id" in change:
        other = leases.RunnerEntry(id="other", host="h", pid=1)
        await sync_to_async(leases.heartbeat)(other, 0.0, 30.0)
    await sync_to_async(LoopSlot.objects.filter(loop="1").update)(**change)
    assert await house.rows("1") == []
    assert len(await house.rows("3")) == 1


async def test_what_redis_has_of_an_earlier_activation_is_not_kept(house):
    await sync_to_async(LoopSlot.objects.update)(activation=2)
    await sync_to_async(Workflow.objects.update)(activation=2)
    assert await house.rows("1") == []


async def test_a_row_that_comes_too_late_is_not_written(house, monkeypatch):
    """The slot was taken between the look at Redis and the insertion."""
    snapshot = house.queue.snapshot

    async def overtaken(lease):
        state = await snapshot(lease)
        await sync_to_async(LoopSlot.objects.filter(loop="1").update)(token=2)
        return state

    monkeypatch.setattr(house.queue, "snapshot", overtaken)
    assert await house.rows("1") == []


async def test_the_last_word_of_what_was_stopped_is_kept(house):
    await house.rows("1")
    await house.commit("1", 9, {"1": b"9"})
    await house.writer.write(set())
    assert [row.sequence for row in await sync_to_async(house.kept)("1")] == [0, 9]


async def test_what_waits_in_the_queue_is_on_its_way(house):
    before = time.time()
    [first] = await house.rows("1")
    assert first.oldest_at.timestamp() >= before - 0.001
    await house.commit("1", 1, {"1": b"1"}, outputs=[(QUEUE, b"{}")])
    _, second = await house.rows("1")
    assert second.oldest_at == first.oldest_at
    again = Checkpoints("other", house.queue, house.plans, 5.0)
    await sync_to_async(LoopSlot.objects.update)(token=1)
    await house.commit("1", 2, {"1": b"2"})
    await again.write({ID})  # which has not looked before
    [*_, third] = await sync_to_async(house.kept)("1")
    assert third.oldest_at == first.oldest_at


@pytest.mark.parametrize("state", [b"\x80\x04K\x01.", b"{", b'"\\u0000"', b'"a\0"'])
async def test_a_state_that_is_no_json_is_not_kept_and_hinders_no_other(house, caplog, state):
    await house.commit("1", 1, {"1": state})
    await house.commit("3", 1, {"3": b"1"})
    assert await house.rows("1") == []
    assert len(await house.rows("3")) == 1
    assert "no checkpoint of 1/0: " in caplog.text


async def test_redis_away_skips_a_round(house, caplog):
    away = open_store("redis://127.0.0.1:1/0")
    await Checkpoints("r", away.queue, house.plans, 5.0).write({ID})
    assert await sync_to_async(Checkpoint.objects.count)() == 0
    assert not caplog.records  # others say it
    await away.close()


async def test_nothing_kept_is_nothing_to_restore(house):
    assert await house.found("1") is None


async def test_a_source_goes_back_and_its_reader_does_not(house):
    for sequence in (1, 2, 3):
        await sync_to_async(shift)(20)
        for loop in "13":
            await house.commit(
                loop, sequence, {loop: str(sequence).encode()} if loop == "1" else {}
            )
        await house.rows("1")
    found = await house.found("1")
    assert (found["sequence"], found["states"], found["known"]) == (2, {"1": "2"}, 3)
    assert found["at"]
    assert (await house.found("3"))["sequence"] == 3


async def test_a_source_that_begins_anew_keeps_its_files(house):
    await house.commit("1", 3, {"1": b"3", EFFECT + "x": b'{"length": 3}'})
    await house.rows("1")
    assert await house.found("1") == {
        "sequence": 0, "states": {EFFECT + "x": '{"kept": true}'}, "known": 3, "at": "",
    }  # fmt: skip


async def test_a_damaged_row_is_skipped(house, caplog):
    for sequence in (1, 2):
        await house.commit("3", sequence, {})
        await house.rows("3")
    assert (await house.found("3"))["sequence"] == 2
    newest = Checkpoint.objects.filter(loop="3", sequence=2)
    await sync_to_async(newest.update)(sequence=9)
    assert (await house.found("3"))["sequence"] == 1
    assert "is damaged" in caplog.text


@pytest.mark.parametrize("field", ["states", "oldest_at", "version", "token", "activation", "loop"])
async def test_the_checksum_covers_all_that_is_restored(house, field):
    [row] = await house.rows("1")
    other = row.oldest_at + timedelta(seconds=1) if field == "oldest_at" else {"1": "7"}
    value = {"states": other, "oldest_at": other, "loop": "3"}.get(field, 2)
    setattr(row, field, value)
    assert not restores.is_sound(row)


async def test_rows_of_other_activations_and_of_deleted_workflows_go(house):
    await house.rows("1")
    await sync_to_async(checkpoints.prune)([ID])
    assert await sync_to_async(Checkpoint.objects.count)() == 2
    await sync_to_async(Checkpoint.objects.filter(loop="1").update)(activation=7)
    await sync_to_async(checkpoints.prune)([ID])
    assert await sync_to_async(Checkpoint.objects.count)() == 1
    await sync_to_async(Workflow.objects.update)(active_version=None)
    await sync_to_async(Workflow.objects.filter(pk=ID).delete)()
    assert await sync_to_async(Checkpoint.objects.count)() == 0


async def test_rounds_remove_what_cannot_be_chosen(house):
    for sequence in (*range(5, 4 + checkpoints.REFRESH), 4):
        await house.commit("1", sequence, {})
        rows = await house.rows("1")
    assert [row.sequence for row in rows] == [4]
