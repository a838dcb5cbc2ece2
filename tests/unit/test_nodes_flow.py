"""if-condition, switch, queues, delays, tool and debug."""

import logging
from typing import Any

import pytest

from nodes.builtin.comparing import OPERATORS, as_text, make_test
from nodes.builtin.conditions import IfCondition, Switch
from nodes.builtin.debug import MAX_LOGGED, Debug
from nodes.builtin.items import MAX_SCANNED
from nodes.builtin.queues import QueueReader, QueueWriter
from nodes.builtin.timing import DynamicDelay, StaticDelay
from nodes.builtin.tools import ToolNode
from nodes.contract import NodeConfig, NodeOptions
from nodes.testing import RecordingContext, driven
from nodes.tools import ToolRegistry
from orchestrator.exceptions import NodeFailed, UnknownTool, WorkflowInvalid


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        (100, "equals", "100", True),
        (100.0, "equals", "100", True),
        ("100", "equals", 100, True),
        ("1e2", "equals", "100", False),
        (True, "equals", "true", True),
        (True, "equals", True, True),
        (1, "equals", True, False),
        (None, "equals", "", True),
        (None, "not_equals", "x", True),
        ("paid", "equals", "paid", True),
        ("paid", "not_equals", "paid", False),
        (["a"], "equals", '["a"]', True),
        (10, "greater", "9", True),
        ("10", "greater", "9", True),
        ("b", "greater", "a", True),
        ("2024-05-02", "greater", "2024-05-01", True),
        (10, "greater", "10", False),
        (10, "greater_or_equal", "10", True),
        (9, "less", "10", True),
        (10, "less_or_equal", "9", False),
        (None, "greater", "0", False),
        (None, "less", "0", False),
        ("hello", "contains", "ell", True),
        (["a", 1], "contains", "1", True),
        ({"k": 1}, "contains", "k", True),
        ("hello", "not_contains", "x", True),
        (None, "contains", "x", False),
        ("error 500", "matches", r"\b5\d\d$", True),
        (404, "matches", "^5", False),
        ("", "is_empty", None, True),
        ([], "is_empty", None, True),
        (0, "is_empty", None, False),
        (False, "is_not_empty", None, True),
        (None, "is_not_empty", None, False),
    ],
)
def test_operators(left: Any, operator: str, right: Any, expected: bool) -> None:
    assert make_test(operator, right)(left) is expected


def test_every_operator_has_a_test() -> None:
    for operator in OPERATORS:
        assert make_test(operator, "1")("1") in (True, False)


def test_values_as_text() -> None:
    values = [None, True, 1, 1.0, 1.5, "x", [1], {"a": None}]
    assert [as_text(value) for value in values] == [
        "", "true", "1", "1", "1.5", "x", "[1]", '{"a":null}',
    ]  # fmt: skip


async def test_if_condition_leaves_by_yes_or_no_with_the_item_unchanged() -> None:
    form = {"field": "order.total", "operator": "greater", "value": 100}
    async with driven(IfCondition, form) as run:
        assert await run.data({"order": {"total": 101}}) == {"order": {"total": 101}}
        assert run.port == "yes"
        await run.data({"order": {"total": 100}})
        assert run.port == "no"
        await run.data({"order": None})
        assert run.port == "no"


async def test_if_condition_with_templates_on_both_sides() -> None:
    form = {"field": "{{ data.a + 1 }}", "operator": "equals", "value": "{{ data.b }}"}
    async with driven(IfCondition, form) as run:
        await run.data({"a": 1, "b": 2})
        assert run.port == "yes"
        await run.data({"a": 1, "b": 1})
        assert run.port == "no"


async def test_if_condition_refuses_a_pattern_when_it_is_saved() -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(IfCondition, {"field": "a", "operator": "matches", "value": "("}):
            pass
    assert [problem.path for problem in caught.value.problems] == ["data.form.value"]


async def test_matching_has_a_limit() -> None:
    form = {"field": "a", "operator": "matches", "value": "x"}
    async with driven(IfCondition, form) as run:
        with pytest.raises(NodeFailed, match="allowed"):
            await run.data({"a": "y" * (MAX_SCANNED + 1)})


SWITCH = {"value": "status", "cases": {"paid": "ship", "done": "", "gift": "Ship", "500": "bad"}}


