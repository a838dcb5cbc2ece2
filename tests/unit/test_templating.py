"""Templates: what they give, what they refuse, and that they stay small and short."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2.environment import Template

from forms import environment
from forms.functions import FILTERS, METHODS
from forms.limits import MAX_OUTPUT
from forms.syntax import MAX_DEPTH, MAX_NODES, MAX_SOURCE
from forms.templating import compile_condition, compile_template, is_template, parse_template
from orchestrator.exceptions import TemplateFailed, TemplateInvalid

DATA = {
    "name": "Ada",
    "price": 2.5,
    "count": 4,
    "paid": True,
    "nothing": None,
    "tags": ["a", "b"],
    "items": [{"sku": "x"}],
    "customer": {"mail": "ada@example.org"},
    "_id": 7,
}


def render(source, data=DATA):
    return compile_template(source)(data)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("plain", "plain"),
        ("", ""),
        ("Hello {{ data.name }}!", "Hello Ada!"),
        ("{{ data.name|upper }} {{ data.name.lower() }}", "ADA ada"),
        ("{% if data.count > 3 %}many{% elif data.count %}few{% else %}none{% endif %}", "many"),
        ("{{ data.name ~ '-' ~ data.count }}", "Ada-4"),
        ("{{ data.name + '!' }}", "Ada!"),
        ("{{ data['customer']['mail'] }}", "ada@example.org"),
        ("{{ data.missing|default('none') }}", "none"),
        ("{{ data.tags|join(', ') }}", "a, b"),
        ("{{ data.tags|tojson }} ", '["a","b"] '),
        ("{% raw %}{{ data.name }}{% endraw %}", "{{ data.name }}"),
        ("line\n", "line\n"),
        ("{# a remark #}x", "x"),
        ("{{ 'a' if data.paid }}.", "a."),
        ("{{ 'a' if not data.paid }}.", "."),
    ],
)
def test_gives_a_text(source, expected):
    assert render(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ data.count }}", 4),
        ("{{ data.price * data.count }}", 10.0),
        ("{{ data.paid }}", True),
        ("{{ data.nothing }}", None),
        ("{{ data.tags }}", ["a", "b"]),
        ("{{ data.tags + ['c'] }}", ["a", "b", "c"]),
        ("{{ data.tags[1:] }}", ["b"]),
        ("{{ data.customer }}", {"mail": "ada@example.org"}),
        ("{{ data.items.0.sku }}", "x"),
        ("{{ data._id }}", 7),
        ("{{ data.count > 3 and 'a' in data.tags }}", True),
        ("{{ data.name in ('Ada', 'Bob') }}", True),
        ("{{ {'who': data.name, 'n': (1, 2)} }}", {"who": "Ada", "n": [1, 2]}),
        ("{{ data.customer.items() }}", [["mail", "ada@example.org"]]),
        ("{{ data.get('other', 1) }}", 1),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ data.tags|length }}", 2),
        ("{{ '12'|int + 1 }}", 13),
        ("{{ data.price|round(1) }}", 2.5),
        ("{{ [3, 1, 2]|sort(reverse=true) }}", [3, 2, 1]),
        ("{{ data.count is even }}", True),
        ("{{ data.missing is defined }}", False),
        ("{{ 2 ** 10 }}", 1024),
        ("{{ '%1000000000d' is odd }}", False),
    ],
)
def test_one_expression_keeps_its_type(source, expected):
    value = render(source)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize("text", ["[1, 2]", "5", "None", "__import__('os')", "{'a': 1}", "true"])
def test_a_text_is_never_evaluated(text):
    assert render("{{ data.x }}", {"x": text}) == text
    assert render("<{{ data.x }}>", {"x": text}) == f"<{text}>"


@pytest.mark.parametrize(
    "hostile", ["{{ 7 * 7 }}", "{% raw %}", "{{ data.secret }}", "{# x #}", "{{ secrets }}"]
)
def test_is_rendered_once(hostile):
    data = {"x": hostile, "secret": "canary"}
    assert render("{{ data.x }}", data) == hostile
    assert render("a {{ data.x }} {{ data.x|string }}", data) == f"a {hostile} {hostile}"
    assert render("{{ data.x ~ '' }}", data) == hostile


SSTI = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ data.__class__ }}",
    "{{ data['__class__'] }}",
    "{{ data.name['__class__'] }}",
    "{{ data.name|attr('__class__') }}",
    "{{ data.name[('__cla' ~ 'ss__')] }}",
    "{{ data.name['__cla' + 'ss__'] }}",
    "{{ data.name.upper.__self__ }}",
    "{{ data.name.upper }}",
    "{{ data.get }}",
    "{{ (data.name.upper).__func__ }}",
    "{{ self }}",
    "{{ self.__init__.__globals__ }}",
    "{{ config }}",
    "{{ request.application }}",
    "{{ settings.SECRET_KEY }}",
    "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ joiner() }}",
    "{{ namespace(a=1) }}",
    "{{ dict(a=1) }}",
    "{{ range }}",
    "{{ range.__class__ }}",
    "{{ range(2).__class__ }}",
    "{{ '{0.__class__}'.format(data) }}",
    "{{ '{a.__class__}'.format_map(data) }}",
    "{{ '%s'|format(data) }}",
    "{{ '%s' % data.name }}",
    "{{ data.name.format() }}",
    "{{ data.name.encode() }}",
    "{{ data.tags.append('c') }}",
    "{{ data.tags.clear() }}",
    "{{ data.update({'a': 1}) }}",
    "{{ data.pop('name') }}",
    "{{ data.setdefault('z', 1) }}",
    "{{ data.tags|map('upper')|list }}",
    "{{ data.tags|map(attribute='__class__')|list }}",
    "{{ data.tags|sort(attribute='__class__') }}",
    "{{ data.tags|groupby('__class__') }}",
    "{{ data.tags|selectattr('__class__')|list }}",
    "{{ data.tags|sum(attribute='__class__') }}",
    "{{ data.tags|max(key=data.name.upper) }}",
    "{{ data()|string }}",
    "{{ data.name() }}",
    "{{ data.name.upper(*data.tags) }}",
    "{{ data.name.split(**data) }}",
    "{{ [data.name.upper][0]() }}",
    "{% set x = data %}",
    "{% set ns = 1 %}{{ ns }}",
    "{% import 'os' as os %}",
    "{% from 'os' import path %}",
    "{% include '/etc/passwd' %}",
    "{% extends 'base' %}",
    "{% block b %}{% endblock %}",
    "{% macro m() %}{% endmacro %}",
    "{% call x() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% with a = 1 %}{{ a }}{% endwith %}",
    "{% autoescape true %}{% endautoescape %}",
    "{% do data.clear() %}",
    "{% for x in data %}{{ x }}{% endfor %}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "{% if ''.__class__ %}{% endif %}",
    "{{ data.name|pprint }}",
    "{{ data.name|xmlattr }}",
    "{{ data.name|safe }}",
    "{{ data|dictsort }}",
    "{{ data.tags|random }}",
    "{{ data.name is callable }}",
    "{{ data.name is filter }}",
    "{{ caller() }}",
    "{{ loop }}",
    "{{ varargs }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ _ }}",
    "{{ __import__('os') }}",
    "{{ data|join('a', attribute='__class__') }}",
]

DOS = [
    "{{ 9**(9**9) }}",
    "{{ 9**9**9 }}",
    "{{ (2**60)**64 }}",
    "{{ 'a' * 1000000000 }}",
    "{{ 1000000000 * 'a' }}",
    "{{ [1] * 1000000000 }}",
    "{{ data.big * 1000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ 'a'|center(1000000000) }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 'a'.ljust(1000000000) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ '\t'.expandtabs(1000000000) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'a'|format(1) }}",
    "{{ 'a'|indent(1000000000) }}",
    "{{ 'a'|wordwrap(1) }}",
    "{{ data.big|replace('a', data.big) }}",
    "{{ data.big.replace('a', data.big) }}",
    "{{ data.big|join(data.big) }}",
    "{{ data.big.join(data.big) }}",
    "{{ data.tags|batch(1000000000, 0)|list }}",
    "{{ data.tags|slice(1000000000)|list }}",
    "{{ data.tags|tojson(indent=1000000000) }}",
    "{{ 1.5|round(1000000000) }}",
    "{{ 1.5|round(-1000000000) }}",
    "{{ data.lists|sum(start=[]) }}",
    "{{ range(1000000000) }}",
    "{{ range(1001)|list }}",
    "{{ lipsum(n=100000) }}",
    "{% for a in range(10000) %}{% for b in range(10000) %}{% endfor %}{% endfor %}",
    "{{ " + "data.big ~ " * 1500 + "'' }}",
    "{{ data.big }}" * 100,
    "{{ [" + "data.big, " * 90 + "] }}",
    "x{{ [" + "data.big, " * 90 + "] }}",
    "{{ [" + "data.big, " * 90 + "]|string }}",
    "{{ [" + "data.big, " * 90 + "]|join }}",
    "{{ [" + "data.big, " * 90 + "]|tojson }}",
    "{{ [" + "1, " * 3000 + "] }}",
    "{{ " + "data.big == data.other and " * 200 + "true }}",
    "{{ " + "(" * 4000 + "1" + ")" * 4000 + " }}",
    "{{ " + "[" * 4000 + "]" * 4000 + " }}",
    "{{ " + "not " * 3000 + "1 }}",
    "{{ " + "-" * 10000 + "1 }}",
    "{{ " + "1 + " * 4000 + "1 }}",
    "{{ data" + ".a" * 4000 + " }}",
    "{{ data" + "|upper" * 2000 + " }}",
    "{{ " + "1 if 1 else " * 1200 + "1 }}",
    "{% if 1 %}" * 800 + "{% endif %}" * 800,
    "{{ " + "9" * 5000 + " }}",
    "{{ 0x" + "f" * 5000 + " }}",
    "{{ 1e999 }}",
    "{{ 1e308 * 10 }}",
    "x" * (MAX_SOURCE + 1),
]
BIG = {
    "big": "a" * 200_000,
    "other": "a" * 199_999 + "b",
    "tags": ["a", "b"],
    "lists": [[1]] * 50_000,
    "name": "Ada",
}


@pytest.mark.parametrize("source", SSTI)
def test_reaches_nothing_but_the_item(source):
    data = json.loads(json.dumps(DATA))
    with pytest.raises((TemplateInvalid, TemplateFailed)):
        render(source, data)
    assert data == DATA


@pytest.mark.parametrize("source", DOS, ids=lambda source: source[:40])
def test_refuses_what_costs_too_much(source):
    with pytest.raises((TemplateInvalid, TemplateFailed)):
        render(source, BIG)


@pytest.mark.parametrize("source", [*SSTI, *DOS], ids=lambda source: source[:40])
def test_saving_computes_nothing(source, monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("compiled")

    monkeypatch.setattr(environment.Environment, "compile", never)
    monkeypatch.setattr(Template, "from_code", never)
    try:
        parse_template(source)
    except TemplateInvalid as error:
        assert error.line >= 1
        assert error.column >= 1


def test_stops_at_the_deadline(monkeypatch):
    monkeypatch.setattr(environment, "MAX_SECONDS", -1)
    monkeypatch.setattr(environment, "MORE_SECONDS", -1)
    with pytest.raises(TemplateFailed, match="takes longer"):
        render("{{ data.name|upper }}")


def test_limits_the_output():
    data = {"x": "a" * (MAX_OUTPUT // 2)}
    assert len(render("{{ data.x }}{{ data.x }}", data)) == MAX_OUTPUT
    with pytest.raises(TemplateFailed, match="characters"):
        render("{{ data.x }}{{ data.x }}.", data)


@pytest.mark.parametrize(
    ("source", "line", "column", "words"),
    [
        ("{{ foo }}", 1, 4, "'foo'"),
        ("a\n  {{ data.x | format }}", 2, 15, "'format'"),
        ("{{ data.x.encode() }}", 1, 17, "'encode'"),
        ("\r\n\r\n {%- if data.x %}{{ bad }}{% endif %}", 3, 21, "'bad'"),
        ("{% for x in data %}{% endfor %}", 1, 4, "loops"),
        ("{{ data.x }", 1, 11, "}"),
        ("{% bogus %}", 1, 4, "bogus"),
        ("ok {{ data.a }} and {{ data.b", 1, 29, "end of template"),
    ],
)
def test_says_where_it_is_wrong(source, line, column, words):
    with pytest.raises(TemplateInvalid, match=words) as caught:
        parse_template(source)
    found = (caught.value.line, caught.value.column)
    assert found == (line, column)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ data.missing }}", "'missing' is missing; there is name"),
        ("x {{ data.customer.phone }}", "'phone' is missing; there is mail"),
        ("{{ data.nothing.mail }}", "'mail' is missing: null has no fields"),
        ("{{ data.name.first }}", "'first' is missing: a str has no fields"),
        ("{{ data.tags[5] }}", "5 is missing in a list of 2"),
        ("{{ data.missing|upper }}", "'missing' is missing"),
        ("{{ data.missing + 1 }}", "'missing' is missing"),
        ("{{ data.missing.deeper }}", "'missing' is missing"),
        ("{{ data.name.startswith(data.missing) }}", "'missing' is missing"),
        ("{% if data.missing %}{% endif %}", "'missing' is missing"),
        ("{{ data.name + 1 }}", "use ~"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ data.name > 1 }}", "not supported"),
        ("{{ data.name.upper }}", "call it with"),
        ("{{ {1: 2} }}", "keys"),
    ],
)
def test_says_why_it_cannot_be_rendered(source, words):
    with pytest.raises(TemplateFailed, match=words.replace("(", r"\(")):
        render(source)


def test_conditions():
    assert compile_condition("data.value > 100")({"value": 101}) is True
    assert compile_condition("data.value > 100")({"value": 1}) is False
    assert compile_condition("data.tags")({"tags": []}) is False
    assert compile_condition("data.a is defined and data.a")({}) is False


@pytest.mark.parametrize(
    "source", ["", "data.x >", "{{ data.x }}", "data.x; 1", "foo", "data.x }} {{ data.y", "x = 1"]
)
def test_refuses_a_bad_condition(source):
    with pytest.raises(TemplateInvalid):
        compile_condition(source)


def test_a_condition_fails_on_a_missing_name():
    with pytest.raises(TemplateFailed, match="'value' is missing"):
        compile_condition("data.value > 1")({})


@pytest.mark.parametrize(
    "make",
    [
        lambda n: "{{ " + "not (" * n + "1" + ")" * n + " }}",
        lambda n: "{{ " + "data.a[" * n + "1" + "]" * n + " }}",
        lambda n: "{{ " + "[" * n + "]" * n + " }}",
        lambda n: "{{ " + "1 + (" * n + "1" + ")" * n + " }}",
        lambda n: "{% if 1 %}" * n + "{% endif %}" * n,
        lambda n: "{{ data" + "|string" * n + " }}",
        lambda n: "{{ data" + ".a" * n + " }}",
        lambda n: "{{ " + "data.get(" * n + "1" + ")" * n + " }}",
    ],
)
def test_what_is_allowed_can_be_compiled(make):
    deepest = 0
    for depth in range(1, MAX_DEPTH + 2):
        try:
            parse_template(make(depth))
        except TemplateInvalid:
            break
        compile_template(make(depth))
        deepest = depth
    assert deepest >= 15


def test_knows_a_template():
    assert is_template("a {{ data.x }}")
    assert is_template("{% if 1 %}{% endif %}")
    assert not is_template("a { b } {# c #}")
    assert not is_template(5)


def test_the_lists_of_functions_hold_nothing_costly():
    banned = "center format wordwrap indent batch slice replace urlize xmlattr attr map".split()
    assert not set(banned) & set(FILTERS)
    methods = {name for of_type in METHODS.values() for name in of_type}
    assert not {"format", "format_map", "zfill", "ljust", "join", "translate"} & methods
    assert set(environment.environment.globals) == {"range"}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_any_value_passes_unchanged(value):
    result = compile_template("{{ data.x }}")({"x": value})
    assert result == value
    assert type(result) is type(value)


@given(st.text(alphabet="{}%#'\"()[]|. dataxif\n\\0123=+~*", max_size=60))
def test_any_text_is_refused_or_rendered(source):
    try:
        render(source)
    except (TemplateInvalid, TemplateFailed):
        pass


# Loops, where they are allowed


def render_advanced(source, data=DATA):
    return compile_template(source, advanced=True)(data)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{% for tag in data.tags %}{{ tag }},{% endfor %}", "a,b,"),
        ("{% for tag in data.tags %}{{ loop.index }}{{ tag }}{% endfor %}", "1a2b"),
        (
            "{% for tag in data.tags %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}"
            "{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
            "021TrueFalse2 110FalseTrue2 ",
        ),
        ("{% for x in data.missing|default([]) %}{{ x }}{% else %}none{% endfor %}", "none"),
        (
            "{% for x in range(9) if x is odd %}{{ x }}{% if loop.last %}.{% endif %}{% endfor %}",
            "1357.",
        ),
        ("{% for x in range(9) if x > 9 %}{{ x }}{% else %}-{% endfor %}", "-"),
        (
            "{% for key in data.customer %}{{ key }}={{ data.customer[key] }}{% endfor %}",
            "mail=ada@example.org",
        ),
        (
            "{% for key, value in data.customer.items() %}{{ key }}={{ value }}{% endfor %}",
            "mail=ada@example.org",
        ),
        (
            "{% for x in data.tags %}"
            "{% for y in data.tags %}{{ x }}{{ y }}{{ loop.index }} {% endfor %}"
            "{{ loop.index }}{% endfor %}",
            "aa1 ab2 1ba1 bb2 2",
        ),
        (
            "{% for x in data.tags %}{% for x in [1] %}{{ x }}{% endfor %}{{ x }}{% endfor %}",
            "1a1b",
        ),
        ("{% for item in data['items'] %}{{ item.sku|upper ~ data.count }}{% endfor %}", "X4"),
        ("{% for tag in data.tags %}{{ tag.upper() }}{{ range(2)|length }}{% endfor %}", "A2B2"),
        ("{% if data.paid %}{% for t in data.tags %}{{ t }}{% endfor %}{% endif %}", "ab"),
        ("{{ data.count }}", 4),
    ],
)
def test_loops(source, expected):
    assert render_advanced(source) == expected
    if "for" in source:
        with pytest.raises(TemplateInvalid, match="loops are not allowed here"):
            parse_template(source)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{% for x in data.tags %}{% endfor %}{{ x }}", "no 'x' here; write data.x"),
        ("{% for x in data.tags %}{% else %}{{ x }}{% endfor %}", "no 'x' here"),
        ("{% for x in x %}{% endfor %}", "no 'x' here"),
        ("{% for x in data.tags %}{{ y }}{% endfor %}", "write data.y, or loop, x"),
        ("{% for x in data.tags if loop.first %}{% endfor %}", "no 'loop' here"),
        (
            "{% for x in data.tags %}{% for y in x if loop.first %}{% endfor %}{% endfor %}",
            "no 'loop'",
        ),
        ("{% for x in data.tags %}{% endfor %}{{ loop.index }}", "no 'loop' here"),
        ("{% for x in data.tags %}{{ loop }}{% endfor %}", "write loop.first"),
        ("{% for x in data.tags %}{{ loop['index'] }}{% endfor %}", "write loop.first"),
        ("{% for x in data.tags %}{{ loop.previtem }}{% endfor %}", "write loop.first"),
        ("{% for x in data.tags %}{{ loop.changed(x) }}{% endfor %}", "'changed' is not allowed"),
        ("{% for data in data.tags %}{% endfor %}", "cannot give its values to 'data'"),
        ("{% for loop in data.tags %}{% endfor %}", "'loop'"),
        ("{% for range in data.tags %}{% endfor %}", "'range'"),
        ("{% for _x in data.tags %}{% endfor %}", "'_x'"),
        ("{% for x.y in data.tags %}{% endfor %}", "expected token 'in'"),
        ("{% for x, (y, z) in data.tags %}{% endfor %}", "cannot give its values to 'this'"),
        ("{% for x in data.tags recursive %}{% endfor %}", "recursive"),
        ("{% for x in data.tags %}{% set y = x %}{% endfor %}", "assignments"),
        ("{% for x in data.tags %}{% break %}{% endfor %}", "break"),
        ("{% for x in data.tags %}" * 5 + "{% endfor %}" * 5, "at most 4 deep"),
        ("{% macro m() %}{% endmacro %}", "macros"),
    ],
)
def test_a_loop_knows_only_its_own_names(source, words):
    with pytest.raises(TemplateInvalid, match=words):
        parse_template(source, advanced=True)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (
            "{% for x in range(101) %}{% for y in range(100) %}{% endfor %}{% endfor %}",
            "10000 times",
        ),
        ("{% for x in range(1000) %}{{ data.big }}{% endfor %}", "characters"),
        ("{% for x in data.name %}{% endfor %}", "not through a str"),
        ("{% for x in data.count %}{% endfor %}", "not through a int"),
        ("{% for x in data.nothing %}{% endfor %}", "not through null"),
        ("{% for x in data.missing %}{% endfor %}", "'missing' is missing"),
        ("{% for x, y in data.tags %}{% endfor %}", "not enough values"),
    ],
)
def test_a_loop_is_bounded(source, words):
    with pytest.raises(TemplateFailed, match=words):
        render_advanced(source, {**DATA, "big": "a" * 10_000})


def test_iterations_count_over_the_whole_template():
    inner = "{% for y in range(100) %}{% endfor %}"
    source = "{% for x in range(49) %}" + inner + "{% endfor %}"
    assert render_advanced(source * 2) == ""
    with pytest.raises(TemplateFailed, match="10000 times"):
        render_advanced(source * 2 + inner * 2)
    with pytest.raises(TemplateFailed, match="10000 times"):
        render_advanced(source * 2 + "{% for y in range(1000) if false %}{% endfor %}")


def test_a_loop_stops_at_the_deadline(monkeypatch):
    monkeypatch.setattr(environment, "MAX_SECONDS", -1)
    monkeypatch.setattr(environment, "MORE_SECONDS", -1)
    with pytest.raises(TemplateFailed, match="takes longer"):
        render_advanced("{% for x in data.tags %}{% endfor %}")


def test_a_rendering_that_had_to_wait_is_not_ended(monkeypatch):
    monkeypatch.setattr(environment, "MAX_SECONDS", -1)
    monkeypatch.setattr(environment, "MORE_SECONDS", 60)
    assert render("{{ data.name|upper ~ data.count }}") == "ADA4"


def test_comparisons_stop_at_the_deadline(monkeypatch):
    monkeypatch.setattr(environment, "MAX_SECONDS", -1)
    monkeypatch.setattr(environment, "MORE_SECONDS", -1)
    with pytest.raises(TemplateFailed, match="takes longer"):
        render("{{ 1 in data.tags }}")


@pytest.mark.parametrize(
    "source",
    ["{{ data.price|round(precision=1, precision=1) }}", "{{ data.price|round(__debug__=1) }}"],
)
def test_what_python_cannot_compile_is_refused_when_it_is_saved(source):
    with pytest.raises(TemplateInvalid, match="argument"):
        parse_template(source)


@pytest.mark.parametrize(
    ("source", "column", "words"),
    [
        ("{{ " + "(" * 400, 4 + MAX_DEPTH, "nested too deeply"),
        ("{{ " + "1 ~ " * 4000 + "1 }}", 4 + 2 * MAX_NODES - 2, "too many parts"),
        ("{{ data.x ~ " + "9" * 500 + " }}", 13, "too large"),
    ],
)
def test_reads_no_further_than_it_must(source, column, words):
    with pytest.raises(TemplateInvalid, match=words) as caught:
        parse_template(source)
    assert caught.value.column == column
