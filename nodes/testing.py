"""What a test of a node needs: `async with driven(MyNode, {"size": 2}) as run: ...`

It drives the node as the engine does and holds it to the contract: outputs and state are strict
JSON of an allowed size, and the input is not changed in place.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from nodes.base import BaseNode
from nodes.contract import (
    ExecutionCompleted,
    Json,
    NodeConfig,
    NodeOptions,
    NodeOutput,
    chosen_port,
)
from nodes.tools import ToolRegistry
from orchestrator.exceptions import WorkflowInvalid
from orchestrator.security.credentials import Credential
from storage.codec import decode, encode

MAX_STATE = 64 * 1024


class RecordingContext:
    """A context that keeps what the node hands to it."""

    def __init__(self, *, tools: ToolRegistry | None = None, mode: str = "production") -> None:
        self.tools = tools or ToolRegistry()
        self.mode = mode
        self.idempotency_key = "key"
        self.completing = False
        self.emitted: list[tuple[str, NodeOutput]] = []
        self.staged: list[Json] = []

    def emit(self, queue: str, item: NodeOutput) -> None:
        self.emitted.append((queue, item))

    def stage(self, effect: Json) -> None:
        encode(effect)
        self.staged.append(effect)

    def new_item(self, data: dict[str, Json]) -> NodeOutput:
        return NodeOutput("1:1:f", data)


class Driver:
    """Runs one node. `port` is the output port that was chosen for the last item."""

    def __init__(self, node: BaseNode, context: RecordingContext) -> None:
        self.node = node
        self.context = context
        self.port: str | None = None
        self._count = 0
        execute: Any = node.execute
        self._extra = (context,) if len(inspect.signature(execute).parameters) > 1 else ()
        self._execute = execute

    async def item(self, data: Mapping[str, Json] | None = None) -> NodeOutput | Any:
        """Run the node for one item and return what it returns."""
        self._count += 1
        item = NodeOutput(f"1:1:{self._count}", dict(data or {}))
        before = encode(item.data)
        chosen_port.set(None)
        self.node.render(item)
        if inspect.iscoroutinefunction(self._execute):
            output = await self._execute(item, *self._extra)
        else:
            output = await asyncio.to_thread(self._execute, item, *self._extra)
        self.port = chosen_port.get()
        if encode(item.data) != before:
            raise AssertionError("the node changed its input in place")
        if isinstance(output, NodeOutput):
            encode(output.data)
        encode(self.node.state, MAX_STATE)
        return output

    async def data(self, data: Mapping[str, Json] | None = None) -> dict[str, Json] | None:
        """Run the node for one item and return the data it passes on, or None."""
        output = await self.item(data)
        return output.data if isinstance(output, NodeOutput) else None

    async def all(self, limit: int = 10_000) -> list[dict[str, Json]]:
        """Run a producer to its completion, at most `limit` items, and return their data."""
        found: list[dict[str, Json]] = []
        while len(found) < limit:
            output = await self.item()
            if isinstance(output, ExecutionCompleted):
                break
            found.append(output.data)
        return found

    async def flush(self, *, completing: bool = False) -> dict[str, Json] | None:
        """Flush the node and return the data of what it emits, or None.

        Args:
            completing: because nothing more comes, and not because it is time.
        """
        self.context.completing = completing
        output = await self.node.flush(self.context)
        encode(self.node.state, MAX_STATE)
        return None if output is None else output.data


@contextmanager
def _known(credentials: Mapping[str, Credential]) -> Iterator[None]:
    """Let forms know of these credentials and no others, as long as there are any."""
    if not credentials:
        yield
        return
    from forms.fields import CredentialField

    before = CredentialField.known
    kinds = {name: credential.kind for name, credential in credentials.items()}
    CredentialField.known = staticmethod(lambda: kinds)
    try:
        yield
    finally:
        CredentialField.known = staticmethod(before)


@asynccontextmanager
async def driven(
    node_class: type[BaseNode],
    form: Mapping[str, Json] | None = None,
    *,
    state: Json = None,
    context: RecordingContext | None = None,
    options: NodeOptions | None = None,
    credentials: Mapping[str, Credential] | None = None,
) -> AsyncIterator[Driver]:
    """Make a node, check its settings, set it up, and clean it up at the end.

    `state` is what a former life of the node committed; `credentials` are those that there are, by
    name.

    Raises:
        WorkflowInvalid: with the problems of the settings.
    """
    config = NodeConfig(
        id="1", type=node_class.identifier, form=form or {}, options=options or NodeOptions()
    )
    node = node_class(config)
    for name, credential in (credentials or {}).items():
        node.credentials.add(name, credential)
    with _known(credentials or {}):
        problems = node.validate()
    if problems:
        text = "; ".join(f"{problem.path}: {problem.message}" for problem in problems)
        raise WorkflowInvalid(text, problems=tuple(problems))
    node.state = decode(encode(state))
    try:
        await node.init()
        yield Driver(node, context or RecordingContext())
    finally:
        await node.cleanup()
