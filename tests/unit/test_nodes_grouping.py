"""filter, merge, aggregate and rate-limit."""

import asyncio
import time

import pytest

from nodes.builtin.aggregating import MAX_HELD, Aggregate
from nodes.builtin.conditions import Filter
from nodes.builtin.merging import Merge
from nodes.builtin.timing import MAX_KEYS, RateLimit
from nodes.testing import RecordingContext, driven
from orchestrator.exceptions import NodeFailed, WorkflowInvalid


async def given(run, *items):
    return [await run.data(item) for item in items]


async def flushed(run, **options):
    found = []
    while (data := await run.flush(**options)) is not None:
        found.append(data)
    return found


class TestFilter:
    @pytest.mark.parametrize(
        ("form", "passed"),
        [
            ({"field": "n", "operator": "greater", "value": "1"}, [{"n": 2}, {"n": 3}]),
            ({"field": "{{ data.n * 2 }}", "value": 4}, [{"n": 2}]),
            ({"field": "n", "value": "{{ data.n }}"}, [{"n": 1}, {"n": 2}, {"n": 3}]),
            ({"field": "missing", "operator": "is_not_empty"}, []),
        ],
    )
    async def test_what_fits_is_passed_on_as_it_is(self, form, passed):
        async with driven(Filter, form) as run:
            found = await given(run, {"n": 1}, {"n": 2}, {"n": 3})
        assert [data for data in found if data is not None] == passed

    async def test_a_pattern_that_is_none_is_refused(self):
        with pytest.raises(WorkflowInvalid, match=r"data\.form\.value"):
            async with driven(Filter, {"field": "n", "operator": "matches", "value": "("}):
                pass


class TestAggregate:
    FIGURES = {
        "total": "sum(price)",
        "mean": "average(price)",
        "low": "min(price)",
        "high": "max(price)",
        "begun": "first(at.day)",
        "ended": "last(at.day)",
        "priced": "count(price)",
        "all": "count",
    }

    async def test_every_figure_after_so_many_items_of_a_key(self):
        form = {"key": "shop", "figures": self.FIGURES, "count": 3}
        async with driven(Aggregate, form) as run:
            found = await given(
                run,
                {"shop": "a", "price": 1, "at": {"day": "mo"}},
                {"shop": "b", "price": 100},
                {"shop": "a", "price": "2.5", "at": {"day": "tu"}},
                {"shop": "a", "at": {"day": None}},
            )
            rest = await flushed(run, completing=True)
        assert found[:3] == [None, None, None]
        assert found[3] == {
            "key": "a", "count": 3, "total": 3.5, "mean": 1.75, "low": 1, "high": 2.5,
            "begun": "mo", "ended": "tu", "priced": 2, "all": 3,
        }  # fmt: skip
        assert [(row["key"], row["total"], row["begun"]) for row in rest] == [("b", 100, None)]

    async def test_the_time_ends_the_window_of_all_keys(self):
        form = {"key": "k", "figures": {"n": "sum(n)"}, "seconds": 60}
        async with driven(Aggregate, form) as run:
            assert run.node.flush_after == 60
            await given(run, {"k": 1, "n": 1}, {"k": "x", "n": 2}, {"k": 1, "n": 3})
            assert await flushed(run) == [
                {"key": 1, "count": 2, "n": 4},
                {"key": "x", "count": 1, "n": 2},
            ]
            assert run.node.state == {"groups": {}, "bytes": 0}
            await run.data({"k": 1, "n": 5})
            assert await flushed(run) == [{"key": 1, "count": 1, "n": 5}]

    async def test_without_a_key_all_items_count_together(self):
        async with driven(Aggregate, {"figures": {"n": "sum(n)"}}) as run:
            await given(run, {"n": 1}, {"n": 2})
            assert await flushed(run, completing=True) == [{"count": 2, "n": 3}]

    async def test_a_former_life_goes_on(self):
        form = {"key": "k", "figures": {"mean": "average(n)"}, "count": 3}
        async with driven(Aggregate, form) as run:
            await given(run, {"k": "a", "n": 1}, {"k": "a", "n": 2})
            state = run.node.state
        async with driven(Aggregate, form, state=state) as run:
            assert await run.data({"k": "a", "n": 6}) == {"key": "a", "count": 3, "mean": 3}

    @pytest.mark.parametrize(
        ("item", "message"),
        [({"n": 1}, "no key"), ({"k": "a", "n": "much"}, "'much' is no number")],
    )
    async def test_an_item_that_cannot_be_counted_fails_and_changes_nothing(self, item, message):
        async with driven(Aggregate, {"key": "k", "figures": {"n": "sum(n)"}}) as run:
            await run.data({"k": "a", "n": 1})
            before = run.node.state
            with pytest.raises(NodeFailed, match=message):
                await run.data(item)
            assert run.node.state == before

    async def test_there_is_room_for_many_keys_and_no_more(self):
        form = {"key": "k", "figures": {"n": "last(n)"}, "count": 3}
        async with driven(Aggregate, form) as run:
            with pytest.raises(NodeFailed, match="no room for more keys"):
                for number in range(2000):
                    await run.item({"k": f"key-{number}", "n": "x" * 20})
            assert len(run.node.state["groups"]) > 400
            assert run.node.state["bytes"] <= MAX_HELD
            await flushed(run, completing=True)
            assert run.node.state == {"groups": {}, "bytes": 0}

    @pytest.mark.parametrize(
        ("figures", "message"),
        [
            ({"n": "median(n)"}, "none of sum"),
            ({"n": "sum"}, "sum needs a field"),
            ({"count": "sum(n)"}, "is taken"),
            ({"n": 3}, "none of sum"),
        ],
    )
    async def test_figures_that_are_none_are_refused(self, figures, message):
        with pytest.raises(WorkflowInvalid, match=message):
            async with driven(Aggregate, {"figures": figures}):
                pass


