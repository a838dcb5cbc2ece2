"""data-transformer, parse-json, parse-regex, batch and deduplicate."""

from typing import Any

import pytest

from nodes.builtin.grouping import MAX_HELD, MAX_ITEM, Batch, Deduplicate, short_hash
from nodes.builtin.items import MAX_SCANNED, add_fields, field_reader, free_name
from nodes.builtin.transform import DataTransformer, ParseJson, ParseRegex
from nodes.testing import driven
from orchestrator.exceptions import NodeFailed, TemplateFailed, WorkflowInvalid


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert free_name("a", {"b": 1}) == "a"
    assert free_name("a", {"a": 1, "a_2": 1}) == "a_3"
    data = {"a": 1, "a_2": 2}
    assert add_fields(data, {"a": 3, "b": 4}) == {"a": 1, "a_2": 2, "a_3": 3, "b": 4}
    assert add_fields(data, {"c": 3}) == {"a": 1, "a_2": 2, "c": 3}
    assert data == {"a": 1, "a_2": 2}


def test_dots_lead_deeper_unless_the_field_is_named_so() -> None:
    data = {"a": {"b": [{"c": 1}]}, "a.b": 2, "n": None}
    found = [field_reader(path)(data) for path in ("a.b", "a.b.0.c", "a", "n.x", "a.x.y", "x")]
    assert found == [2, 1, {"b": [{"c": 1}]}, None, None, None]
    assert field_reader("l.1")({"l": [0]}) is None and field_reader("l.-1")({"l": [0]}) is None


async def test_transformer_adds_fields_that_keep_their_types() -> None:
    fields = {"total": "{{ data.price * data.count }}", "text": "{{ data.count }} pieces", "n": 5}
    async with driven(DataTransformer, {"fields": fields}) as run:
        assert await run.data({"price": 2.5, "count": 2}) == {
            "price": 2.5, "count": 2, "total": 5.0, "text": "2 pieces", "n": 5,
        }  # fmt: skip
        assert await run.data({"price": 1, "count": 1, "total": "mine"}) == {
            "price": 1, "count": 1, "total": "mine", "total_2": 1, "text": "1 pieces", "n": 5,
        }  # fmt: skip


async def test_transformer_takes_rows_and_never_renders_data() -> None:
    rows = [{"key": "copy", "value": "{{ data.text }}"}, {"key": "plain", "value": "as it is"}]
    async with driven(DataTransformer, {"fields": rows}) as run:
        data = await run.data({"text": "{{ 7 * 7 }}"})
        assert data == {"text": "{{ 7 * 7 }}", "copy": "{{ 7 * 7 }}", "plain": "as it is"}
        with pytest.raises(TemplateFailed, match="text"):
            await run.data({})


@pytest.mark.parametrize("fields", [None, {}, {"a": "{{ data. }}"}, {"a": "{% for %}"}, "x"])
async def test_transformer_says_what_is_wrong_with_its_fields(fields: Any) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(DataTransformer, {"fields": fields}):
            pass
    assert [problem.path for problem in caught.value.problems] == ["data.form.fields"]


async def test_parse_json_adds_the_fields_of_an_object() -> None:
    async with driven(ParseJson) as run:
        assert await run.data({"line": '{"a": 1, "line": 2}'}) == {
            "line": '{"a": 1, "line": 2}', "a": 1, "line_2": 2,
        }  # fmt: skip
        assert await run.data({"line": "[1]"}) == {"line": "[1]", "value": [1]}


async def test_parse_json_into_a_target() -> None:
    async with driven(ParseJson, {"field": "response.body", "target": "parsed"}) as run:
        data = await run.data({"response": {"body": '{"a": null}'}})
        assert data is not None and data["parsed"] == {"a": None}


@pytest.mark.parametrize("line", ["{", "", "NaN", '"\\u0000"', None, 5, {"a": 1}])
async def test_parse_json_fails_for_what_is_no_json_text(line: Any) -> None:
    async with driven(ParseJson) as run:
        with pytest.raises(NodeFailed, match="'line'"):
            await run.data({"line": line})


LOG = r'(?P<host>\S+) - - "(?P<verb>[A-Z]+) (?P<path>\S+)" (?P<status>\d{3})(?: (?P<size>\d+))?'


async def test_parse_regex_makes_fields_of_its_groups() -> None:
    async with driven(ParseRegex, {"pattern": LOG}) as run:
        data = await run.data({"line": 'x 10.0.0.1 - - "GET /a" 404', "status": "mine"})
    assert data == {
        "line": 'x 10.0.0.1 - - "GET /a" 404', "status": "mine",
        "host": "10.0.0.1", "verb": "GET", "path": "/a", "status_2": "404", "size": None,
    }  # fmt: skip


async def test_parse_regex_without_a_match_fails_or_passes_on() -> None:
    async with driven(ParseRegex, {"pattern": LOG}) as run:
        with pytest.raises(NodeFailed, match="does not match"):
            await run.data({"line": "nothing"})
    async with driven(ParseRegex, {"pattern": "(?P<n>[0-9]+)", "no_match": "pass"}) as run:
        assert await run.data({"line": "x"}) == {"line": "x", "matched": False}
        assert await run.data({"line": "7"}) == {"line": "7", "n": "7", "matched": True}


