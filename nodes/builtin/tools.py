"""The node that calls a registered Python function."""

from nodes.base import BlockingNode
from nodes.builtin.items import add_fields
from nodes.contract import NodeContext, NodeOutput


class ToolNode(BlockingNode):
    """Calls a tool with arguments from the item and adds its result as a field."""

    identifier = "tool"
    label = "Tool"
    description = "Calls a registered Python function; its result becomes a field of the item."
    icon = "wrench"
    category = "tools"
    form_class = "nodes.builtin.tools_forms.ToolForm"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        values = self.values
        result = await context.tools.call(str(values["tool"]), values["arguments"] or {})
        field = {str(values["target"]): result}
        if values["replace"]:
            return item.with_data({**item.data, **field})
        return item.with_data(add_fields(item.data, field))
