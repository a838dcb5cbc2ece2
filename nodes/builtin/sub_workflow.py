"""The sub-workflow node."""

from nodes.base import BlockingNode
from nodes.builtin.items import add_fields
from nodes.contract import CallsContext, NodeOutput


class SubWorkflow(BlockingNode):
    """Hands each item to another stored workflow, by a queue that this one reads, and may wait for
    its answer.

    By a queue and not as a run: the other workflow keeps its own version, credentials, slots and
    dead letters, works on when this one is stopped, and has each item once, also after a crash.
    Whether it runs at that moment does not matter; what it is given waits for it.
    """

    identifier = "sub-workflow"
    label = "Sub-workflow"
    description = "Hands each item to another workflow, and may wait for what it answers."
    icon = "workflow"
    category = "flow"
    form_class = "nodes.builtin.sub_workflow_forms.SubWorkflowForm"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: CallsContext
    ) -> NodeOutput:
        values = self.values
        data = values["data"] or item.data
        answer = await context.call(
            str(values["workflow"]),
            str(values["queue"]),
            NodeOutput(item.id, data),
            max_length=values["max_length"],
            wait=values["timeout"] if values["wait"] else None,
        )
        if answer is None:
            return item
        return item.with_data(add_fields(item.data, {str(values["target"]): answer}))
