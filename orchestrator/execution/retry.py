"""Retries of one node for one item, where its options ask for them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from nodes.contract import Node, RetryPolicy


def delay_before(attempt: int, policy: RetryPolicy) -> float:
    """Return the seconds to wait before an attempt; the first retry is attempt 2."""
    delay = min(policy.delay * policy.backoff ** (attempt - 2), policy.max_delay)
    return delay * (1 + policy.jitter * random.uniform(-1, 1))


def with_retry(
    call: Callable[..., Awaitable[Any]], policy: RetryPolicy, node: Node
) -> Callable[..., Awaitable[Any]]:
    """Return the call, repeated when it raises until the policy's attempts are used up.

    An attempt that raised leaves nothing: neither what it staged nor its change of state.
    """

    async def retried(*args: Any) -> Any:
        for attempt in range(2, policy.max_attempts + 1):
            state = node.state
            try:
                return await call(*args)
            except Exception:
                node.state = state
                for context in args[1:]:
                    context.take_back()
                await asyncio.sleep(delay_before(attempt, policy))
        return await call(*args)

    return retried
