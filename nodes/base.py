"""The classes a node author starts from."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar

from nodes.contract import (
    DEFAULT_PORT,
    ExecutionCompleted,
    Json,
    NodeConfig,
    NodeContext,
    NodeKind,
    NodeOutput,
    PoolType,
    chosen_port,
)
from orchestrator.exceptions import CredentialsClosed, NodeFailed, Problem
from orchestrator.security.credentials import Credential, Credentials

if TYPE_CHECKING:
    from forms.base import BaseForm

_rendered: ContextVar[Mapping[str, Json]] = ContextVar("rendered_form_values")


class BaseNode:
    """One unit of work.

    Life: `__init__(config)` when a workflow is loaded; `init()` (`is_ready`, then `setup`) before
    the first item; per item the form's templates are rendered and `execute` is called;
    `cleanup()` at the end, always, also after a failure.

    One instance serves every item of a loop, several at a time behind a non-blocking node: keep
    what belongs to one item in local variables. `state` is small JSON that is committed with the
    items; replace it (`self.state = {...}`), never change it in place.
    """

    identifier: ClassVar[str] = ""
    label: ClassVar[str] = ""
    description: ClassVar[str] = ""
    icon: ClassVar[str] = "box"
    category: ClassVar[str] = "other"
    kind: ClassVar[NodeKind] = NodeKind.BLOCKING
    execution_pool: ClassVar[PoolType] = PoolType.ASYNC
    input_ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    output_ports: ClassVar[tuple[str, ...]] = (DEFAULT_PORT,)
    form_class: ClassVar[str | None] = None
    """Dotted path of the form, `nodes.builtin.text_forms.ParseForm`; loaded on first use."""
    stateful: ClassVar[bool] = False
    queue_role: ClassVar[str | None] = None
    """`writer` or `reader` for a node at one end of a queue."""
    staged: ClassVar[bool] = False
    """Whether the node stages effects, which it applies itself in commit order."""
    flush_after: float | None = None
    """Seconds after which `flush` is called when items are held back; None for never."""
    repeats: ClassVar[str | None] = None
    """The port of what the node gives round by round; see `RoundsContext`."""
    flushes_many: ClassVar[bool] = False
    """Whether `flush` is called again as long as it emits something."""

    def __init__(self, config: NodeConfig) -> None:
        self.config = config
        self.state: Json = None
        self.templated = False
        self.credentials = Credentials()
        """Those that came with the order to run this node."""
        self._values: Mapping[str, Json] = {}
        self._render: Callable[[dict[str, Json]], Mapping[str, Json]] | None = None

    @property
    def id(self) -> str:
        return self.config.id

    @property
    def values(self) -> Mapping[str, Json]:
        """The cleaned form values, rendered for the item in hand."""
        return _rendered.get() if self.templated else self._values

    @classmethod
    def load_form(cls) -> "type[BaseForm] | None":
        """Import and return the form class, or None for a node without settings."""
        if cls.form_class is None:
            return None
        from forms.base import load_form_class

        return load_form_class(cls.form_class)

    def ports(self) -> tuple[str, ...]:
        """The output ports this node has with its settings; a switch makes them from its form."""
        return self.output_ports

    def credential_names(self) -> dict[str, str]:
        """Return the names of the credentials that the settings use, by field."""
        form_class = self.load_form()
        return {} if form_class is None else form_class.credential_names(self.config.form)

    async def credential(self, field: str) -> Credential:
        """Return the credential that a field names. Keep it in local variables: what it holds may
        stand in no output, no state and no error.

        Raises:
            NodeFailed: the field names none, or it cannot be opened here.
        """
        name = self.values[field]
        if not name:
            raise NodeFailed(f"{field} names no credential", error_type="CredentialMissing")
        try:
            return self.credentials.open(str(name))
        except CredentialsClosed as error:
            raise NodeFailed(error.message, error_type="CredentialMissing") from None

    def writes_path(self) -> str | None:
        """Return the file the node writes, so that two nodes are not given the same one."""
        return None

    def validate(self) -> list[Problem]:
        """Return every problem of the settings; paths start at the node: `data.form.url`."""
        form_class = self.load_form()
        if form_class is None:
            return []
        return [
            Problem(f"data.form.{name}" if name != "__all__" else "data.form", message)
            for name, message in form_class.problems(
                self.config.form, advanced=self.config.options.advanced_templates
            )
        ]

    async def init(self) -> None:
        """Clean the settings once and set the node up.

        Raises:
            NodeFailed: the settings are invalid or the node is not ready.
        """
        self._bind_form()
        reason = await self.is_ready()
        if reason:
            raise NodeFailed(reason, node_id=self.id, error_type="NotReady")
        await self.setup()

    def _bind_form(self) -> None:
        form_class = self.load_form()
        if form_class is None:
            return
        bound = form_class.bind(self.config.form, advanced=self.config.options.advanced_templates)
        self._values = bound.static_values
        self._render = bound.render
        self.templated = bound.templated
        _rendered.set(bound.static_values)  # what `setup` reads, before there is an item

    async def is_ready(self) -> str:
        """Return why the node cannot work, or an empty string."""
        return ""

    async def setup(self) -> None:
        """Open what the node needs; `self.values` of fields without a template are there."""

    def render(self, item: NodeOutput) -> None:
        """Render the templates for one item, so that `values` are this item's in this task.

        Raises:
            TemplateFailed: a template has no value, takes too long or is too large.
            NodeFailed: a rendered value is not valid for its field.
        """
        if self._render is not None:
            _rendered.set(self._render(item.data))

    async def execute(self, item: NodeOutput) -> NodeOutput | ExecutionCompleted | None:
        """Work on one item; None passes nothing on.

        Declare `execute(self, item, context)` to use the context, and a plain `def` to be run in
        a thread.
        """
        raise NotImplementedError(f"{type(self).__name__}.execute")

    async def flush(self, context: NodeContext) -> NodeOutput | None:
        """Emit what is held back: at completion, and `flush_after` seconds after an item."""
        return None

    async def cleanup(self) -> None:
        """Release what `setup` took; also called after a failure."""


class ProducerNode(BaseNode):
    """Starts an iteration. `execute` gets an empty item that already has its identity and returns
    it `with_data`, or `ExecutionCompleted`.

    It may wait inside `execute` and be cancelled there when the loop stops: change `self.state`
    (the cursor) only right before returning.
    """

    kind = NodeKind.PRODUCER
    input_ports = ()
    stateful = True

    async def execute(self, item: NodeOutput) -> NodeOutput | ExecutionCompleted:
        raise NotImplementedError(f"{type(self).__name__}.execute")


class BlockingNode(BaseNode):
    """Awaited with everything downstream of it before the producer is called again."""


class NonBlockingNode(BaseNode):
    """Awaited itself; what is downstream of it goes on while the producer is called again."""

    kind = NodeKind.NON_BLOCKING


class ConditionalNode(BaseNode):
    """Chooses the output port that the item leaves by."""

    kind = NodeKind.CONDITIONAL
    output_ports: ClassVar[tuple[str, ...]] = ("yes", "no")

    def set_output(self, port: bool | str) -> None:
        """Choose the port for the item in hand: a name, or True and False for `yes` and `no`."""
        chosen_port.set(("yes" if port else "no") if isinstance(port, bool) else port.lower())
