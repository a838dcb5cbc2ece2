"""orchestrator.flow.schema: workflow JSON -> WorkflowSpec."""

import copy
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.contract import NodeOptions, PoolType, RetryPolicy
from orchestrator.exceptions import WorkflowInvalid
from orchestrator.flow.problems import MAX_PROBLEMS, json_path, raise_if_any
from orchestrator.flow.schema import digest, json_schema, parse_workflow, read_workflow
from tests.unit.flow_nodes import edge, node, paths, workflow


def problems_of(raw, **caps) -> dict[str, str]:
    with pytest.raises(WorkflowInvalid) as caught:
        parse_workflow(raw, **caps)
    # whatever came in, what goes out can be sent
    json.dumps(caught.value.problems).encode()
    str(caught.value).encode()
    return dict(caught.value.problems)


def test_reads_the_documented_shape():
    raw = {
        "name": "orders",
        "nodes": [
            {
                "id": "1",
                "type": "counter",
                "data": {"form": {"stop": 10}, "config": {}},
                "position": {"x": 0, "y": 0},
            },
            {"id": "2", "type": "debug"},
        ],
        "edges": [
            {
                "id": "e1",
                "source": "1",
                "target": "2",
                "sourceHandle": None,
                "targetHandle": None,
                "condition": None,
            }
        ],
        "entry_point": None,
    }
    before = copy.deepcopy(raw)
    spec = parse_workflow(raw)
    assert spec.name == "orders"
    assert spec.nodes[0].config.form == {"stop": 10}
    assert spec.nodes[0].config.options == NodeOptions()
    assert (spec.nodes[1].id, spec.nodes[1].type, spec.nodes[1].index) == ("2", "debug", 1)
    assert spec.edges[0].source_handle == spec.edges[0].target_handle == "default"
    assert spec.edges[0].condition is None
    assert spec.raw is raw
    assert raw == before


def test_unknown_keys_are_kept_untouched():
    raw = workflow([{**node("1", colour="red"), "selected": True}], viewport={"zoom": 2})
    raw["edges"] = []
    assert parse_workflow(raw).raw == raw
    assert parse_workflow(raw).raw["nodes"][0]["data"]["config"] == {"colour": "red"}


def test_reads_every_option():
    retry = {"max_attempts": 3, "delay": 0.5, "backoff": 1.5, "max_delay": 9, "jitter": 0}
    retry |= {"retry_on": ["OSError"], "give_up_on": ["NotFound"]}
    config = {
        "timeout": 5,
        "pool": "Process",
        "retry": retry,
        "max_in_flight": 7,
        "replicas": 2,
        "max_deliveries": 5,
        "queue_name": "a.b-C_1",
        "max_length": 50,
        "max_bytes": 4096,
        "overflow": "drop_oldest",
        "runs_on": ["gpu", "eu", "gpu"],
    }
    options = parse_workflow(workflow([node("1", **config)])).nodes[0].config.options
    assert options == NodeOptions(
        timeout=5,
        pool=PoolType.PROCESS,
        retry=RetryPolicy(
            max_attempts=3,
            delay=0.5,
            backoff=1.5,
            max_delay=9,
            jitter=0,
            retry_on=("OSError",),
            give_up_on=("NotFound",),
        ),
        max_in_flight=7,
        replicas=2,
        max_deliveries=5,
        queue_name="a.b-C_1",
        max_length=50,
        max_bytes=4096,
        overflow="drop_oldest",
        runs_on=("eu", "gpu"),
    )


def test_one_label_needs_no_list():
    config = parse_workflow(workflow([node("1", runs_on="gpu")])).nodes[0].config
    assert config.options.runs_on == ("gpu",)


def test_handles_are_case_insensitive_and_blank_conditions_none():
    raw = workflow(
        [node("1"), node("2")], edge("1", "2", "Yes", condition=" data.x "), edge("1", "2", "NO")
    )
    raw["edges"][1]["condition"] = "  "
    first, second = parse_workflow(raw).edges
    assert (first.source_handle, first.condition) == ("yes", "data.x")
    assert (second.source_handle, second.condition) == ("no", None)


def test_an_edge_may_lack_an_id():
    raw = workflow([node("1"), node("2")], {"source": "1", "target": "2"})
    assert parse_workflow(raw).edges[0].id == "edges[0]"
    raw["edges"].append({"id": "edges[0]", "source": "2", "target": "1"})
    assert list(problems_of(raw)) == ["edges[1].id"]


