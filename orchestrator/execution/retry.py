"""Retries: what is tried again, when, and the records of what failed.

A failed iteration whose node has a policy is put off: its item goes into the loop's delayed set
with the commit that takes it from its source, and others pass meanwhile. It goes on at the node
that failed, with the input it had, if the iteration had neither staged anything nor forked before;
otherwise it begins again as a whole, as if it had never begun.
"""

import random
import time
from typing import Any

from nodes.contract import NodeOutput, RetryPolicy
from orchestrator.exceptions import InvalidPayload, NodeFailed
from orchestrator.execution.context import ExecutionContext
from orchestrator.execution.envelope import seal
from storage.codec import printable

_MESSAGE_LIMIT = 2_000
_NO_ATTEMPT = ("WorkerLost", "UnknownNode")
"""Failures in which no node has raised."""


def delay_before(attempt: int, policy: RetryPolicy) -> float:
    """Return the seconds to wait before an attempt; the first retry is attempt 2."""
    delay = min(policy.delay * policy.backoff ** (attempt - 2), policy.max_delay)
    return delay * (1 + policy.jitter * random.uniform(-1, 1))


def allows(policy: RetryPolicy, failure: NodeFailed) -> bool:
    """Tell whether a policy lets this kind of failure be tried again."""
    kinds = set(failure.kinds)
    wanted = not policy.retry_on or not kinds.isdisjoint(policy.retry_on)
    return wanted and kinds.isdisjoint(policy.give_up_on)


def attempt_record(context: ExecutionContext, failure: NodeFailed) -> dict[str, Any]:
    """Return what is kept of an attempt that failed: which, when, where, by whom, and why."""
    scope = context.scope
    before = sum(attempt.get("node_id") == failure.node_id for attempt in context.attempts)
    return {
        "n": before + 1,
        "at": time.time(),
        "node_id": failure.node_id,
        "worker": f"{scope.loop}/{scope.slot}",
        "token": scope.token,
        "error_type": printable(failure.error_type),
        "message": printable(failure.message)[:_MESSAGE_LIMIT],
    }


def put_off(context: ExecutionContext, policy: RetryPolicy | None) -> None:
    """Have a failed iteration tried again, if the policy of the failed node allows one more."""
    failure = context.failure
    if failure is None or failure.error_type in _NO_ATTEMPT:
        return
    record = attempt_record(context, failure)
    context.attempts = [*context.attempts, record]
    if policy is None or record["n"] >= policy.max_attempts:
        return
    if not allows(policy, failure):
        context.failure_reason = "non_retryable"
        return
    body = _sealed(context, failure)
    if body is not None:
        context.delayed = delay_before(record["n"] + 1, policy), body


def _sealed(context: ExecutionContext, failure: NodeFailed) -> bytes | None:
    """Return the envelope of what is tried again; None when it cannot be."""
    where: dict[str, Any] = {}
    item = context.begun_with
    given = failure.node_input
    if context.straight and isinstance(given, NodeOutput):
        where = {"entry_node": failure.node_id, "start": item}
        item = NodeOutput(item.id, given.data, given.metadata)
    elif context.entry_node is not None:
        where = {"entry_node": context.entry_node, "start": item}
        item = context.item
    elif context.flushed:
        return None
    try:
        return seal(
            item,
            activation=context.scope.activation,
            version=context.scope.version,
            born=context.born or time.time(),
            attempts=context.attempts,
            origin=context.origin,
            **where,
        )
    except InvalidPayload:
        return None
