"""Preview of a template, and the paths that an input offers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms.paths import MAX_ELEMENTS, paths
from forms.preview import MAX_NAMES, MAX_VALUE, preview
from forms.templating import compile_template

DATA = {
    "name": "Ada",
    "order": {"id": 7, "items": [{"sku": "x"}, {"sku": "y"}], "paid": True},
    "a b": {"größe": 1.5, 'q"\\': None},
}


@pytest.mark.parametrize(
    ("source", "value", "kind", "text"),
    [
        ("{{ data.order.id }}", 7, "number", "7"),
        ("{{ data.order.paid }}", True, "boolean", "True"),
        ("{{ data['a b']['größe'] }}", 1.5, "number", "1.5"),
        ("{{ data['a b'].missing|default(none) }}", None, "null", "None"),
        ("{{ data.order['items'] }}", [{"sku": "x"}, {"sku": "y"}], "list", None),
        ("{{ data.order }}", DATA["order"], "object", None),
        ("Dear {{ data.name }}", "Dear Ada", "text", "Dear Ada"),
        ("plain", "plain", "text", "plain"),
        ("", "", "text", ""),
    ],
)
def test_shows_the_value_and_its_type(source, value, kind, text):
    shown = preview(source, DATA)
    assert shown["ok"] is True and shown["truncated"] is False
    assert (shown["value"], shown["type"]) == (value, kind)
    assert shown["text"] == (text if text is not None else str(value))


def test_what_it_shows_is_bounded():
    shown = preview("{{ data.x }}", {"x": "a" * MAX_VALUE * 3})
    assert shown["truncated"] is True
    assert shown["value"] == shown["text"] == "a" * MAX_VALUE
    shown = preview("{{ data.x }}", {"x": [1] * MAX_VALUE})
    assert (shown["truncated"], shown["value"], shown["type"]) == (True, None, "list")
    assert len(shown["text"]) == MAX_VALUE


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("{{ name }}", 1, 4, "write data.name"),
        ("a\n {{ data.name|format }}", 2, 15, "not allowed"),
        ("{{ data.name", 1, 9, "end of template"),
        ("\n{% for x in data %}{% endfor %}", 2, 4, "advanced_templates"),
        ("{{ data.nope }}", 1, 8, "'nope' is missing"),
        ("{{ data.name }}\n{{ data.name|upper ~ data.order.nope.deeper }}", 2, 37, "missing"),
        ("{% if data.order.id > data.nope %}{% endif %}", 1, 17, "'nope' is missing"),
        ("{% if data.name %}\r\n  {{ 1 // 0 }}{% endif %}", 2, 6, "zero"),
        ("x {{ data.name + 1 }}", 1, 6, "use ~"),
    ],
)
def test_says_what_fails_and_where(source, line, column, words):
    shown = preview(source, DATA)
    assert shown["ok"] is False
    assert words in shown["error"]["message"]
    assert (shown["error"]["line"], shown["error"]["column"]) == (line, column)
    assert shown["names"]


def test_names_what_there_is_at_the_place_that_failed():
    assert preview("{{ data.nope }}", DATA)["names"][:3] == [
        "data.name",
        "data.order",
        'data["a b"]',
    ]
    names = preview("{{ data.order['items'][1].nope }}", DATA)["names"]
    assert names == ["data.order.items[1].sku"]
    names = preview("{{ (data.order['items']|last).nope }}", DATA)["names"]
    assert names == ["data.order.items[1].sku"]
    assert preview("{{ data.nope }}", {})["names"] == []
    many = {f"k{n}": n for n in range(MAX_NAMES * 2)}
    assert len(preview("{{ data.nope }}", many)["names"]) == MAX_NAMES


def test_a_loop_is_shown_where_it_is_allowed():
    source = "{% for item in data.order['items'] %}{{ loop.index }}{{ item.sku }}{% endfor %}"
    assert preview(source, DATA)["ok"] is False
    assert preview(source, DATA, advanced=True)["value"] == "1x2y"
    failed = preview(source.replace("sku", "nope"), DATA, advanced=True)
    assert failed["error"]["column"] == source.index(".sku") + 1
    assert failed["names"] == ["data.order.items[0].sku"]


@pytest.mark.parametrize("source", [None, 5, b"x", [], {}, "\ud800", "{{ '\ud800' }}", "{{" * 9000])
@pytest.mark.parametrize("data", [None, 5, [], {"x": {1}}, {"x": object()}, {1: 2}])
def test_nothing_raises(source, data):
    json.dumps(preview(source, data))
    json.dumps(preview("{{ data.x }}", data))
    json.dumps(preview("{{ data }} {{ data.x ~ data }}", data))
    json.dumps(paths(data))


@given(st.text(alphabet="{}%#'\"()[]|. dataxif\n\\0123=+~*", max_size=60), st.booleans())
def test_any_text_is_shown_or_explained(source, advanced):
    shown = preview(source, DATA, advanced)
    assert shown["ok"] or shown["error"]["line"] >= 1


def test_paths_breadth_first():
    assert paths(DATA) == [
        {"path": "data.name", "type": "text", "sample": "Ada"},
        {"path": "data.order", "type": "object", "sample": "3 fields"},
        {"path": 'data["a b"]', "type": "object", "sample": "2 fields"},
        {"path": "data.order.id", "type": "number", "sample": "7"},
        {"path": "data.order.items", "type": "list", "sample": "2 elements"},
        {"path": "data.order.paid", "type": "boolean", "sample": "true"},
        {"path": 'data["a b"]["größe"]', "type": "number", "sample": "1.5"},
        {"path": r'data["a b"]["q\"\\"]', "type": "null", "sample": "null"},
        {"path": "data.order.items[0]", "type": "object", "sample": "1 fields"},
        {"path": "data.order.items[1]", "type": "object", "sample": "1 fields"},
        {"path": "data.order.items[0].sku", "type": "text", "sample": "x"},
        {"path": "data.order.items[1].sku", "type": "text", "sample": "y"},
    ]


def test_paths_are_bounded():
    assert len(paths({str(n): n for n in range(1000)})) == 500
    assert len(paths({"x": list(range(1000))})) == 1 + MAX_ELEMENTS
    deep = value = {}
    for _ in range(5000):
        value["a"] = value = {}
    assert len(paths(deep, limit=100)) == 100
    [found] = paths({"x": "a\n" * 1000, "y" * 1000: 1, "__class__": 1})
    assert (found["path"], len(found["sample"])) == ("data.x", 60)


json_values = st.recursive(
    st.none() | st.integers(-99, 99) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=3))
def test_every_path_can_be_written_in_a_template(data):
    samples = {"object": dict, "list": list, "number": int, "text": str, "null": type(None)}
    for found in paths(data):
        value = compile_template("{{ " + found["path"] + " }}")(data)
        assert type(value) is samples[found["type"]]
        if isinstance(value, int):
            assert found["sample"] == str(value)