def test_reports_everything_at_once():
    raw = workflow(
        [
            node("1"),
            node("1"),
            node(""),
            {"id": 4, "type": "step"},
            {"id": "5", "data": {"form": []}},
            node("6", timeout=0, pool="fiber", retry={"max_attempts": 0}, overflow="forget"),
            "node",
            node("8", form={"text": "a\0b"}),
        ],
        ("1", "99"),
        {"id": "e", "source": "6", "target": None},
        edge("98", "6", condition=3),
        name=None,
        entry_point="nowhere",
    )
    found = problems_of(raw)
    assert set(found) == {
        "name",
        "nodes[1].id",
        "nodes[2].id",
        "nodes[3].id",
        "nodes[4].type",
        "nodes[4].data.form",
        "nodes[5].data.config.timeout",
        "nodes[5].data.config.pool",
        "nodes[5].data.config.retry.max_attempts",
        "nodes[5].data.config.overflow",
        "nodes[6]",
        "nodes[7].data.form.text",
        "edges[0].target",
        "edges[1].target",
        "edges[2].condition",
        "entry_point",
    }
    assert found["nodes[1].id"] == "nodes[0] has this id, too"
    assert found["nodes[4].type"] == "is missing"
    assert found["edges[0].target"] == "no node has the id '99'"
    assert "drop_oldest" in found["nodes[5].data.config.overflow"]


@pytest.mark.parametrize(
    "config",
    [
        {"timeout": -1},
        {"timeout": "5"},
        {"timeout": 1e9},
        {"timeout": float("inf")},
        {"timeout": True},
        {"pool": 1},
        {"retry": 3},
        {"retry": {"jitter": 2}},
        {"retry": {"backoff": 0.5}},
        {"max_in_flight": 0},
        {"max_in_flight": 1.5},
        {"replicas": True},
        {"replicas": 10**30},
        {"queue_name": ""},
        {"queue_name": "a b"},
        {"queue_name": "q\n"},
        {"queue_name": "x" * 101},
        {"max_length": 0},
        {"max_deliveries": 1},
        {"max_bytes": 1},
        {"retry": {"retry_on": "OSError"}},
        {"retry": {"give_up_on": ["not a name"]}},
        {"overflow": "explode"},
        {"runs_on": ""},
        {"runs_on": 1},
        {"runs_on": {"gpu": 1}},
        {"runs_on": ["gpu", "a b"]},
        {"runs_on": ["gpu", None]},
        {"runs_on": ["x" * 51]},
        {"runs_on": [f"l{n}" for n in range(11)]},
    ],
)
def test_bad_options(config):
    (path,) = problems_of(workflow([node("1", **config)]))
    assert path.startswith(f"nodes[0].data.config.{next(iter(config))}")


@pytest.mark.parametrize(
    "node_id", ["", " ", "a/b", "a:b", "a\n", "\x7f", "x" * 101, " a", "\u202ea"]
)
def test_bad_ids(node_id):
    assert list(problems_of(workflow([node(node_id)]))) == ["nodes[0].id"]


@pytest.mark.parametrize("node_id", ["1", "x" * 100, "größe 2", "👩\u200d💻", "__proto__", ".."])
def test_good_ids(node_id):
    assert parse_workflow(workflow([node(node_id)])).nodes[0].id == node_id


@pytest.mark.parametrize("raw", [None, 1, "x", [], [{}], True])
def test_the_top_is_an_object(raw):
    assert problems_of(raw) == {"": "a workflow must be a JSON object"}


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        ({}, "nodes"),
        ({"nodes": []}, "nodes"),
        ({"nodes": {}}, "nodes"),
        ({"nodes": None}, "nodes"),
        ({"nodes": [node("1")], "edges": None}, "edges"),
        ({"nodes": [node("1")], "edges": [[]]}, "edges[0]"),
        ({"nodes": [node("1")], "entry_point": 1}, "entry_point"),
        ({"nodes": [node("1")], "name": "x" * 201}, "name"),
    ],
)
def test_the_parts_have_their_types(raw, path):
    assert list(problems_of(raw)) == [path]


def test_caps_are_checked_before_anything_else():
    raw = {"nodes": [1] * 101, "edges": [2] * 201}
    found = problems_of(raw, node_cap=100, edge_cap=200)
    assert found == {"nodes": "101 nodes, 100 are allowed", "edges": "201 edges, 200 are allowed"}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": "\ud800"}, ".a"),
        ({"a": ["x", {"b": "\0"}]}, ".a[1].b"),
        ({"a b": "\0"}, '["a b"]'),
        ({"a": float("nan")}, ".a"),
        ({"a": 2**53}, ".a"),
        ({"a": 10**5000}, ".a"),
        ({"a": Decimal(1)}, ".a"),
        ({"\ud800": 1}, '["\\ud800"]'),
    ],
)
def test_what_is_not_strict_json_is_found(value, path):
    assert list(problems_of(workflow([node("1", form=value)]))) == [f"nodes[0].data.form{path}"]
    raw = workflow([node("1")], ui=value)
    assert list(problems_of(raw)) == [f"ui{path}"]


def test_keys_are_text():
    assert problems_of(workflow([node("1")], ui={3: 1})) == {'ui["3"]': "a key is not text"}


