"""Nodes that choose where an item goes, or whether: if-condition, filter and switch."""

from collections.abc import Callable, Mapping

from nodes.base import BaseNode, BlockingNode, ConditionalNode
from nodes.builtin.comparing import as_text, make_test
from nodes.builtin.items import is_template, value_reader
from nodes.contract import DEFAULT_PORT, Json, NodeOutput


def comparison(node: BaseNode) -> Callable[[Mapping[str, Json]], bool]:
    """Return the test that `field`, `operator` and `value` of a node's form describe."""
    read, operator = value_reader(node, "field"), str(node.values["operator"])
    if is_template(node.config.form.get("value")):
        return lambda data: make_test(operator, node.values["value"])(read(data))
    test = make_test(operator, node.values["value"])
    return lambda data: test(read(data))


class IfCondition(ConditionalNode):
    """Compares a value of the item and leaves by `yes` or `no`."""

    identifier = "if-condition"
    label = "If"
    description = "Sends an item to yes or no, by comparing one of its fields."
    icon = "git-branch"
    category = "flow"
    form_class = "nodes.builtin.conditions_forms.IfConditionForm"

    async def setup(self) -> None:
        self._holds = comparison(self)

    async def execute(self, item: NodeOutput) -> NodeOutput:
        self.set_output(self._holds(item.data))
        return item


class Filter(BlockingNode):
    """Compares a value of the item as if-condition does, and passes it on only if that holds."""

    identifier = "filter"
    label = "Filter"
    description = "Passes an item on only if a comparison of one of its fields holds."
    icon = "filter"
    category = "flow"
    form_class = "nodes.builtin.conditions_forms.IfConditionForm"

    async def setup(self) -> None:
        self._holds = comparison(self)

    async def execute(self, item: NodeOutput) -> NodeOutput | None:
        return item if self._holds(item.data) else None


class Switch(ConditionalNode):
    """Compares the text of a value with its cases and leaves by the port of the one that is equal,
    or by `default`. Several cases may lead to one port."""

    identifier = "switch"
    label = "Switch"
    description = "Sends an item to one of several ports, by a value of it."
    icon = "split"
    category = "flow"
    form_class = "nodes.builtin.conditions_forms.SwitchForm"
    output_ports = (DEFAULT_PORT,)

    def ports(self) -> tuple[str, ...]:
        named = named_ports(self.config.form.get("cases")).values()
        return tuple(dict.fromkeys((*named, DEFAULT_PORT)))

    async def setup(self) -> None:
        self._read = value_reader(self, "value")
        self._ports = named_ports(self.values["cases"])

    async def execute(self, item: NodeOutput) -> NodeOutput:
        self.set_output(self._ports.get(as_text(self._read(item.data)), DEFAULT_PORT))
        return item


def named_ports(cases: Json) -> dict[str, str]:
    """Return the port of each case; one that names none is its own port.

    Takes settings as they are given, an object or rows; the form says what is wrong with them.
    """
    if isinstance(cases, list):
        rows = [row for row in cases if isinstance(row, dict)]
        cases = {str(row.get("key", "")).strip(): row.get("value") for row in rows}
    if not isinstance(cases, dict):
        return {}
    return {case: as_text(port or case).strip().lower() for case, port in cases.items()}
