"""The webhook producer, and the node that answers whoever called it."""

import asyncio

from nodes.base import BlockingNode, ProducerNode
from nodes.contract import REPLY, NodeContext, NodeOutput
from storage.records import ANSWER


class Webhook(ProducerNode):
    """Emits an item for each request to its path.

    The web process checks the request and puts it into the loop's inbox, which the engine reads:
    `execute` itself gives nothing, but on the bench, where it gives a sample.
    """

    identifier = "webhook"
    label = "Webhook"
    description = "Emits an item for each HTTP request to /webhooks/ and a path of your own."
    icon = "webhook"
    category = "web"
    form_class = "nodes.builtin.webhooks_forms.WebhookForm"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        if context.mode != "bench":
            await asyncio.Event().wait()
        values = self.values
        return item.with_data(
            {
                "method": values["methods"][0],
                "path": values["path"],
                "query": {},
                "headers": {},
                "body": values["sample"],
            }
        )


class HttpResponse(BlockingNode):
    """Answers the request that an item came with, when the iteration is committed. An item that
    nobody waits for is passed on all the same."""

    identifier = "http-response"
    label = "HTTP response"
    description = "Answers the request of a webhook that waits for its workflow."
    icon = "reply"
    category = "web"
    form_class = "nodes.builtin.webhooks_forms.HttpResponseForm"

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        values, reply = self.values, item.metadata.get(REPLY)
        if isinstance(reply, str) and reply.startswith(ANSWER):
            answer = {name: values[name] for name in ("status", "content_type", "body")}
            context.emit(reply, item.with_data(answer))
        return item
