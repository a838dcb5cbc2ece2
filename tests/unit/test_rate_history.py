"""The rates of the last minutes, from totals that events bring."""

from orchestrator.runtime import rate_history
from orchestrator.runtime.rate_history import LENGTH, RateHistory


def stats(iterations, slot=0):
    return {"type": "node_stats", "loop": "1", "slot": slot, "iterations": iterations}


def history(*totals, workflow="w"):
    """Return a history to which one total came before each tick, two seconds apart."""
    rates = RateHistory()
    rates.tick(0.0)
    for number, total in enumerate(totals, start=1):
        if total is not None:
            rates.take(workflow, stats(total))
        rates.tick(2.0 * number)
    return rates


def test_what_was_counted_before_anybody_listened_is_no_rate():
    assert history(1000, 1010, 1030).all() == {"w": [5.0, 10.0]}


def test_a_pause_is_zero_and_old_rates_go():
    assert history(0, 4, None, 8).all() == {"w": [2.0, 0, 2.0]}
    assert len(history(*range(0, 1000, 2)).all()["w"]) == LENGTH


def test_what_has_done_nothing_for_so_long_is_forgotten():
    assert history(0, 4, *[None] * LENGTH).all() == {}
    assert history(0, 4, *[None] * LENGTH, 6).last() == {"w": 1.0}


def test_a_loop_that_starts_again_counts_from_zero():
    assert history(100, 110, 6).all() == {"w": [5.0, 3.0]}


def test_slots_add_up():
    rates = history(0)
    rates.take("w", stats(10))
    rates.take("w", stats(5, slot=1))
    rates.take("w", stats(25, slot=1))
    rates.tick(4.0)
    assert rates.last() == {"w": 15.0}


def test_an_interruption_leaves_a_hole():
    rates = history(0, 4)
    rates.interrupt()
    for seconds in (6.0, 8.0):
        rates.tick(seconds)
    rates.resume()
    rates.tick(10.0)
    rates.take("w", stats(1000))
    rates.take("w", stats(1004))
    rates.tick(12.0)
    assert rates.all() == {"w": [2.0, None, None, None, 2.0]}


def test_there_is_a_limit_to_what_is_kept(monkeypatch):
    monkeypatch.setattr(rate_history, "MAX_WORKFLOWS", 2)
    rates = RateHistory()
    for name in "abc":
        rates.take(name, stats(0))
        rates.take(name, stats(4))
    rates.tick()
    assert list(rates.all()) == ["b", "c"]


def test_other_events_tell_nothing():
    rates = RateHistory()
    rates.take("w", {"type": "node_completed", "iterations": 5})
    rates.take("w", {"type": "node_stats", "iterations": "5"})
    rates.tick()
    assert rates.all() == {}
