"""What every GraphStore and RunStore guarantees, in memory and in the database."""

import asyncio
import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from orchestrator.exceptions import Busy, Conflict, InvalidPayload, LeaseLost, NotFound
from orchestrator.services.run_store import DjangoGraphStore, DjangoRunStore
from storage.memory_runs import MemoryGraphStore, MemoryRunStore
from storage.runs import GraphRecord, RunFilter, RunRecord, StepRecord
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture(params=["memory", "django"])
async def stores(request):
    """A graph store and a run store with the graph `g` in them."""
    if request.param == "memory":
        graphs = MemoryGraphStore()
        runs = MemoryRunStore(graphs)
    else:
        graphs, runs = DjangoGraphStore(), DjangoRunStore()
    await graphs.save(graph("g"))
    yield graphs, runs
    await sync_to_async(connections.close_all)()


@pytest.fixture
def graphs(stores):
    return stores[0]


@pytest.fixture
def runs(stores):
    return stores[1]


def graph(name, digest="d"):
    return GraphRecord(id=name, name=name.upper(), definition={"nodes": [], "b": 1}, digest=digest)


def run(name, graph_id="g", **options):
    state = {"x": [1, {"y": None}], "ä": 1.5}
    return RunRecord(
        id=name, graph_id=graph_id, digest="d", initial_state=state, entry="a", **options
    )


def step(number, node="a", **options):
    return StepRecord(number=number, node=node, started_at=NOW, seconds=0.25, **options)


async def claimed(runs, name="r", **options):
    await runs.create(run(name, **options))
    return await runs.claim(name, "worker-1")


# graphs


async def test_numbers_and_texts_come_back_as_they_were_given(graphs, runs):
    numbers = [1e16, 1e22, -2.5e300, 1.0, 1e15, 1e-7, 2**53 - 1, 0, True]
    data = {"numbers": numbers, "1e+22": 'say "1e+22" \\ 1e+22', "ä": {"deep": [3e50]}}
    await graphs.save(GraphRecord(id="h", name="h", definition=data, digest="d"))
    kept = (await graphs.get("h")).definition
    assert kept == data
    assert [*map(type, kept["numbers"])] == [*map(type, numbers)]
    await runs.create(replace(run("r"), initial_state=data))
    assert (await runs.update("r", state=(await runs.get("r")).initial_state)).state == data


async def test_a_graph_is_kept_as_it_was_given(graphs):
    saved = await graphs.save(graph("h"))
    assert saved == await graphs.get("h")
    assert (saved.name, saved.definition, saved.digest) == ("H", {"nodes": [], "b": 1}, "d")
    assert saved.created_at.tzinfo is not None
    assert [found.id for found in await graphs.list()] == ["h", "g"]


async def test_a_graph_does_not_change(graphs):
    first = await graphs.get("g")
    assert await graphs.save(graph("g")) == first
    with pytest.raises(Conflict):
        await graphs.save(graph("g", digest="other"))
    assert await graphs.get("g") == first


async def test_a_graph_that_is_not_there(graphs, runs):
    with pytest.raises(NotFound):
        await graphs.get("nobody")
    with pytest.raises(NotFound):
        await graphs.delete("nobody")
    with pytest.raises(NotFound):
        await runs.create(run("r", graph_id="nobody"))


async def test_a_graph_goes_with_its_runs_and_not_before_they_have_ended(graphs, runs):
    await graphs.save(graph("h"))
    await runs.create(run("other", graph_id="h"))
    await runs.create(run("r"))
    with pytest.raises(Conflict):
        await graphs.delete("g")
    await runs.cancel("r")
    await graphs.delete("g")
    with pytest.raises(NotFound):
        await graphs.get("g")
    with pytest.raises(NotFound):
        await runs.get("r")
    assert (await runs.get("other")).graph_id == "h"


# runs


async def test_a_run_is_kept_as_it_was_given(runs):
    given = run("r", max_steps=7, timeout=1.5, checkpoint_every=None, parent={"run": "p"})
    made, new = await runs.create(given)
    assert new
    assert made == await runs.get("r")
    assert made.status == "pending"
    assert made.initial_state == {"x": [1, {"y": None}], "ä": 1.5}
    assert (made.max_steps, made.timeout, made.checkpoint_every) == (7, 1.5, None)
    assert (made.parent, made.token, made.attempt) == ({"run": "p"}, 0, 1)
    assert made.created_at is not None and made.started_at is None


