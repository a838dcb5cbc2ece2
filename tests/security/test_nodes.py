"""Hostile templates in nodes: every payload in every templated field, as the engine renders it."""

import pytest

from forms.choices import saved_values
from forms.paths import paths
from forms.preview import MAX_VALUE, preview
from forms.templating import compile_condition, parse_template
from nodes.contract import NodeConfig, NodeOptions, NodeOutput, PoolType
from orchestrator.exceptions import NodeFailed, TemplateFailed, TemplateInvalid
from storage.codec import encode
from tests.security.bombs import BIG, S6, S6_LOOPS
from tests.security.escapes import DATA, S4, S4_LITERAL
from tests.security.targets import EVERY, taken
from tests.security.texts import S5, S5_TEMPLATES, SECRET

LIMIT = 0.5
"""Seconds of processor time in which a rendering has ended; half of them are the template's."""
PLAIN = NodeOptions()
ADVANCED = NodeOptions(advanced_templates=True, pool=PoolType.PROCESS)


def is_refused(source, advanced=False):
    try:
        parse_template(source, advanced)
    except TemplateInvalid:
        return True
    return False


def make(target, source, options=PLAIN):
    """Make the node with the template in one field, or return None when it is refused."""
    kind = target.node_class.identifier
    config = NodeConfig(id="1", type=kind, form=target.form(source), options=options)
    node = target.node_class(config)
    with saved_values():  # what is chosen from rows is there
        problems = node.validate()
    assert bool(problems) is is_refused(source, options.advanced_templates), problems
    if problems:
        with pytest.raises(NodeFailed, match=r"line \d, column \d"):
            node._bind_form()
        return None
    node._bind_form()
    return node


def rendered(node, target, data):
    """Render for an item and return what the template gave, or None when it failed."""
    try:
        node.render(NodeOutput("1", data))
    except (TemplateFailed, NodeFailed):
        return None
    return taken(node.values[target.field])


@pytest.mark.parametrize("target", EVERY, ids=lambda target: target.name)
def test_nothing_outside_the_item_is_reached(target, tally):
    seen = tally("S4", "node, every field")
    before = encode(DATA)
    for source in [*S4, *S4_LITERAL]:
        with seen.attempt():
            node = make(target, source)
            value = rendered(node, target, DATA) if node else None
        allowed = S4_LITERAL.get(source)
        if value is not None and str(value) not in (allowed, str(allowed).strip()):
            seen.escaped.append((source, value))
    assert encode(DATA) == before
    assert seen.slowest < LIMIT


@pytest.mark.parametrize("target", EVERY, ids=lambda target: target.name)
def test_what_an_item_holds_is_rendered_once(target, tally, renderings):
    seen = tally("S5", "node, every field")
    for source, expected in S5_TEMPLATES.items():
        node = make(target, source)
        compiled = renderings.compiled
        for hostile in S5:
            before = renderings.rendered
            with seen.attempt():
                value = rendered(node, target, {"x": hostile, "secret": SECRET})
            if value is not None and value != expected.replace("%s", hostile):
                seen.escaped.append((source, hostile, value))
            if (renderings.rendered, renderings.compiled) != (before + 1, compiled):
                seen.twice.append((source, hostile))


@pytest.mark.parametrize("target", EVERY, ids=lambda target: target.name)
def test_what_costs_too_much_is_ended(target, tally):
    seen = tally("S6", "node, every field")
    # Every bomb in one field, and a part of them in the others, which share the code.
    every = target.name == "data-transformer.fields"
    for source in S6 if every else S6[::6]:
        node = make(target, source)
        with seen.attempt():
            if node is not None:
                rendered(node, target, BIG)
    for source in S6_LOOPS if every else S6_LOOPS[::6]:
        node = make(target, source, ADVANCED)
        with seen.attempt():
            if node is not None:
                rendered(node, target, BIG)
    assert seen.growth < 40
    assert seen.slowest < LIMIT


def test_a_preview_reaches_nothing_and_renders_once(tally, renderings):
    seen = tally("S4", "preview")
    for source in [*S4, *S4_LITERAL]:
        for advanced in (False, True):
            with seen.attempt():
                shown = preview(source, DATA, advanced)
            # A loop over the item's own data is no escape where loops are allowed.
            own = advanced and source == "{% for x in data %}{{ x }}{% endfor %}"
            if shown["ok"] and shown["value"] != S4_LITERAL.get(source) and not own:
                seen.escaped.append((source, shown))
    seen = tally("S5", "preview")
    for source, expected in S5_TEMPLATES.items():
        for hostile in S5:
            before = renderings.rendered
            with seen.attempt():
                shown = preview(source, {"x": hostile, "secret": SECRET})
            if shown["value"] != expected.replace("%s", hostile):
                seen.escaped.append((source, hostile, shown))
            if renderings.rendered != before + 1:
                seen.twice.append((source, hostile))
    seen, ended = tally("S6", "preview"), 0
    for advanced, sources in ((False, S6), (True, S6_LOOPS)):
        for source in sources:
            with seen.attempt():
                shown = preview(source, BIG, advanced)
            ended += not shown["ok"]
            assert len(encode(shown, 2**20)) < 3 * MAX_VALUE
            assert shown["ok"] is False or len(shown["text"]) < 10, source[:100]
    assert ended >= seen.tried - 5
    assert seen.slowest < LIMIT


def test_hostile_keys_are_written_as_keys(tally):
    seen = tally("S5", "keys of an item")
    for hostile in [*S5, *S4[::5]]:
        data = {f"a {hostile}": {"inner": 1}}
        with seen.attempt():
            [_, inner] = paths(data)
            value = preview("{{ " + inner["path"] + " }}", data)
            tree = preview("{{ data }}", data)
        if (value["value"], tree["value"]) != (1, data):
            seen.escaped.append(hostile)


def test_a_condition_of_an_edge_is_no_way_out(tally):
    seen = tally("S4 S6", "condition of an edge")
    expressions = [s[3:-3] for s in [*S4, *S6] if s.startswith("{{ ") and s.count("{{") == 1]
    for expression in expressions:
        with seen.attempt():
            try:
                compile_condition(expression)({**BIG, **DATA})
            except (TemplateInvalid, TemplateFailed):
                continue
        if f"{{{{ {expression} }}}}" in S4:
            seen.escaped.append(expression)
    assert seen.tried > 250
    assert seen.slowest < LIMIT
