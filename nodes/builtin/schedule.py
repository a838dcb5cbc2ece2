"""The schedule producer: every so many seconds, or by a cron expression."""

import asyncio
import time
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from croniter import croniter

from nodes.base import ProducerNode
from nodes.contract import ExecutionCompleted, NodeContext, NodeOutput

LONGEST_SLEEP = 60.0
"""Seconds; a long wait looks at the clock again, because clocks are set."""


def interval_due(last: float | None, now: float, interval: float) -> float:
    """Return when the next tick is due; the first at once, the latest of those missed."""
    if last is None:
        return now
    missed = (now - last) // interval
    return last + max(missed, 1) * interval


def cron_due(last: float | None, now: float, expression: str, zone: tzinfo) -> float:
    """Return when the next tick is due: the latest of those missed since `last`, or the next."""
    moment = datetime.fromtimestamp(now, zone)
    if last is not None:
        # `get_prev` leaves out the very moment it is asked at.
        present = moment + timedelta(milliseconds=1)
        previous = float(croniter(expression, present).get_prev(datetime).timestamp())
        if previous > last:
            return previous
    return float(croniter(expression, moment).get_next(datetime).timestamp())


class Schedule(ProducerNode):
    """Emits an item at each tick. Ticks that were missed, while the loop was busy or stopped, give
    one item for the latest of them. On the bench the tick is now.

    The cursor is the time of the last tick and the count of items.
    """

    identifier = "schedule"
    label = "Schedule"
    description = "Emits an item every so many seconds, or whenever a cron expression matches."
    icon = "clock"
    category = "sources"
    form_class = "nodes.builtin.schedule_forms.ScheduleForm"

    async def setup(self) -> None:
        values = self.values
        self._interval: float = values["interval"] or LONGEST_SLEEP
        self._cron = str(values["cron"] or "")
        name = str(values["timezone"])
        self._zone: tzinfo = UTC if name == "UTC" else ZoneInfo(name)
        self._times: int | None = values["times"]
        self._started = time.time()

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput | ExecutionCompleted:
        count: int = 0 if self.state is None else self.state["count"]
        if self._times is not None and count >= self._times:
            return ExecutionCompleted()
        due = time.time()
        if context.mode != "bench":
            due = self._due(due)
            await sleep_until(due)
        self.state = {"count": count + 1, "last": due}
        scheduled_at = datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds")
        return item.with_data({"scheduled_at": scheduled_at, "count": count + 1})

    def _due(self, now: float) -> float:
        last: float | None = None if self.state is None else self.state["last"]
        if self._cron:
            return cron_due(self._started if last is None else last, now, self._cron, self._zone)
        return interval_due(last, now, self._interval)


async def sleep_until(due: float) -> None:
    """Wait until the clock says so, also when it is set meanwhile."""
    left = due - time.time()
    while left > 0:
        await asyncio.sleep(min(left, LONGEST_SLEEP))
        left = due - time.time()
