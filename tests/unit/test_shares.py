"""Who takes which slot, and who gives one back."""

from collections import Counter
from types import SimpleNamespace

import pytest

from orchestrator.runtime.shares import Offers, Peer, choose, surplus


def peer(id, *labels, **what):
    return Peer(id=id, labels=frozenset(labels), **what)


def slots(*labels, count=1):
    return [SimpleNamespace(key=f"{labels}/{n}", runs_on=labels) for n in range(count)]


@pytest.mark.parametrize(
    ("peers", "counts", "chosen"),
    [
        ([], {}, None),
        ([peer("a"), peer("b", "eu")], {}, None),
        ([peer("a"), peer("b", "gpu", "eu")], {"b": 9}, "b"),
        ([peer("a", "gpu"), peer("b", "gpu")], {"a": 1}, "b"),
        ([peer("a", "gpu"), peer("b", "gpu")], {}, "a"),
        ([peer("a", "gpu", load=1.2), peer("b", "gpu")], {"b": 9}, "b"),
        ([peer("a", "gpu", load=1.2), peer("b", "gpu", load=3.0)], {"a": 1}, "b"),
        ([peer("a", "gpu", draining=True), peer("b", "gpu")], {"b": 9}, "b"),
        ([peer("a", "gpu", draining=True)], {}, None),
    ],
    ids=[
        "nobody", "no label", "all labels", "fewest slots", "by name", "busy", "all busy",
        "leaving", "only one that leaves",
    ],
)  # fmt: skip
def test_a_slot_falls_to_the_fitting_runner_with_the_fewest(peers, counts, chosen):
    assert choose(["gpu"], peers, Counter(counts)) == chosen


def test_every_runner_comes_to_the_same_answer():
    peers = [peer("a", "gpu"), peer("b"), peer("c", "gpu", "eu")]
    free = [*slots(count=5), *slots("gpu", count=3), *slots("eu", "gpu", count=2)]
    parts = [Offers().mine(each.id, free, peers, Counter()) for each in peers]
    assert sorted(key for part in parts for key in part) == sorted(slot.key for slot in free)
    assert [len(part) for part in parts] == [4, 3, 3]


def test_what_asks_for_most_is_placed_first():
    """Otherwise what fits everywhere takes the place of what fits here alone."""
    peers = [peer("a"), peer("b", "gpu")]
    free = [*slots(count=2), *slots("gpu", count=2)]
    mine = Offers().mine("b", free, peers, Counter())
    assert mine == [slot.key for slot in slots("gpu", count=2)]


@pytest.mark.parametrize(
    ("counts", "gone"),
    [({"a": 4}, 2), ({"a": 4, "b": 2}, 1), ({"a": 4, "b": 3}, 0), ({"a": 4, "b": 5}, 0)],
    ids=["nothing", "two fewer", "one fewer", "more"],
)
def test_what_is_given_back_goes_to_a_runner_with_two_fewer(counts, gone):
    held = slots(count=4)
    assert len(surplus(held, "a", [peer("a"), peer("b")], Counter(counts))) == gone


def test_nothing_is_given_back_that_no_other_runner_fits():
    others = [peer("b"), peer("c", "gpu", draining=True)]
    held = slots("gpu", count=4)
    assert surplus(held, "a", [peer("a", "gpu"), *others], Counter(a=4)) == []


@pytest.mark.parametrize(
    ("mine", "other", "gone"),
    [(0.5, 1.2, 0), (1.2, 0.5, 2), (1.2, 3.0, 2)],
    ids=["the other is busy", "this one is busy", "both are"],
)
def test_nothing_is_given_back_that_would_come_straight_back(mine, other, gone):
    """What is free falls to a machine that is not busy, however many slots it has."""
    peers = [peer("a", load=mine), peer("b", load=other)]
    held = slots(count=4)
    going = surplus(held, "a", peers, Counter(a=4))
    assert len(going) == gone
    free = [slot for slot in held if slot.key in going]
    assert Offers().mine("a", free, peers, Counter(a=4 - gone)) == []