class TestMerge:
    async def test_all_items_of_a_key_become_one(self):
        async with driven(Merge, {"key": "id", "count": 3}) as run:
            found = await given(
                run,
                {"id": 1, "a": 1},
                {"id": 2, "a": 9},
                {"id": 1, "b": 2},
                {"id": 1, "a": 3},
            )
            assert found == [
                None, None, None, {"id": 1, "a": 1, "id_2": 1, "b": 2, "id_3": 1, "a_2": 3},
            ]  # fmt: skip
            assert list(run.node.state) == ["2"]

    async def test_parts_stand_under_their_names_and_the_newest_counts(self):
        async with driven(Merge, {"key": "id", "part": "kind"}) as run:
            order, paid = {"id": 1, "kind": "order", "n": 1}, {"id": 1, "kind": "payment"}
            changed = {**order, "n": 2}
            assert await given(run, order, changed, paid) == [
                None, None, {"order": changed, "payment": paid},
            ]  # fmt: skip

    async def test_the_first_of_them_is_passed_on_and_the_others_are_dropped(self):
        async with driven(Merge, {"key": "id", "wait_for": "any"}) as run:
            items = [{"id": 1, "n": n} for n in range(4)]
            assert await given(run, *items) == [items[0], None, items[2], None]

    async def test_the_first_of_a_part_does_not_count_twice(self):
        async with driven(Merge, {"key": "id", "wait_for": "any", "part": "by"}) as run:
            items = [{"id": 1, "by": by} for by in ("a", "a", "b", "a")]
            assert await given(run, *items) == [items[0], None, None, items[3]]

    async def test_what_is_incomplete_goes_on_at_the_end(self):
        async with driven(Merge, {"key": "id"}) as run:
            await given(run, {"id": 1}, {"id": 2})
            assert await flushed(run) == []
            assert await flushed(run, completing=True) == [
                {"id": 1, "incomplete": True},
                {"id": 2, "incomplete": True},
            ]
            assert run.node.state == {}

    async def test_after_the_time_only_what_has_waited_so_long_goes_on(self):
        now = time.time()
        state = {
            "1": {"at": now - 100, "parts": [["", {"id": 1}]]},
            "2": {"at": now, "parts": [["", {"id": 2}]]},
        }
        async with driven(Merge, {"key": "id", "timeout": 60}, state=state) as run:
            assert run.node.flush_after == 60
            assert await flushed(run) == [{"id": 1, "incomplete": True}]
            assert list(run.node.state) == ["2"]

    async def test_a_key_whose_first_was_passed_on_is_forgotten_after_the_time(self):
        state = {"1": {"at": time.time() - 100, "parts": [""]}}
        form = {"key": "id", "wait_for": "any", "timeout": 60}
        async with driven(Merge, form, state=state) as run:
            assert await flushed(run) == []
            assert await run.data({"id": 1}) == {"id": 1}

    async def test_there_is_an_end_to_what_waits(self):
        async with driven(Merge, {"key": "id"}) as run:
            with pytest.raises(NodeFailed, match="no room for more"):
                for number in range(100):
                    await run.data({"id": number, "text": "x" * 1000})
            kept = run.node.state
            assert 40 < len(kept) < 50
            assert await run.data({"id": 0}) is not None

    @pytest.mark.parametrize("item", [{}, {"id": ""}, {"id": 1}])
    async def test_an_item_without_key_or_part_fails(self, item):
        async with driven(Merge, {"key": "id", "part": "kind"}) as run:
            with pytest.raises(NodeFailed, match="has no"):
                await run.data(item)


