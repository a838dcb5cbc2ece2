"""Outcome: what became of a member of a group."""

from dataclasses import dataclass
from typing import Any

from orchestrator.exceptions import Cancelled, NodeFailed, NodeTimeout, OrchestratorError


@dataclass(slots=True, kw_only=True, eq=False)
class Outcome:
    """What became of a member. `value` counts if `ok`, else `error`; `seconds` it took.

    cancelled: it was cut off because the group was decided without it.
    """

    name: str
    ok: bool
    value: Any = None
    error: Exception | None = None
    seconds: float = 0.0
    cancelled: bool = False

    @property
    def error_type(self) -> str:
        """The type of the error, such as `ValueError` or `not_found`; empty if `ok`."""
        if isinstance(self.error, NodeFailed) and self.error.error_type:
            return self.error.error_type
        if isinstance(self.error, OrchestratorError):
            return self.error.code
        return "" if self.error is None else type(self.error).__name__

    @property
    def message(self) -> str:
        """What the error says; empty if `ok`."""
        return "" if self.error is None else told(self.error)

    @property
    def described(self) -> str:
        """Type and message of the error: `ValueError: no such column`."""
        return f"{self.error_type}: {self.message}" if self.message else self.error_type


def told(error: Exception) -> str:
    return error.message if isinstance(error, OrchestratorError) else str(error)


def cut_off(name: str, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a member that had not ended when the group was decided."""
    error = Cancelled("cut off: the group was decided without it")
    return Outcome(name=name, ok=False, error=error, seconds=seconds, cancelled=True)


def took_too_long(seconds: float, who: str = "") -> NodeTimeout:
    return NodeTimeout(f"{who}took longer than {seconds:g} s", error_type="NodeTimeout")


def failed(name: str, error: BaseException, seconds: float = 0.0) -> Outcome:
    """Return the outcome of a member that raised."""
    if not isinstance(error, Exception):  # a member that exits or cancels itself has only failed
        kind = type(error).__name__
        error = NodeFailed(str(error) or f"the member raised {kind}", error_type=kind)
    return Outcome(name=name, ok=False, error=error, seconds=seconds)
