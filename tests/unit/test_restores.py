from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace

from orchestrator.models import Checkpoint
from orchestrator.runtime.checkpoints import surplus
from orchestrator.runtime.restores import choose

START = datetime(2026, 1, 1, tzinfo=UTC)
STATE = {"n": "1"}
SLACK = 10


def make_loops(**wiring):
    return {
        name: SimpleNamespace(id=name, reads=reads, writes=writes, replicas=1)
        for name, (reads, *writes) in wiring.items()
    }


LINE = make_loops(s=(None, "q"), r=("q",))


class Past:
    """Checkpoints of slots, written one after another."""

    def __init__(self):
        self.rows = {}
        self._count = 0

    def add(self, loop, at, sequence, oldest=None, states=STATE):
        self._count += 1
        row = Checkpoint(
            pk=self._count, loop=loop, slot=0, sequence=sequence, states=states,
            created_at=moment(at), oldest_at=moment(at if oldest is None else oldest),
        )  # fmt: skip
        self.rows.setdefault((loop, 0), []).append(row)

    def chosen(self, loop, loops=LINE):
        row = choose(self.rows, loops, (loop, 0), SLACK)
        return None if row is None else row.sequence


def moment(seconds):
    return START + timedelta(seconds=seconds)


def filled(stop=100, *, states=STATE, behind=20):
    """Return the past of a source and a reader, one item a second, `behind` seconds on its way."""
    past = Past()
    for at in range(0, stop, 5):
        past.add("s", at, at, max(0, at - behind))
        past.add("r", at, at, max(0, at - behind), states)
    return past


def test_a_source_goes_back_behind_the_oldest_item_on_its_way():
    past = filled(states={})
    assert past.chosen("s") == 95 - 20 - SLACK


def test_a_reader_without_state_takes_the_newest():
    past = filled(states={"effect:sink": "{}"})
    assert past.chosen("r") == 95


def test_a_reader_with_state_goes_back_and_the_source_further():
    past = filled()
    assert past.chosen("r") == 65
    assert past.chosen("s") == 65 - 20 - SLACK


def test_a_source_without_a_checkpoint_that_is_old_enough_begins_anew():
    past = filled(30, states={})
    assert past.chosen("s") is None


def test_a_source_begins_anew_when_nothing_is_known_of_what_its_reader_had():
    past = filled()
    del past.rows["r", 0]
    assert past.chosen("s") is None


def test_only_what_was_known_with_the_own_newest_counts():
    """What others write once they were restored says that nothing is on its way: it is lost."""
    past = filled()
    for at in range(100, 200, 5):
        past.add("r", at, at, at)
    assert past.chosen("s") == 65 - 20 - SLACK


def test_a_time_that_redis_has_lost_is_not_gone_back_to():
    past = filled(states={})
    past.add("s", 100, 65, 98)
    past.add("r", 100, 95, 98, {})
    assert past.chosen("s") == 65  # not 85, which is young enough
    past.add("s", 115, 80, 113)
    past.add("r", 115, 95, 113, {})
    assert past.chosen("s") == 65
    past.add("s", 130, 95, 128)
    past.add("r", 130, 95, 128, {})
    assert past.chosen("s") == 80


def test_further_upstream_each_loop_goes_back_further():
    loops = make_loops(s=(None, "q"), r=("q", "p"), t=("p",))
    past = Past()
    for at in range(0, 200, 5):
        for loop in loops:
            past.add(loop, at, at, max(0, at - 20))
    assert [past.chosen(loop, loops) for loop in "trs"] == [165, 135, 105]


def test_in_a_cycle_with_state_everything_begins_anew():
    loops = make_loops(s=(None, "q"), r=("q", "p"), t=("p", "q"))
    past = Past()
    for at in range(0, 200, 5):
        for loop in loops:
            past.add(loop, at, at, max(0, at - 20))
    assert [past.chosen(loop, loops) for loop in "trs"] == [None, None, None]


def test_surplus_rows_are_old_and_close_together():
    past = Past()
    for at in range(0, 3600, 5):
        past.add("s", at, at)
    rows = past.rows["s", 0]
    left = [row for row in rows if row not in surplus(rows)]
    assert len(left) < 60
    assert left[-8:] == rows[-8:]
    ages = [(rows[-1].created_at - row.created_at).total_seconds() for row in left]
    assert all(older - younger <= max(5, older / 4) for older, younger in pairwise(ages))


def test_three_rows_stay_and_what_a_slot_went_back_behind_goes():
    past = Past()
    for at, sequence in enumerate([10, 20, 30, 15, 16]):
        past.add("s", at * 0.001, sequence)
    rows = past.rows["s", 0]
    assert [row.sequence for row in surplus(rows)] == [20, 30]
    assert surplus(rows[:3]) == []
