"""A snapshot comes back as it was or not at all, and changes tell two states apart."""

import json
import math
from dataclasses import replace

import pytest

from orchestrator.exceptions import InvalidPayload, PayloadTooLarge
from orchestrator.execution import checkpoints
from orchestrator.execution.checkpoints import Snapshot, changes, decode, encode

WHOLE = Snapshot(
    digest="d",
    state={"x": [1, 2.5, None, True], 'é\n"}': {"deep": {}}},
    pending=[{"node": "b", "data": {"x": 1}}, {"node": "c", "data": None}],
    joins={"j": {0: {"x": 1}, 3: None}},
    completed={"a": 2},
    results={"a": {"x": 1}},
    channel={"k": [1]},
    steps=7,
    budgets={"e": 3},
    flags={"round": 1},
)


def test_a_snapshot_comes_back_as_it_was():
    assert decode(encode(WHOLE)) == WHOLE
    assert decode(encode(Snapshot(digest="", state={}))) == Snapshot(
        digest="", state={}, pending=[]
    )


def test_it_is_json_with_its_checksum():
    value = json.loads(encode(WHOLE))
    assert sorted(value) == ["sha256", "snapshot"]
    assert value["snapshot"]["version"] == 1


def test_a_torn_checkpoint_is_refused_wherever_it_is_cut():
    body = encode(WHOLE)
    for length in range(len(body)):
        with pytest.raises(InvalidPayload):
            decode(body[:length])


def test_a_checkpoint_in_which_any_byte_is_another_is_refused():
    body = encode(WHOLE)
    for place in range(len(body)):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(InvalidPayload):
            decode(changed)


def test_a_checkpoint_with_more_behind_it_is_refused():
    with pytest.raises(InvalidPayload):
        decode(encode(WHOLE) + b"}")


def test_another_version_is_refused():
    with pytest.raises(InvalidPayload, match="version 2, not 1"):
        decode(encode(replace(WHOLE, version=2)))


@pytest.mark.parametrize("value", [math.inf, {1}, object(), "\0", (lambda: 1)])
def test_what_is_not_json_makes_no_checkpoint(value):
    with pytest.raises(InvalidPayload):
        encode(Snapshot(digest="d", state={"v": value}))


def test_a_checkpoint_has_a_limit(monkeypatch):
    monkeypatch.setattr(checkpoints, "MAX_BYTES", 500)
    with pytest.raises(PayloadTooLarge):
        encode(Snapshot(digest="d", state={"v": "x" * 500}))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"a": 1}, {"a": 1}, []),
        ({}, {"a": 1}, [{"path": "a", "op": "add", "after": 1}]),
        ({"a": 1}, {}, [{"path": "a", "op": "remove", "before": 1}]),
        ({"a": 1}, {"a": 2}, [{"path": "a", "op": "change", "before": 1, "after": 2}]),
        ({"a": None}, {}, [{"path": "a", "op": "remove", "before": None}]),
        ({"a": 1}, {"a": True}, [{"path": "a", "op": "change", "before": 1, "after": True}]),
        (
            {"a": {"b": [1, {"c": 1}]}},
            {"a": {"b": [1, {"c": 2}]}},
            [{"path": "a.b[1].c", "op": "change", "before": 1, "after": 2}],
        ),
        ({"a": [1]}, {"a": [1, 2]}, [{"path": "a[1]", "op": "add", "after": 2}]),
        ({"a": [1, 2]}, {"a": [1]}, [{"path": "a[1]", "op": "remove", "before": 2}]),
        ({"a": []}, {"a": {}}, [{"path": "a", "op": "change", "before": [], "after": {}}]),
        ({}, {"a.b": 1}, [{"path": '["a.b"]', "op": "add", "after": 1}]),
        ({"a": {}}, {"a": {"": 1}}, [{"path": 'a[""]', "op": "add", "after": 1}]),
        (1, 2, [{"path": "", "op": "change", "before": 1, "after": 2}]),
    ],
)
def test_changes(before, after, expected):
    assert changes(before, after) == expected


def test_changes_come_in_the_order_of_the_keys():
    found = changes({"b": 1, "a": 1}, {"z": 1, "a": 2})
    assert [(change["op"], change["path"]) for change in found] == [
        ("remove", "b"),
        ("change", "a"),
        ("add", "z"),
    ]
