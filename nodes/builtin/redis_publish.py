"""The redis-publish node."""

import asyncio
from asyncio import IncompleteReadError, LimitOverrunError

from nodes.base import BlockingNode
from nodes.builtin.comparing import as_text
from nodes.builtin.items import add_fields
from nodes.builtin.resp import RedisConnection, RedisPlace, parse_redis
from nodes.contract import NodeOutput
from orchestrator.exceptions import InvalidRequest, NodeFailed


class RedisPublish(BlockingNode):
    """Publishes a message to a channel, or adds it to a stream, of a Redis server that is not ours.

    A channel reaches who listens at that moment; the number of them becomes the result. A stream
    keeps the message, whose id becomes the result. After a crash a message may be sent again.
    """

    identifier = "redis-publish"
    label = "Redis publish"
    description = "Publishes a message of each item to a channel or a stream of Redis."
    icon = "radio"
    category = "databases"
    form_class = "nodes.builtin.redis_publish_forms.RedisPublishForm"

    _connection: RedisConnection | None = None

    async def setup(self) -> None:
        self._turn = asyncio.Lock()
        self._place = await self._find()

    async def cleanup(self) -> None:
        self._drop()

    async def execute(self, item: NodeOutput) -> NodeOutput:
        values = self.values
        message, name = as_text(values["message"]), str(values["name"])
        if values["kind"] == "channel":
            words = ["PUBLISH", name, message]
        else:
            limit = ["MAXLEN", "~", str(values["keep"])] if values["keep"] else []
            words = ["XADD", name, *limit, "*", "message", message]
        answer = await self._send(words, values["timeout"])
        target = str(values["target"])
        return item.with_data(add_fields(item.data, {target: answer})) if target else item

    async def _send(self, words: list[str], timeout: float) -> str | int:
        """Send a command; on a connection that was lost meanwhile, once more on a new one."""
        async with self._turn:
            kept = self._connection is not None
            try:
                return await self._try(words, timeout)
            except (OSError, EOFError, LimitOverrunError) as error:
                if not kept or isinstance(error, TimeoutError):
                    raise self._away(error) from None
            try:
                return await self._try(words, timeout)
            except (OSError, EOFError, LimitOverrunError) as error:
                raise self._away(error) from None

    async def _try(self, words: list[str], timeout: float) -> str | int:
        try:
            async with asyncio.timeout(timeout):
                if self._connection is None:
                    self._connection = await RedisConnection.open(self._place, timeout)
                return await self._connection.call(*words)
        except NodeFailed:
            raise  # the server has answered: the connection is as good as before
        except BaseException:
            self._drop()
            raise

    def _away(self, error: Exception) -> NodeFailed:
        lost = isinstance(error, IncompleteReadError)
        reason = "it closed the connection" if lost else str(error) or "no answer in time"
        return NodeFailed(
            f"{self._place.host} port {self._place.port}: {reason}",
            node_id=self.id,
            error_type="NotConnected",
        )

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _find(self) -> RedisPlace:
        address = str(self.values["address"])
        if address:
            return parse_redis(address)
        credential = await self.credential("credential")
        try:
            return parse_redis(credential.values.get("url", ""))
        except InvalidRequest as error:
            raise NodeFailed(
                f"the credential {self.values['credential']!r}: {error.message}",
                node_id=self.id,
                error_type="CredentialRefused",
            ) from None
