"""What a task raised as JSON, so that it can travel, and back."""

from orchestrator.exceptions import InvalidPayload, NodeFailed, NodeTimeout, OrchestratorError
from storage.codec import printable
from storage.tasks import TaskResult

FAILED, TIMEOUT, WORKER_LOST, INVALID = "failed", "timeout", "worker_lost", "invalid"
_MESSAGE_LIMIT = 2_000


def kinds_of(error: BaseException) -> tuple[str, ...]:
    """Return the names of the error's class and of its bases."""
    if isinstance(error, NodeFailed) and error.error_type:
        return error.kinds
    return tuple(kind.__name__ for kind in type(error).__mro__[:-2])


def failure(error: BaseException, seconds: float = 0.0, reason: str = FAILED) -> TaskResult:
    """Return the result of a task, or of a member, that raised."""
    kind = error.error_type if isinstance(error, NodeFailed) else ""
    ours = isinstance(error, OrchestratorError)
    return TaskResult(
        ok=False,
        error_type=printable(kind or type(error).__name__),
        message=printable(str(error))[:_MESSAGE_LIMIT],
        reason=INVALID if isinstance(error, InvalidPayload) else reason,
        code=error.code if isinstance(error, OrchestratorError) else "",
        details=[p._asdict() for p in error.problems] if ours else (),  # type: ignore[attr-defined]
        seconds=seconds,
    )


def error_of(result: TaskResult, kinds: tuple[str, ...] = ()) -> NodeFailed:
    """Return the error that a failed result stands for."""
    kind = NodeTimeout if result.reason == TIMEOUT else NodeFailed
    return kind(result.message, error_type=result.error_type, kinds=kinds)
