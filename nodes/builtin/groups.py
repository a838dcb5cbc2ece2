"""The node that calls several registered Python functions side by side."""

from nodes.base import BlockingNode
from nodes.contract import GroupContext, NodeOutput


class GroupNode(BlockingNode):
    """Calls tools side by side, waits for all, and adds each result under its member's name.

    When members failed and the policy allows that, the field `<id of the node>_errors` says of each
    what it failed with.
    """

    identifier = "group"
    label = "Group"
    description = "Calls several registered Python functions at once and waits for all of them."
    icon = "layers"
    category = "tools"
    form_class = "nodes.builtin.groups_forms.GroupForm"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: GroupContext
    ) -> NodeOutput:
        results = await context.run_group(self.id, self.values)
        return item.with_data({**item.data, **results})