@pytest.mark.parametrize(
    ("status", "port"),
    [("paid", "ship"), ("gift", "ship"), ("done", "done"), (500, "bad"), ("x", "default"),
     (None, "default"), ("Paid", "default"), (["paid"], "default")],
)  # fmt: skip
async def test_switch_leaves_by_the_port_of_the_case(status: Any, port: str) -> None:
    for form in (SWITCH, {**SWITCH, "value": "{{ data.status }}"}):
        async with driven(Switch, form) as run:
            await run.data({"status": status})
            assert run.port == port


async def test_switch_takes_rows_as_the_side_panel_sends_them() -> None:
    rows = [{"key": "paid", "value": "ship"}, {"key": "open", "value": None}]
    async with driven(Switch, {"value": "status", "cases": rows}) as run:
        assert run.node.ports() == ("ship", "open", "default")
        await run.data({"status": "paid"})
        assert run.port == "ship"


def test_switch_has_the_ports_of_its_settings_before_they_are_checked() -> None:
    def ports(**form: Any) -> tuple[str, ...]:
        return Switch(NodeConfig(id="1", type="switch", form=form)).ports()

    assert ports(cases=SWITCH["cases"]) == ("ship", "done", "bad", "default")
    for broken in (None, 5, "x", [1, None], {}):
        assert ports(cases=broken) == ("default",)
    assert ports() == ("default",)


@pytest.mark.parametrize("cases", [None, {}, {"a": "no spaces"}, {"": "x y"}, {"a": ["b"]}, "x"])
async def test_switch_needs_cases_that_name_ports(cases: Any) -> None:
    with pytest.raises(WorkflowInvalid) as caught:
        async with driven(Switch, {"value": "status", "cases": cases}):
            pass
    assert {problem.path for problem in caught.value.problems} == {"data.form.cases"}


async def test_queue_writer_hands_over_and_passes_on() -> None:
    options = NodeOptions(queue_name="queue_1_2")
    async with driven(QueueWriter, {"queue_name": "other"}, options=options) as run:
        output = await run.item({"n": 1})
    assert run.context.emitted == [("queue_1_2", output)]
    async with driven(QueueWriter, {"queue_name": "mine"}) as run:
        await run.item({"n": 1})
    assert [queue for queue, _ in run.context.emitted] == ["mine"]


async def test_queue_writer_without_a_queue_is_not_ready() -> None:
    with pytest.raises(NodeFailed, match="no name"):
        async with driven(QueueWriter):
            pass


async def test_queue_reader_passes_on_what_the_engine_hands_in() -> None:
    async with driven(QueueReader) as run:
        assert await run.data({"n": 1}) == {"n": 1}
    assert QueueReader.queue_role == "reader" and QueueReader.source == "queue"
    assert not QueueReader.stateful


@pytest.mark.parametrize("name", ["a b", "a:b", "{x}", "a\n"])
async def test_a_queue_has_a_plain_name(name: str) -> None:
    node = QueueWriter(NodeConfig(id="1", type="queue-writer", form={"queue_name": name + "!"}))
    assert [problem.path for problem in node.validate()] == ["data.form.queue_name"]


async def test_delays_pass_the_item_on() -> None:
    async with driven(StaticDelay, {"seconds": "1ms"}) as run:
        assert await run.data({"n": 1}) == {"n": 1}
    async with driven(DynamicDelay, {"seconds": "{{ data.wait / 1000 }}"}) as run:
        assert await run.data({"wait": 1}) == {"wait": 1}
        with pytest.raises(NodeFailed):
            await run.data({"wait": -1})


async def test_tool_adds_its_result() -> None:
    tools = ToolRegistry()
    tools.register("add", lambda left, right: left + right)
    form = {"tool": "add", "arguments": {"left": "{{ data.n }}", "right": 1}, "target": "n"}
    async with driven(ToolNode, form, context=RecordingContext(tools=tools)) as run:
        assert await run.data({"n": 1}) == {"n": 1, "n_2": 2}
    async with driven(ToolNode, {"tool": "absent"}) as run:
        with pytest.raises(UnknownTool):
            await run.data({})


async def test_debug_logs_and_passes_on(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with driven(Debug, {"message": "n is {{ data.n }}"}) as run:
        assert await run.data({"n": 1}) == {"n": 1}
    async with driven(Debug) as run:
        await run.data({"text": "x" * 10_000})
    first, second = (record.getMessage() for record in caplog.records)
    assert first.endswith("n is 1")
    assert len(second) < MAX_LOGGED + 100
