"""Nodes that choose the port an item leaves by: if-condition and switch."""

from nodes.base import ConditionalNode
from nodes.builtin.comparing import Test, as_text, make_test
from nodes.builtin.items import is_template, value_reader
from nodes.contract import DEFAULT_PORT, Json, NodeOutput


class IfCondition(ConditionalNode):
    """Compares a value of the item and leaves by `yes` or `no`."""

    identifier = "if-condition"
    label = "If"
    description = "Sends an item to yes or no, by comparing one of its fields."
    icon = "git-branch"
    category = "flow"
    form_class = "nodes.builtin.conditions_forms.IfConditionForm"

    async def setup(self) -> None:
        values = self.values
        self._read = value_reader(self, "field")
        self._operator = str(values["operator"])
        self._test: Test | None = None
        if not is_template(self.config.form.get("value")):
            self._test = make_test(self._operator, values["value"])

    async def execute(self, item: NodeOutput) -> NodeOutput:
        test = self._test or make_test(self._operator, self.values["value"])
        self.set_output(test(self._read(item.data)))
        return item


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
