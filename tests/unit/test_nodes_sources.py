"""counter, string-iterator and schedule."""

import asyncio
import time
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from nodes.builtin.schedule import Schedule, cron_due, interval_due
from nodes.builtin.sources import Counter, StringIterator
from nodes.contract import ExecutionCompleted
from nodes.testing import RecordingContext, driven
from orchestrator.exceptions import WorkflowInvalid


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        ({"stop": 10}, list(range(10))),
        ({"start": 5, "stop": 8}, [5, 6, 7]),
        ({"start": 3, "stop": 0, "step": -1}, [3, 2, 1]),
        ({"stop": 10, "step": 4}, [0, 4, 8]),
        ({"stop": 0}, []),
        ({"start": 2, "stop": 2}, []),
    ],
)
async def test_counter_counts_to_before_the_stop(form: dict[str, int], numbers: list[int]) -> None:
    async with driven(Counter, form) as run:
        assert [data["value"] for data in await run.all()] == numbers


async def test_counter_without_a_stop_does_not_end() -> None:
    async with driven(Counter, {"start": -1}) as run:
        assert [data["value"] for data in await run.all(limit=4)] == [-1, 0, 1, 2]


async def test_counter_goes_on_after_its_committed_cursor() -> None:
    async with driven(Counter, {"stop": 5}) as run:
        await run.all(limit=3)
        state = run.node.state
    async with driven(Counter, {"stop": 5}, state=state) as run:
        assert [data["value"] for data in await run.all()] == [3, 4]
        assert isinstance(await run.item(), ExecutionCompleted)


async def test_counter_cancelled_in_its_pause_has_not_counted() -> None:
    async with driven(Counter, {"interval": "1h"}) as run:
        await run.item()
        waiting = asyncio.create_task(run.item())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert run.node.state == {"next": 1}


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"step": 0}, "data.form.step"),
        ({"stop": "ten"}, "data.form.stop"),
        ({"interval": -1}, "data.form.interval"),
        ({"start": None}, "data.form.start"),
        ({"stop": "{{ data.x }}"}, "data.form.stop"),
        ({"until": 3}, "data.form.until"),
    ],
)
async def test_counter_says_which_setting_is_wrong(form: dict[str, object], path: str) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(Counter, form):
            pass
    assert [problem.path for problem in caught.value.problems] == [path]


async def test_string_iterator_emits_lines_and_skips_blank_ones() -> None:
    async with driven(StringIterator, {"text": "a\n\n {{ no template }} \nb"}) as run:
        found = await run.all()
    assert [data["line"] for data in found] == ["a", " {{ no template }} ", "b"]
    assert [data["index"] for data in found] == [0, 1, 2]


async def test_string_iterator_keeps_blank_lines_when_asked_and_resumes() -> None:
    form = {"text": "a\n\nb", "skip_blank": False}
    async with driven(StringIterator, form, state={"next": 1}) as run:
        assert [data["line"] for data in await run.all()] == ["", "b"]


def test_an_interval_ticks_at_once_then_steadily_and_once_for_what_was_missed() -> None:
    assert interval_due(None, 1000.0, 60) == 1000.0
    assert interval_due(1000.0, 1001.0, 60) == 1060.0
    assert interval_due(1000.0, 1060.0, 60) == 1060.0
    assert interval_due(1000.0, 1250.0, 60) == 1240.0
    assert interval_due(1000.0, 400.0, 60) == 1060.0  # the clock was set back


def test_cron_ticks_at_the_next_match_and_once_for_what_was_missed() -> None:
    noon = datetime(2024, 5, 1, 12, 0, tzinfo=UTC).timestamp()
    assert cron_due(None, noon + 1, "*/5 * * * *", UTC) == noon + 300
    assert cron_due(noon, noon + 1, "*/5 * * * *", UTC) == noon + 300
    assert cron_due(noon, noon + 300, "*/5 * * * *", UTC) == noon + 300
    assert cron_due(noon, noon + 1000, "*/5 * * * *", UTC) == noon + 900


def test_cron_is_read_in_its_time_zone() -> None:
    noon = datetime(2024, 7, 1, 12, 0, tzinfo=UTC).timestamp()
    due = cron_due(None, noon, "0 9 * * *", ZoneInfo("Europe/Berlin"))
    assert datetime.fromtimestamp(due, UTC) == datetime(2024, 7, 2, 7, 0, tzinfo=UTC)


async def test_schedule_emits_ticks_and_ends_after_so_many() -> None:
    async with driven(Schedule, {"interval": "10ms", "times": 3}) as run:
        found = await run.all()
    assert [data["count"] for data in found] == [1, 2, 3]
    ticks = [datetime.fromisoformat(data["scheduled_at"]) for data in found]
    assert ticks == sorted(set(ticks)) and all(tick.tzinfo is not None for tick in ticks)


async def test_schedule_resumes_with_the_tick_it_missed() -> None:
    last = time.time() - 3600
    form = {"cron": "* * * * *"}
    async with driven(Schedule, form, state={"count": 7, "last": last}) as run:
        data = await run.data()
    assert data is not None and data["count"] == 8
    tick = datetime.fromisoformat(data["scheduled_at"])
    assert tick.timestamp() > last and tick.second == 0


async def test_schedule_does_not_wait_on_the_bench() -> None:
    context = RecordingContext(mode="bench")
    async with driven(Schedule, {"cron": "0 0 1 1 *"}, context=context) as run:
        data = await run.data()
    assert data is not None and data["count"] == 1


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({}, "data.form.interval"),
        ({"interval": 1, "cron": "* * * * *"}, "data.form.cron"),
        ({"cron": "61 * * * *"}, "data.form.cron"),
        ({"cron": "0 0 30 2 *"}, "data.form.cron"),
        ({"interval": 0}, "data.form.interval"),
        ({"interval": 5, "timezone": "Mars/Olympus"}, "data.form.timezone"),
        ({"interval": 5, "timezone": "../../etc/passwd"}, "data.form.timezone"),
    ],
)
async def test_schedule_says_which_setting_is_wrong(form: dict[str, object], path: str) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(Schedule, form):
            pass
    assert path in [problem.path for problem in caught.value.problems]