async def test_parse_regex_has_a_limit_on_the_text() -> None:
    async with driven(ParseRegex, {"pattern": "(?P<n>x)"}) as run:
        assert await run.data({"line": "x" * MAX_SCANNED})
        with pytest.raises(NodeFailed, match="are allowed"):
            await run.data({"line": "x" * (MAX_SCANNED + 1)})


@pytest.mark.parametrize("pattern", ["", "(", "no groups", "(unnamed)", "(?P<1>x)", "x" * 1001])
async def test_parse_regex_refuses_a_pattern_when_it_is_saved(pattern: str) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(ParseRegex, {"pattern": pattern}):
            pass
    assert [problem.path for problem in caught.value.problems] == ["data.form.pattern"]


async def test_a_pattern_keeps_its_spaces_and_braces() -> None:
    async with driven(ParseRegex, {"pattern": r" (?P<n>\{\{\d+\}\}) "}) as run:
        data = await run.data({"line": " {{12}} "})
    assert data == {"line": " {{12}} ", "n": "{{12}}"}


async def test_batch_holds_back_and_emits() -> None:
    async with driven(Batch, {"size": 2}) as run:
        assert await run.data({"n": 1}) is None
        held = run.node.state
        assert await run.data({"n": 2}) == {"items": [{"n": 1}, {"n": 2}], "count": 2}
        assert held["items"] == [{"n": 1}]  # replaced, not changed
        assert await run.data({"n": 3}) is None
        state = run.node.state
    async with driven(Batch, {"size": 2}, state=state) as run:
        assert await run.data({"n": 4}) == {"items": [{"n": 3}, {"n": 4}], "count": 2}
        assert await run.flush() is None


async def test_batch_flushes_the_rest_once() -> None:
    async with driven(Batch, {"size": 9, "timeout": "2s"}) as run:
        assert run.node.flush_after == 2
        assert await run.flush() is None
        await run.data({"n": 1})
        assert await run.flush() == {"items": [{"n": 1}], "count": 1}
        assert await run.flush() is None
    async with driven(Batch) as run:
        assert run.node.flush_after is None


async def test_batch_emits_before_its_state_is_too_large() -> None:
    async with driven(Batch, {"size": 1000}) as run:
        counts = [
            data["count"]
            for _ in range(100)
            if (data := await run.data({"text": "x" * 5000})) is not None
        ]
        assert counts and set(counts) == {MAX_HELD // 5011 + 1}
        assert await run.data({"text": "x" * 60_000}) is not None
        with pytest.raises(NodeFailed, match="too large"):
            await run.data({"text": "x" * MAX_ITEM})


async def test_deduplicate_by_a_field_and_by_a_template() -> None:
    async with driven(Deduplicate, {"key": "order.id"}) as run:
        found = [await run.data({"order": {"id": n}, "x": x}) for x, n in enumerate([1, "1", 1])]
        assert [data is not None for data in found] == [True, True, False]
        state = run.node.state
    async with driven(Deduplicate, {"key": "order.id"}, state=state) as run:
        assert await run.data({"order": {"id": 1}}) is None
    async with driven(Deduplicate, {"key": "{{ data.a }}-{{ data.b }}"}) as run:
        assert await run.data({"a": 1, "b": 2}) is not None
        assert await run.data({"a": 1, "b": 2, "c": 3}) is None
        assert await run.data({"a": 2, "b": 1}) is not None


@pytest.mark.parametrize("key", ["n", "{{ data.n }}"])
async def test_deduplicate_drops_no_item_without_a_key(key: str) -> None:
    async with driven(Deduplicate, {"key": key}) as run:
        for missing in (None, ""):
            with pytest.raises(NodeFailed, match="no key"):
                await run.data({"n": missing})
        assert await run.data({"n": 0}) is not None


async def test_deduplicate_forgets_the_oldest_keys() -> None:
    async with driven(Deduplicate, {"key": "n", "remember": 2}) as run:
        passed = [n for n in (1, 2, 1, 3, 1, 3) if await run.data({"n": n}) is not None]
    assert passed == [1, 2, 3, 1]


async def test_deduplicate_forgets_after_a_time() -> None:
    state = {short_hash(1): 0, short_hash(2): 2**40}
    async with driven(Deduplicate, {"key": "n", "ttl": "1h"}, state=state) as run:
        assert await run.data({"n": 1}) is not None
        assert await run.data({"n": 2}) is None
        assert list(run.node.state) == [short_hash(2), short_hash(1)]


async def test_deduplicate_state_stays_within_its_size() -> None:
    async with driven(Deduplicate, {"key": "n", "remember": 2000}) as run:
        for n in range(2100):
            assert await run.item({"n": n}) is not None
        assert len(run.node.state) == 2000


def test_a_hash_tells_types_apart_and_not_the_order_of_keys() -> None:
    assert short_hash({"a": 1, "b": 2}) == short_hash({"b": 2, "a": 1})
    assert len({short_hash(value) for value in (1, "1", True, None, [1], {"a": 1}, 1.5)}) == 7
