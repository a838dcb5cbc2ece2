"""Retries of one node for one item, where its options ask for them."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

from nodes.contract import RetryPolicy


def delay_before(attempt: int, policy: RetryPolicy) -> float:
    """Return the seconds to wait before an attempt; the first retry is attempt 2."""
    delay = min(policy.delay * policy.backoff ** (attempt - 2), policy.max_delay)
    return delay * (1 + policy.jitter * random.uniform(-1, 1))


def with_retry(
    call: Callable[..., Awaitable[Any]], policy: RetryPolicy
) -> Callable[..., Awaitable[Any]]:
    """Return the call, repeated when it raises until the policy's attempts are used up."""

    async def retried(*args: Any) -> Any:
        for attempt in range(2, policy.max_attempts + 1):
            try:
                return await call(*args)
            except Exception:
                await asyncio.sleep(delay_before(attempt, policy))
        return await call(*args)

    return retried
