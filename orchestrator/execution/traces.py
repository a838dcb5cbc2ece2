"""What a loop tells of its iterations when single items are to be followed."""

from typing import Protocol

from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.plan import Call, Step


class Traces(Protocol):
    """Follows some of the items of one slot; told of every iteration, it chooses.

    The producer's call is wrapped like any other: an item that is followed from its beginning is of
    a class of its own, and so takes the way on which `begin` is called.
    """

    def around(self, step: Step, call: Call) -> Call:
        """Wrap the call of a node."""

    def begin(self, context: ExecutionContext) -> None:
        """Note that the walk of an iteration begins; set `context.span` if it is followed."""

    def leave(self) -> None:
        """Note that this task goes on to other work; the background may still be at it."""

    def end(self, context: ExecutionContext) -> None:
        """Note how an iteration has ended, with what it left in the background."""
