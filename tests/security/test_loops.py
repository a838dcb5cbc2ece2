"""Hostile templates in running loops: the item becomes a dead letter, and the loop goes on."""

import itertools
import time

import pytest

from nodes.contract import ExecutionCompleted, NodeConfig
from orchestrator.exceptions import WorkflowInvalid
from storage.datastore import open_store
from tests.integration.loops import House, edge, line, part, sink
from tests.security.bombs import FITTING, S6, S6_LOOPS
from tests.security.escapes import DATA, S4, S4_LITERAL
from tests.security.targets import TARGETS
from tests.security.test_nodes import is_refused
from tests.security.texts import S5, SECRET


@pytest.fixture
async def house(tmp_path):
    store = open_store("memory://")
    house = House(store, tmp_path)
    house.items = []

    async def hostile(node, item):
        place = node.state or 0
        if place == len(house.items):
            return ExecutionCompleted()
        node.state = place + 1
        return item.with_data(house.items[place])

    house.source(hostile)
    yield house
    await house.close()
    await store.close()


def around(*nodes, ports=("default",)):
    """Return the workflow: the source, these nodes, and the file that every port leads to."""
    raw = line(part("in", "hostile"), *nodes, sink())
    raw["edges"][-1:] = [edge(f"{nodes[-1]['id']}:{port} sink") for port in ports]
    return raw


async def outcome(house, raw):
    """Run the loop to its end, and return what came out and what died."""
    (house.files / "out.jsonl").unlink(missing_ok=True)
    await house.store.queue.forget("w")
    await house.run(raw)
    return house.rows(), await house.dead()


def with_template(target, source, **config):
    """Return the workflow with the template in one field of one node."""
    kind, form = target.node_class.identifier, target.form(source)
    node = target.node_class(NodeConfig(id="n", type=kind, form=form))
    return around(part("n", kind, form, **config), ports=node.ports())


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
async def test_an_escape_is_a_dead_letter(house, tally, target):
    seen = tally("S4", "loop, every field")
    house.items = [DATA]
    for source in S4:
        raw = with_template(target, source)
        if is_refused(source):
            with seen.attempt(), pytest.raises(WorkflowInvalid):
                house.runner(raw)
            continue
        with seen.attempt():
            rows, dead = await outcome(house, raw)
        if rows or len(dead) != 1:
            seen.escaped.append((source, rows, dead))


async def test_what_is_harmless_gives_its_text(house, tally):
    seen = tally("S4", "loop, harmless")
    house.items = [DATA]
    for source, expected in S4_LITERAL.items():
        node = part("n", "data-transformer", {"fields": {"x": source}})
        with seen.attempt():
            [row], dead = await outcome(house, around(node))
        if row != {**DATA, "x": expected} or dead:
            seen.escaped.append((source, row))


async def test_a_text_is_passed_on_through_every_node(house, tally, renderings):
    seen = tally("S5", "loop, five nodes")
    house.items = [{"x": hostile, "secret": SECRET} for hostile in S5]
    nodes = [
        part("{{7*7}}", "data-transformer", {"fields": {"a": "{{ data.x }}", "{{ 7*7 }}": "n"}}),
        part(
            "two", "data-transformer", {"fields": {"b": "<{{ data.a }}>", "c": "{{ data.a ~ '' }}"}}
        ),
        part("three", "data-transformer", {"fields": {"d": "{{ data.b }}{{ data.c }}"}}),
        part("four", "debug", {"message": "{{ data.d }}"}),
    ]
    fields = 5
    with seen.attempt():
        rows, dead = await outcome(house, around(*nodes))
    seen.tried = len(S5)
    wanted = [
        {
            "x": x,
            "secret": SECRET,
            "a": x,
            "{{ 7*7 }}": "n",
            "b": f"<{x}>",
            "c": x,
            "d": f"<{x}>{x}",
        }
        for x in S5
    ]
    seen.escaped += [row for row, want in zip(rows, wanted, strict=True) if row != want]
    seen.twice += [renderings.rendered] if renderings.rendered != fields * len(S5) else []
    assert not dead


async def test_a_loop_survives_what_costs_too_much(house, tally):
    seen = tally("S6", "loop", time.process_time)
    house.items = [FITTING, {"last": True, "name": "Ada"}]
    others = {  # what passes nothing on, or needs somebody else
        "aggregate", "deduplicate", "filter", "group", "http-request", "http-response", "merge",
        "redis-publish", "sql-query", "tool",
    }  # fmt: skip
    plain = [t for t in TARGETS if t.node_class.identifier not in others]
    targets = itertools.cycle(plain)
    for advanced, sources in ((False, S6[::2]), (True, S6_LOOPS)):
        config = {"advanced_templates": True, "pool": "process"} if advanced else {}
        for source in sources:
            # The second item takes the way around the bomb.
            guarded = f"{{% if data.last is defined %}}0{{% else %}}{source}{{% endif %}}"
            if is_refused(guarded, advanced):
                continue
            raw = with_template(next(targets), guarded, **config)
            with seen.attempt():
                rows, dead = await outcome(house, raw)
            assert rows[-1]["name"] == "Ada" and "last" in rows[-1], source[:100]
            assert len(dead) <= 1, source[:100]
    assert seen.tried > 30
    assert seen.slowest < 10
