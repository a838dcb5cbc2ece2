"""The JSON of a graph: tools by name, and the drawing."""

from orchestrator.exceptions import Problem
from orchestrator.flow.drawing import draw
from orchestrator.flow.graph_json import as_written, expand

GRAPH = {
    "entry_point": "look",
    "nodes": [
        {"id": "look", "tool": "shop.look", "arguments": {"a": "{{ data.a }}"}},
        {"id": "say", "type": "debug", "data": {"form": {"prefix": "x"}}},
    ],
    "edges": [
        {"source": "look", "target": "say", "condition": 'data.a > "<b>" | length'},
        {"source": "say", "target": "look", "budget": 3, "on_limit": "say"},
    ],
}


def test_a_tool_by_its_name_is_a_node_of_type_tool():
    expanded, problems = expand(GRAPH)
    assert problems == []
    first, second = expanded["nodes"]
    assert first["type"] == "tool"
    assert first["data"]["form"] == {
        "tool": "shop.look", "arguments": {"a": "{{ data.a }}"}, "target": "look", "replace": True,
    }  # fmt: skip
    assert second is GRAPH["nodes"][1]


def test_the_field_for_the_result_and_the_options_can_be_named():
    node = {"id": "1", "tool": "t", "target": "answer", "data": {"config": {"timeout": 3}}}
    data = expand({"nodes": [node]})[0]["nodes"][0]["data"]
    assert data["form"]["target"] == "answer" and data["config"] == {"timeout": 3}


def test_a_node_is_one_or_the_other():
    _, problems = expand({"nodes": [{"id": "1", "tool": "t", "type": "debug"}]})
    assert [problem.path for problem in problems] == ["nodes[0].type"]


def test_what_is_no_graph_is_left_to_who_reads_it():
    for raw in (None, [], {"nodes": 1}, {"nodes": [1, {"tool": [], "data": 5}]}):
        expand(raw)


def test_a_problem_has_the_path_of_what_was_written():
    for before, after in {
        "nodes[0].data.form.tool": "nodes[0].tool",
        "nodes[0].data.form.arguments.a[2]": "nodes[0].arguments.a[2]",
        "nodes[0].data.form": "nodes[0].data.form",
        "nodes[1].data.form.prefix": "nodes[1].data.form.prefix",
        "edges[0].condition": "edges[0].condition",
    }.items():
        assert as_written(GRAPH, Problem(before, "m")) == Problem(after, "m")


def test_a_drawing_has_ports_conditions_and_limits_and_nothing_that_breaks_it():
    assert draw(GRAPH).splitlines() == [
        "flowchart TD",
        '    n0(["look<br/>shop.look"])',
        '    n1["say<br/>debug"]',
        '    n0 -->|"data.a #62; #34;#60;b#62;#34; #124; length"| n1',
        "    n1 --> n0",
        '    n1 -.->|"after 3 times"| n1',
    ]


def test_a_broken_graph_can_still_be_drawn():
    broken = {"nodes": [{"id": "a", "type": "x"}, 5], "edges": [{"source": "a", "target": "b"}]}
    assert draw(broken) == 'flowchart TD\n    n0["a<br/>x"]\n'
