from types import SimpleNamespace

import pytest

from orchestrator.runtime.watermarks import Sight, Watermarks
from storage.records import inbox


def make_loops(**wiring):
    """Make loops from `name=(reads, *writes)`."""
    return {
        name: SimpleNamespace(id=name, reads=reads, writes=writes)
        for name, (reads, *writes) in wiring.items()
    }


LINE = make_loops(s=(None, "q1"), r=("q1", "q2"), t=("q2",))


def look(marks, at, loops=LINE, late=(), dead_since=None, **heads):
    names = {q for loop in loops.values() for q in (*loop.writes, inbox(loop.id))}
    seen = {name: heads.get(name) for name in names}
    sight = Sight(at=at, heads=seen, late=frozenset(late), dead_since=dead_since)
    return marks.look(sight, loops)


def test_nothing_on_the_way_is_as_old_as_the_look():
    assert look(Watermarks(), 100.0) == 100.0


def test_what_was_there_before_the_first_look_is_as_old_as_what_was_known_last():
    assert look(Watermarks(70.0), 100.0, q1=90.0) == 70.0
    assert look(Watermarks(), 100.0, q1=90.0) == 0.0


def test_a_first_queue_is_as_old_as_its_oldest_entry():
    marks = Watermarks(margin=5)
    for at in range(100, 200, 5):
        oldest = look(marks, float(at), q1=at - 31.0)
    assert oldest == 155.0  # the last look that is a margin before 195 - 31


def test_what_a_second_queue_holds_is_as_old_as_what_it_came_from():
    marks = Watermarks(margin=5)
    for at in range(100, 200, 5):
        look(marks, float(at), q1=at - 31.0)
    # The first queue was emptied just now; its items are in the second, however they lie there.
    assert look(marks, 200.0, q2=199.0) == 150.0  # as of 190, a margin before they were put there
    assert look(marks, 205.0, q2=199.0) == 150.0
    assert look(marks, 210.0, q2=209.0) == 200.0
    assert look(marks, 215.0) == 215.0


def test_what_passed_several_queues_since_the_last_look_is_as_old_as_in_the_first():
    loops = make_loops(s=(None, "q1"), r=("q1", "q2"), t=("q2", "q3"), u=("q3",))
    marks = Watermarks(margin=5)
    for at in range(100, 200, 5):
        look(marks, float(at), loops, q1=at - 31.0)
    assert look(marks, 200.0, loops, q3=199.0) == 150.0


@pytest.mark.parametrize("put", [{"q2": 149.0}, {inbox("r"): 149.0}])
def test_what_waited_to_be_tried_again_is_as_old_as_before_it_waited(put):
    marks = Watermarks(margin=5)
    look(marks, 100.0)
    for at in (105.0, 125.0, 145.0):
        assert look(marks, at, late=["r"]) == 100.0
    assert look(marks, 150.0, **put) == 100.0
    assert look(marks, 155.0) == 155.0


def test_a_dead_letter_in_the_outbox_is_on_its_way():
    marks = Watermarks(margin=5)
    look(marks, 100.0)
    look(marks, 105.0)
    assert look(marks, 110.0, dead_since=108.0) == 100.0


def test_of_two_writers_the_one_further_behind_counts():
    loops = make_loops(s=(None, "q1"), r=("q1", "q2"), fresh=(None, "q2"), t=("q2",))
    marks = Watermarks(margin=5)
    for at in range(100, 200, 5):
        look(marks, float(at), loops, q1=at - 31.0)
    assert look(marks, 200.0, loops, q2=199.0) == 150.0


def test_a_cycle_is_as_old_as_when_it_was_last_empty():
    loops = make_loops(s=(None, "q1"), r=("q1", "q1"))
    marks = Watermarks(margin=5)
    look(marks, 100.0, loops)
    for at in range(105, 200, 5):
        assert look(marks, float(at), loops, q1=at - 1.0) in (100.0, 0.0)
    assert look(marks, 205.0, loops) == 205.0


def test_a_queue_that_nobody_reads_is_on_its_way():
    loops = make_loops(s=(None, "q1"))
    marks = Watermarks(margin=5)
    look(marks, 100.0, loops)
    assert look(marks, 200.0, loops, q1=106.0) == 100.0


def test_long_histories_are_kept_short():
    marks = Watermarks(margin=5)
    for at in range(5000):
        oldest = look(marks, float(at), q1=100.0)
    assert len(marks._looks) <= 1000
    assert 0 <= oldest <= 95.0
