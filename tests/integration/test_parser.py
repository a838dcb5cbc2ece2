"""What a client may send as JSON."""

import pytest

from orchestrator.api.parsers import MAX_BODY, MAX_CONTAINERS, parse_json
from orchestrator.exceptions import InvalidPayload, PayloadTooLarge


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        ('{"a": "é 😀 ]]]}"}'.encode(), {"a": "é 😀 ]]]}"}),
        (rb'{"a": "\"[[[\\"}', {"a": '"[[[\\'}),
        (rb'"\ud83d\ude00"', "😀"),
        (b"[" * 64 + b"]" * 64, None),
        (b"9007199254740991", 2**53 - 1),
        (b'["' + b"[" * 1000 + b'"]', ["[" * 1000]),
    ],
)
def test_strict_json_passes(body, value):
    parsed = parse_json(body)
    assert value is None or parsed == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"nope",
        b"NaN",
        b"[Infinity]",
        b"[-Infinity]",
        b"1e999",
        b"9007199254740993",
        b"1" * 5000,
        rb'"\ud800"',
        rb'{"\udfff": 1}',
        rb'"a\u0000b"',
        b'"a\x00b"',
        b'{"a": 1, "b": 2, "a": 3}',
        b'{"a": {"b": 1, "b": 1}}',
        b"\xff\xfe",
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b"[" * 65 + b"]" * 65,
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b"]" * 10,
        b'["unterminated',
        b'"' + rb"\"" * 500_000,
        b'"' + b"\\" * 1_000_001,
        b'{"a": 1} trailing',
        b"{'a': 1}",
    ],
)
def test_anything_else_is_refused(body):
    with pytest.raises(InvalidPayload):
        parse_json(body)


def test_a_body_has_a_limit():
    parse_json(b'"' + b"a" * (MAX_BODY - 2) + b'"')
    with pytest.raises(PayloadTooLarge):
        parse_json(b'"' + b"a" * (MAX_BODY - 1) + b'"')


def test_objects_and_lists_have_a_limit():
    fitting = b"[" + b",".join([b"{}"] * (MAX_CONTAINERS - 1)) + b"]"
    assert len(parse_json(fitting)) == MAX_CONTAINERS - 1
    with pytest.raises(InvalidPayload, match="objects and lists"):
        parse_json(fitting.replace(b"{}", b"{},{}", 1))
    assert parse_json(b'"' + b"[" * 300_000 + b'"')


def test_a_key_that_is_there_twice_is_named():
    with pytest.raises(InvalidPayload, match="'twice'"):
        parse_json(b'{"once": 1, "twice": 2, "twice": 3}')


@pytest.mark.parametrize("value", [rb'"a\u0000b"', rb'"\ud800"', b"9007199254740993"])
def test_a_value_that_is_refused_is_located(value):
    with pytest.raises(InvalidPayload) as refused:
        parse_json(b'{"nodes": [1, {"form": ' + value + b"}]}")
    assert [problem.path for problem in refused.value.problems] == ["nodes[1].form"]