class TestRateLimit:
    async def test_items_pass_evenly(self):
        async with driven(RateLimit, {"limit": 20, "seconds": 1}) as run:
            begun = time.time()
            for number in range(5):
                await run.data({"n": number})
        assert time.time() - begun >= 4 * 0.05

    async def test_a_burst_passes_at_once_and_the_rest_is_dropped(self):
        form = {"limit": 1, "seconds": "1h", "burst": 3, "too_early": "drop"}
        async with driven(RateLimit, form) as run:
            found = await given(run, *({"n": n} for n in range(5)))
        assert found == [{"n": 0}, {"n": 1}, {"n": 2}, None, None]

    async def test_each_key_has_its_own(self):
        form = {"limit": 1, "seconds": "1h", "key": "shop", "too_early": "drop"}
        async with driven(RateLimit, form) as run:
            found = await given(run, {"shop": "a"}, {"shop": "b"}, {"shop": "a"}, {})
        assert found == [{"shop": "a"}, {"shop": "b"}, None, {}]

    async def test_a_former_life_counts(self):
        form = {"limit": 1, "seconds": "1h", "too_early": "drop"}
        async with driven(RateLimit, form) as run:
            await run.data({})
            state = run.node.state
        async with driven(RateLimit, form, state=state) as run:
            assert await run.data({}) is None

    async def test_a_clock_that_was_set_back_holds_nothing_up(self):
        state = {"": time.time() + 1e6}
        async with driven(RateLimit, {"limit": 50, "seconds": 1}, state=state) as run:
            async with asyncio.timeout(10):
                assert await run.data({"n": 1}) == {"n": 1}

    async def test_keys_are_forgotten_when_their_time_is_up(self):
        state = {"old": time.time() - 1, "due": time.time() + 1000}
        form = {"limit": 1, "seconds": "1h", "key": "k"}
        async with driven(RateLimit, form, state=state) as run:
            await run.data({"k": "new"})
            assert len(run.node.state) == 2 and "due" in run.node.state

    async def test_there_is_an_end_to_the_keys(self):
        state = {f"key-{n}": time.time() + 1000 + n for n in range(MAX_KEYS)}
        form = {"limit": 1, "seconds": "1h", "key": "k"}
        async with driven(RateLimit, form, state=state) as run:
            await run.data({"k": "new"})
            assert len(run.node.state) == MAX_KEYS
            assert "key-0" not in run.node.state

    async def test_on_the_bench_nothing_waits(self):
        context = RecordingContext(mode="bench")
        form = {"limit": 1, "seconds": "1h"}
        async with driven(RateLimit, form, context=context) as run:
            assert await given(run, {"n": 1}, {"n": 2}) == [{"n": 1}, {"n": 2}]
