"""Every error the project raises, as one tree.

    OrchestratorError
    ├── WorkflowInvalid          the JSON of a workflow cannot be used
    ├── InvalidRequest           another input of a client cannot be used
    │   └── KeyReused            an idempotency key came with another request before
    ├── InvalidPayload           a value is not strict JSON, too deep or too large
    ├── NotFound
    │   └── UnknownTask          no task is registered under a name
    ├── NotAllowed
    ├── NotAuthenticated
    ├── Conflict
    │   ├── MissingInput         the bench has no input for a node
    │   ├── NotReached           no condition on an edge to a node is true on the bench
    │   └── Cancelled            somebody has cancelled it
    │       └── WorkflowCancelled a run was cancelled, by a task or from outside
    ├── NodeFailed               a node raised
    │   ├── NodeTimeout          a node took longer than allowed
    │   └── GroupFailed          members of a group failed, and its policy does not allow that
    ├── EgressDenied             a node wanted to connect to what is closed to it
    ├── EgressFailed             a system outside is away, or its answer cannot be used
    ├── FormFailed               a form class raised, or cannot be loaded
    ├── TemplateInvalid          a template is refused when it is saved
    ├── TemplateFailed           a template cannot be rendered for this item
    ├── StepLimitExceeded        a walk took more steps than allowed
    ├── EdgeLimitExceeded        an edge that closes a cycle was followed too often
    ├── RunTimeout               a run took longer than allowed
    ├── SteeringRefused          a control that has no meaning where it was called
    ├── NotPortable              a closure was queued or checkpointed
    ├── ToolFailed               a tool raised
    │   └── ToolTimeout          a tool took longer than allowed
    ├── NoWorker                 no worker is alive that could do it
    ├── Busy                     as many as allowed are running
    ├── NoAnswer                 a workflow has not answered a webhook in time
    ├── CredentialsClosed        no key, or not the one, or a credential that is not at hand
    ├── StoreUnavailable         Redis or the database is away
    ├── StoreRefused             the server cannot give the guarantees
    ├── LeaseLost                another owner holds the slot
    └── RegistryError
        ├── UnknownNodeType
        ├── DuplicateNodeType
        ├── UnknownTool
        ├── DuplicateTool
        └── DuplicateTask

The docstring of a class is its default message.
"""

from typing import Any, NamedTuple


class Problem(NamedTuple):
    """One thing that is wrong, and where: `nodes[2].data.form.url`."""

    path: str
    message: str


class OrchestratorError(Exception):
    """Something went wrong."""

    code = "error"

    def __init__(self, message: str = "", *, problems: tuple[Problem, ...] = ()) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.problems = problems
        super().__init__(self.message)


class WorkflowInvalid(OrchestratorError):
    """The workflow is not valid."""

    code = "invalid_workflow"


class InvalidRequest(OrchestratorError):
    """The request is not valid."""

    code = "invalid_request"


class KeyReused(InvalidRequest):
    """This idempotency key came with another request before."""

    code = "key_reused"


class InvalidPayload(OrchestratorError):
    """The value is not strict JSON."""

    code = "invalid_payload"


class PayloadTooLarge(InvalidPayload):
    """The value is too large."""

    code = "too_large"


class NotFound(OrchestratorError):
    """There is no such thing."""

    code = "not_found"


class UnknownTask(NotFound):
    """No task has this name."""

    code = "unknown_task"


class NotAuthenticated(OrchestratorError):
    """Log in, or send a valid bearer token."""

    code = "not_authenticated"


class NotAllowed(OrchestratorError):
    """You may not do this."""

    code = "not_allowed"


class Conflict(OrchestratorError):
    """The present state does not allow this."""

    code = "conflict"


class MissingInput(Conflict):
    """Run the upstream nodes first."""

    code = "missing_input"

    def __init__(self, nodes: tuple[str, ...]) -> None:
        self.nodes = nodes
        problems = tuple(Problem(f"nodes.{n}", "has no cached output") for n in nodes)
        super().__init__(
            f"no cached output of {', '.join(nodes)}: run them first, or send an input",
            problems=problems,
        )


class NotReached(Conflict):
    """No condition on an edge to this node is true for the cached outputs."""

    code = "not_reached"


class Cancelled(Conflict):
    """It was cancelled."""

    code = "cancelled"


class WorkflowCancelled(Cancelled):
    """The run was cancelled."""

    code = "workflow_cancelled"