async def test_an_id_is_taken_once(runs):
    await runs.create(run("r"))
    with pytest.raises(Conflict):
        await runs.create(run("r"))


async def test_an_idempotency_key_makes_one_run(runs):
    first, new = await runs.create(run("r", idempotency_key="k", request_digest="1"))
    again, once_more = await runs.create(run("s", idempotency_key="k", request_digest="1"))
    assert (new, once_more) == (True, False)
    assert again == first
    with pytest.raises(Conflict):
        await runs.create(run("t", idempotency_key="k", request_digest="2"))
    assert (await runs.list(RunFilter())).total == 1


async def test_an_idempotency_key_makes_one_run_also_at_the_same_time(runs):
    made = await asyncio.gather(*(runs.create(run(f"r{n}", idempotency_key="k")) for n in range(8)))
    assert sum(new for _, new in made) == 1
    assert len({record.id for record, _ in made}) == 1


async def test_runs_without_a_key_are_all_made(runs):
    for name in "rst":
        assert (await runs.create(run(name)))[1]


@pytest.mark.parametrize("value", [math.nan, "\0", {1}, 2**70])
async def test_a_state_is_strict_json(runs, value):
    with pytest.raises(InvalidPayload):
        await runs.create(
            RunRecord(id="r", graph_id="g", digest="d", entry="a", initial_state=value)
        )
    owned = await claimed(runs)
    with pytest.raises(InvalidPayload):
        await runs.record("r", owned.token, state={"v": value}, steps=[step(1)])
    with pytest.raises(InvalidPayload):
        await runs.update("r", state={"v": value})
    assert await runs.steps("r") == []


async def test_what_is_kept_is_a_copy(runs):
    owned = await claimed(runs)
    state = {"list": [1]}
    await runs.record("r", owned.token, state=state)
    state["list"].append(2)
    assert (await runs.get("r")).state == {"list": [1]}