def test_depth_and_size():
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    (path,) = problems_of(workflow([node("1")], ui=deep))
    assert path == "ui" + "[0]" * 63
    (message,) = problems_of(workflow([node("1")], ui="x" * 17_000_000)).values()
    assert "bytes" in message


def test_read_workflow_gives_what_is_usable():
    raw = workflow(
        [node("1"), node("2"), node("3", timeout=0), node("4"), node("4")],
        ("1", "2"),
        ("2", "3"),
        ("4", "1"),
        ("2", "99"),
    )
    spec, problems = read_workflow(raw)
    assert [n.id for n in spec.nodes] == ["1", "2", "4"]
    assert [(e.source, e.target, e.index) for e in spec.edges] == [("1", "2", 0)]
    assert spec.lost_inputs == {"3", "1", "99"}
    assert spec.lost_outputs == {"2", "4"}
    assert paths(problems) == ["nodes[2].data.config.timeout", "nodes[4].id", "edges[3].target"]


def test_the_list_of_problems_is_bounded():
    raw = {"nodes": [0] * (MAX_PROBLEMS + 5)}
    with pytest.raises(WorkflowInvalid) as caught:
        parse_workflow(raw)
    assert len(caught.value.problems) == MAX_PROBLEMS + 1
    assert caught.value.problems[-1].message == "5 more problems are not listed"
    raise_if_any([])


def test_json_path():
    assert json_path(("nodes", 2, "data", "form", "url")) == "nodes[2].data.form.url"
    assert json_path(()) == ""
    assert json_path(("a", "b.c", "", "x" * 100)) == f'a["b.c"][""]["{"x" * 64}"]'


def test_json_schema_can_be_printed_and_agrees():
    schema = json.loads(json.dumps(json_schema()))
    assert schema["title"] == "Workflow"
    assert schema["required"] == ["nodes"]
    assert "sourceHandle" in schema["$defs"]["EdgeShape"]["properties"]
    assert "additionalProperties" not in schema


def test_digest_covers_what_runs():
    raw = workflow([node("1", form={"a": 1}), node("2")], ("1", "2"))
    same = copy.deepcopy(raw)
    same.update(name="other", viewport={})
    same["nodes"].reverse()
    same["nodes"][0]["position"] = {"x": 5}
    same["nodes"][0]["data"]["config"] = {"max_in_flight": 100, "pool": None, "note": "x"}
    same["edges"][0].update(id="other", sourceHandle="Default", animated=True)
    assert digest(raw) == digest(parse_workflow(raw)) == digest(same)
    assert len(digest(raw)) == 64

    def changed(change) -> str:
        other = copy.deepcopy(raw)
        change(other)
        return digest(other)

    changes = [
        lambda w: w["nodes"][0]["data"]["form"].update(a=2),
        lambda w: w["nodes"][0]["data"]["config"].update(pool="thread"),
        lambda w: w["nodes"][0]["data"]["config"].update(retry={}),
        lambda w: w["nodes"][0].update(type="other"),
        lambda w: w["nodes"].append(node("3")),
        lambda w: w["edges"].clear(),
        lambda w: w["edges"][0].update(sourceHandle="yes"),
        lambda w: w["edges"][0].update(condition="data.x"),
        lambda w: w.update(entry_point="1"),
    ]
    assert len({digest(raw), *map(changed, changes)}) == len(changes) + 1


def test_digest_of_an_invalid_workflow():
    with pytest.raises(WorkflowInvalid):
        digest({"nodes": 1})


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=5)
    | st.sampled_from(["1", "2", "async", "block", "", "1e999"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=10,
)
KEYS = {
    "config": ["timeout", "pool", "retry", "max_in_flight", "replicas", "queue_name", "overflow"],
    "data": ["form", "config"],
    "node": ["id", "type", "data", "position"],
    "edge": ["id", "source", "target", "sourceHandle", "targetHandle", "condition"],
}


def mostly(name: str, **parts):
    known = {key: parts.get(key, ANYTHING) for key in KEYS[name]}
    return ANYTHING | st.fixed_dictionaries({}, optional=known)


NODES = mostly("node", data=mostly("data", config=mostly("config")))
WORKFLOWS = st.fixed_dictionaries(
    {},
    optional={
        "name": ANYTHING,
        "nodes": ANYTHING | st.lists(NODES, max_size=4),
        "edges": ANYTHING | st.lists(mostly("edge"), max_size=4),
        "entry_point": ANYTHING,
    },
)


@given(ANYTHING | WORKFLOWS)
def test_any_json_is_read_or_invalid(raw):
    try:
        spec = parse_workflow(raw)
    except WorkflowInvalid as error:
        assert error.problems
        json.dumps(error.problems).encode()
        for path, message in error.problems:
            (path + message).encode()
    else:
        assert len(digest(spec)) == 64