class NodeFailed(OrchestratorError):
    """A node failed.

    `kinds` are the names of the class of what it raised, and of its bases.
    """

    code = "node_failed"

    def __init__(
        self,
        message: str = "",
        *,
        node_id: str = "",
        error_type: str = "",
        trace: str = "",
        node_input: Any = None,
        kinds: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.node_id = node_id
        self.error_type = error_type
        self.trace = trace
        self.node_input = node_input
        self.kinds = kinds or (error_type,)


class NodeTimeout(NodeFailed):
    """A node took longer than allowed."""

    code = "node_timeout"


class GroupFailed(NodeFailed):
    """A group failed; `problems` has each member that did, `members.<name>`, and its error.

    Args:
        size: how many members the group has.
        reason: what a policy of one's own says.
    """

    code = "group_failed"

    def __init__(
        self, group: str, *, size: int, problems: tuple[Problem, ...], reason: str = ""
    ) -> None:
        named = ", ".join(f"{p.path.removeprefix('members.')} ({p.message})" for p in problems)
        message = f"the group {group!r}: {len(problems)} of {size} members failed"
        message += (f": {named}" if named else "") + (f"; {reason}" if reason else "")
        super().__init__(message, error_type=self.code)
        self.group = group
        self.problems = problems


class EgressDenied(OrchestratorError):
    """This place is closed to nodes."""

    code = "egress_denied"


class EgressFailed(OrchestratorError):
    """A system outside is away, or its answer cannot be used.

    Args:
        unsent: nothing of the request has left.
    """

    code = "egress_failed"

    def __init__(self, message: str = "", *, unsent: bool = False) -> None:
        super().__init__(message)
        self.unsent = unsent


class FormFailed(OrchestratorError):
    """The form of a node type failed."""

    code = "form_failed"


class TemplateInvalid(OrchestratorError):
    """The template is not allowed."""

    code = "invalid_template"

    def __init__(self, message: str = "", *, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class TemplateFailed(OrchestratorError):
    """The template could not be rendered."""

    code = "template_failed"


class StepLimitExceeded(OrchestratorError):
    """The walk took more steps than allowed."""

    code = "step_limit"

    def __init__(self, limit: int, path: tuple[str, ...]) -> None:
        self.limit = limit
        self.path = path
        super().__init__(f"more than {limit} steps: {' -> '.join(path[-10:])}")


class EdgeLimitExceeded(StepLimitExceeded):
    """An edge that closes a cycle was followed more often than its budget allows."""

    code = "edge_limit"


class RunTimeout(OrchestratorError):
    """The run took longer than allowed."""

    code = "run_timeout"


class SteeringRefused(OrchestratorError):
    """This control has no meaning here."""

    code = "steering_refused"


class NotPortable(OrchestratorError):
    """A closure cannot be queued or checkpointed; register the function by name."""

    code = "not_portable"


class ToolFailed(OrchestratorError):
    """The tool failed."""

    code = "tool_failed"


class ToolTimeout(ToolFailed):
    """The tool took longer than allowed."""

    code = "tool_timeout"


class NoWorker(OrchestratorError):
    """No worker is alive: start one with `manage.py worker`."""

    code = "no_worker"


class Busy(OrchestratorError):
    """As many as allowed are running; try again."""

    code = "busy"


class NoAnswer(OrchestratorError):
    """The workflow has not answered in time."""

    code = "no_answer"


class CredentialsClosed(OrchestratorError):
    """No key opens it."""

    code = "credentials_closed"


class StoreUnavailable(OrchestratorError):
    """Redis cannot be reached."""

    code = "store_unavailable"


class StoreRefused(OrchestratorError):
    """This server cannot give the guarantees."""

    code = "store_refused"


class LeaseLost(OrchestratorError):
    """Another owner holds the slot."""

    code = "lease_lost"


class RegistryError(OrchestratorError):
    """The registry refused."""

    code = "registry"


class UnknownNodeType(RegistryError):
    """No node has this type."""

    code = "unknown_node_type"


class DuplicateNodeType(RegistryError):
    """Two nodes have one identifier."""

    code = "duplicate_node_type"


class UnknownTool(RegistryError):
    """No tool has this name."""

    code = "unknown_tool"


class DuplicateTool(RegistryError):
    """Two tools have one name."""

    code = "duplicate_tool"


class DuplicateTask(RegistryError):
    """Two tasks have one name."""

    code = "duplicate_task"