async def test_a_run_that_is_not_there(runs):
    for call in (
        runs.get("x"), runs.update("x", message="m"), runs.claim("x", "w"), runs.release("x", 1),
        runs.record("x", 1), runs.cancel("x"), runs.delete("x"), runs.steps("x"),
        runs.checkpoints("x"), runs.checkpoint("x", 1), runs.newest("x"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await call


async def test_runs_are_listed_newest_first_in_pages(graphs, runs):
    await graphs.save(graph("h"))
    for name in "abc":
        await runs.create(run(name))
    await runs.create(run("d", graph_id="h"))
    await runs.cancel("b")
    everything = await runs.list(RunFilter())
    assert [found.id for found in everything.runs] == ["d", "c", "b", "a"]
    page = await runs.list(RunFilter(graph_id="g"), offset=1, limit=1)
    assert ([found.id for found in page.runs], page.total) == (["b"], 3)
    assert [f.id for f in (await runs.list(RunFilter(status="cancelled"))).runs] == ["b"]
    moment = everything.runs[2].created_at
    later = await runs.list(RunFilter(created_after=moment, graph_id="g"))
    assert [found.id for found in later.runs] == ["c", "b"]
    earlier = await runs.list(RunFilter(created_before=moment))
    assert [found.id for found in earlier.runs] == ["a"]


# conditional updates


async def test_an_update_changes_fields_and_nothing_else(runs):
    before = (await runs.create(run("r")))[0]
    after = await runs.update("r", message="hello", error={"code": "x"})
    assert (after.message, after.error) == ("hello", {"code": "x"})
    assert after.initial_state == before.initial_state
    assert after == await runs.get("r")


async def test_a_run_ends_when_its_status_says_so(runs):
    await runs.create(run("r"))
    assert (await runs.update("r", status="failed")).ended_at is not None
    assert (await runs.update("r", status="pending")).ended_at is None


async def test_a_conditional_update_has_one_winner(runs):
    await runs.create(run("r"))
    await runs.update("r", status="failed")
    won = await asyncio.gather(
        *(runs.update("r", expect={"failed"}, status="pending", message=str(n)) for n in range(8)),
        return_exceptions=True,
    )
    winners = [answer for answer in won if isinstance(answer, RunRecord)]
    assert len(winners) == 1
    assert all(isinstance(answer, Conflict) for answer in won if answer not in winners)
    assert (await runs.get("r")).message == winners[0].message


# owners


async def test_a_claim_raises_the_token(runs):
    owned = await claimed(runs)
    assert (owned.status, owned.owner, owned.token) == ("running", "worker-1", 1)
    assert owned.started_at is not None and owned.beat_at is not None
    again = await runs.claim("r", "worker-2", stale_after=0)
    assert (again.owner, again.token, again.started_at) == ("worker-2", 2, owned.started_at)


async def test_claims_from_silent_owners_are_counted_until_a_step_ends(runs):
    assert (await claimed(runs)).crashes == 0
    for crashes in (1, 2):
        owned = await runs.claim("r", "worker-2", stale_after=0)
        await runs.record("r", owned.token)
        assert (await runs.get("r")).crashes == crashes
    await runs.record("r", owned.token, steps=[step(1)])
    assert (await runs.get("r")).crashes == 0
    await runs.release("r", owned.token)
    assert (await runs.claim("r", "worker-3")).crashes == 0


async def test_a_run_of_a_living_owner_cannot_be_claimed(runs):
    owned = await claimed(runs)
    with pytest.raises(Busy):
        await runs.claim("r", "worker-2")
    assert (await runs.get("r")).token == owned.token


async def test_of_many_claims_one_succeeds(runs):
    await runs.create(run("r"))
    answers = await asyncio.gather(
        *(runs.claim("r", f"w{n}") for n in range(8)), return_exceptions=True
    )
    assert sum(isinstance(answer, RunRecord) for answer in answers) == 1
    assert (await runs.get("r")).token == 1


async def test_a_run_that_was_let_go_can_be_claimed_at_once(runs):
    owned = await claimed(runs)
    await runs.release("r", owned.token)
    assert (await runs.claim("r", "worker-2")).token == 2
    await runs.release("r", owned.token)  # too late to matter
    with pytest.raises(Busy):
        await runs.claim("r", "worker-3")


@pytest.mark.parametrize("status", ["completed", "terminated", "failed", "cancelled"])
async def test_a_run_that_has_ended_cannot_be_claimed(runs, status):
    await runs.create(run("r"))
    await runs.update("r", status=status)
    with pytest.raises(Conflict, match=status):
        await runs.claim("r", "worker-1")


async def test_a_zombie_writes_nothing(runs):
    zombie = await claimed(runs)
    heir = await runs.claim("r", "worker-2", stale_after=0)
    await runs.record("r", heir.token, state={"by": "heir"}, steps=[step(1)])
    before = await runs.get("r")
    with pytest.raises(LeaseLost):
        await runs.record("r", zombie.token, state={}, steps=[step(9)], taken=9, checkpoint=b"z")
    with pytest.raises(LeaseLost):
        await runs.update("r", token=zombie.token, status="failed")
    assert await runs.get("r") == before
    assert [found.number for found in await runs.steps("r")] == [1]
    assert await runs.newest("r") is None


async def test_nothing_is_recorded_once_a_run_has_ended(runs):
    owned = await claimed(runs)
    await runs.update("r", token=owned.token, status="completed")
    with pytest.raises(LeaseLost):
        await runs.record("r", owned.token, steps=[step(1)])
    assert await runs.steps("r") == []


# what is recorded


async def test_what_is_recorded_is_read_again(runs):
    owned = await claimed(runs)
    changes = [{"path": "x", "op": "add", "after": 1}]
    written = await runs.record(
        "r",
        owned.token,
        state={"x": 1},
        steps=[step(1, port="yes", changes=changes, round=2), step(2, "b", error="no")],
        taken=2,
        checkpoint=b"body",
    )
    assert [found.position for found in written.steps] == [1, 2]
    assert not written.cancel_requested
    more = await runs.record("r", owned.token, steps=[step(2, "b")])
    assert [found.position for found in more.steps] == [3]
    record = await runs.get("r")
    assert (record.state, record.steps) == ({"x": 1}, 2)
    log = await runs.steps("r")
    assert [*log] == [*written.steps, *more.steps]
    assert log[0] == step(1, port="yes", changes=changes, round=2, position=1)
    assert log[1].error == "no" and log[1].port is None
    assert [found.position for found in await runs.steps("r", after=1, limit=1)] == [2]


async def test_a_sign_of_life_keeps_the_run(runs):
    owned = await claimed(runs)

    async def beats_later():
        await runs.record("r", owned.token)
        return (await runs.get("r")).beat_at > owned.beat_at

    await until(beats_later)
    assert await runs.abandoned(stale_after=60) == []


async def test_checkpoints_are_numbered_and_never_change(runs):
    owned = await claimed(runs)
    assert await runs.newest("r") is None
    for n in (1, 2):
        await runs.record("r", owned.token, taken=n * 10, checkpoint=b"body %d" % n)
    kept = await runs.checkpoints("r")
    assert [(found.number, found.steps) for found in kept] == [(1, 10), (2, 20)]
    assert kept[0].body == b"body 1"
    assert kept[0].checksum == hashlib.sha256(b"body 1").hexdigest()
    assert await runs.newest("r") == kept[1] == await runs.checkpoint("r", 2)
    assert await runs.newest("r", before=2) == kept[0]
    assert await runs.newest("r", before=1) is None
    with pytest.raises(NotFound):
        await runs.checkpoint("r", 3)


async def test_a_run_may_be_made_with_a_checkpoint(runs):
    await runs.create(run("r", steps=4), checkpoint=b"first")
    first = await runs.newest("r")
    assert (first.number, first.steps, first.body) == (1, 4, b"first")
    owned = await runs.claim("r", "w")
    await runs.record("r", owned.token, taken=5, checkpoint=b"second")
    assert [found.number for found in await runs.checkpoints("r")] == [1, 2]


async def test_checkpoints_know_their_attempt(runs):
    owned = await claimed(runs)
    await runs.record("r", owned.token, checkpoint=b"1")
    await runs.update("r", attempt=2)
    assert (await runs.newest("r")).attempt == 1
    assert await runs.newest("r", attempt=2) is None
    await runs.record("r", owned.token, checkpoint=b"2")
    assert (await runs.newest("r", attempt=2)).body == b"2"


# ends


async def test_a_run_that_waits_is_cancelled_at_once(runs):
    await runs.create(run("r"))
    gone = await runs.cancel("r")
    assert gone.status == "cancelled" and gone.ended_at is not None
    with pytest.raises(Conflict):
        await runs.cancel("r")


async def test_the_owner_of_a_run_is_told_to_cancel_it(runs):
    owned = await claimed(runs)
    assert (await runs.cancel("r")).status == "running"
    assert (await runs.record("r", owned.token)).cancel_requested
    assert (await runs.get("r")).cancel_requested


async def test_a_run_is_deleted_with_all_it_has_once_it_has_ended(runs):
    owned = await claimed(runs)
    await runs.record("r", owned.token, steps=[step(1)], checkpoint=b"1")
    with pytest.raises(Conflict):
        await runs.delete("r")
    await runs.update("r", status="completed")
    await runs.delete("r")
    with pytest.raises(NotFound):
        await runs.get("r")
    await claimed(runs)
    assert await runs.steps("r") == []
    assert await runs.newest("r") is None


async def test_runs_that_nobody_works_on_are_found(runs):
    await runs.create(run("waiting"))
    await claimed(runs, "running")
    await runs.create(run("ended"))
    await runs.cancel("ended")
    assert list(await runs.abandoned(stale_after=60)) == []

    async def both():
        found = await runs.abandoned(stale_after=0)
        return [run.id for run in found] == ["running", "waiting"]

    await until(both)


async def test_moments_are_in_utc(runs):
    owned = await claimed(runs)
    assert abs(owned.started_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert owned.started_at.utcoffset() == timedelta(0)
