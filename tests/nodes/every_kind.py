"""Nodes with forms: one that has a field of every kind, and two that do not work."""

from nodes.base import BlockingNode
from nodes.contract import NodeOutput


class EveryKind(BlockingNode):
    identifier = "every-kind"
    label = "Every kind"
    form_class = "tests.nodes.every_kind_forms.EveryKindForm"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        return item.with_data(dict(self.values))


class OutOfReach(BlockingNode):
    identifier = "out-of-reach"
    label = "Out of reach"
    form_class = "tests.nodes.every_kind_forms.OutOfReachForm"


class BrokenForm(BlockingNode):
    identifier = "broken-form"
    label = "Broken form"
    form_class = "tests.nodes.every_kind_forms.BrokenForm"
