"""Every node's form as JSON and back: another UI needs nothing but the JSON."""

import json

import pytest
from jsonschema import Draft202012Validator

from forms.serializer import FormSerializer
from nodes.contract import NodeConfig
from orchestrator.runtime.engine import flow_engine

REQUIRED = {
    "data-transformer": {"fields": {"total": "{{ data.price * data.count }}", "n": 1}},
    "deduplicate": {"key": "{{ data.id }}"},
    "dynamic-delay": {"seconds": "1h 30m"},
    "file-reader": {"path": "in/orders.csv", "format": "csv", "delimiter": "\t"},
    "file-writer": {"path": "out.jsonl", "columns": ["a", "b"]},
    "filter": {"field": "total", "value": 10},
    "for-each": {"field": "lines"},
    "group": {"members": [{"name": "vat", "tool": "vat", "arguments": {"net": "{{ data.net }}"}}]},
    "http-poll": {
        "url": "https://example.org/",
        "cursor": "items",
        "cursor_field": "id",
        "cursor_param": "after",
    },
    "http-request": {
        "url": "https://example.org/{{ data.id }}",
        "json": {"a": 1},
        "text": "a",
        "file": "a.txt",
        "page_field": "next",
        "page_param": "page",
    },
    "if-condition": {"field": "total", "value": 10},
    "merge": {"key": "{{ data.id }}"},
    "parse-regex": {"pattern": "(?P<status>\\d{3})"},
    "place": {"country": "us", "state": "us-or", "city": "Portland", "with_population": True},
    "rate-limit": {"limit": 5},
    "redis-publish": {
        "address": "redis://redis.example.org:6379/0",
        "name": "news",
        "message": "{{ data }}",
    },
    "schedule": {"cron": "*/5 * * * *"},
    "sql-poll": {"file": "a.sqlite3", "sql": "SELECT * FROM t WHERE id > :cursor ORDER BY id"},
    "sql-query": {"file": "a.sqlite3", "sql": "SELECT 1"},
    "string-iterator": {"text": "a\n  b\n"},
    "switch": {"value": "{{ data.kind }}", "cases": {"a": "one", "b": 2}},
    "tool": {"tool": "vat", "arguments": {"net": "{{ data.net }}"}},
}
STORED = {"send-email", "sub-workflow", "webhook"}
"""What they must choose from is in the database, which these tests have not."""
WITH_FORM = [
    node.identifier
    for node in flow_engine().registry
    if node.form_class
    and not node.__module__.startswith("tests.")
    and node.identifier not in STORED
]


def through_json(value):
    return json.loads(json.dumps(value, allow_nan=False))


@pytest.mark.parametrize("node_type", WITH_FORM)
def test_a_form_goes_through_json_and_comes_back_the_same(node_type):
    node = flow_engine().registry.get(node_type)
    form_class = node.load_form()
    opened = through_json(FormSerializer(form_class).data)
    schema = through_json(FormSerializer(form_class).json_schema())
    Draft202012Validator.check_schema(schema)
    values = {field["name"]: field["value"] for field in opened["fields"]}
    assert values.keys() == schema["properties"].keys()

    values |= REQUIRED.get(node_type, {})
    errors = [error.message for error in Draft202012Validator(schema).iter_errors(values)]
    assert errors == []

    form = form_class(values)
    assert form.errors == {}
    serializer = FormSerializer(form)
    again = through_json(serializer.data)
    assert {field["name"]: field["value"] for field in again["fields"]} == values
    secret = {field["name"] for field in opened["fields"] if field["kind"] == "password"}
    assert serializer.values == {k: v for k, v in values.items() if k not in secret}
    assert node(NodeConfig(id="1", type=node_type, form=values)).validate() == []

    cleaned = through_json(serializer.cleaned)
    second = FormSerializer(form_class(cleaned))
    assert second.form.errors == {}
    assert second.cleaned == cleaned


@pytest.mark.parametrize("node_type", WITH_FORM)
def test_the_schema_refuses_what_is_no_field(node_type):
    schema = FormSerializer(flow_engine().registry.get(node_type).load_form()).json_schema()
    given = {**REQUIRED.get(node_type, {}), "no_such_field": 1}
    assert not Draft202012Validator(schema).is_valid(given)
