"""How often slots failed or lost their host in a row, and when each is tried again."""

import time
from dataclasses import dataclass

MAX_FAILURES = 5
MAX_CRASHES = 10
_BACKOFF_MAX = 30.0


@dataclass(slots=True)
class _Trouble:
    failures: int = 0
    crashes: int = 0
    retry_at: float = 0.0


class Troubles:
    """By the key of a slot; forgotten as soon as its loop gets an iteration done."""

    def __init__(self) -> None:
        self._of: dict[str, _Trouble] = {}

    def may_try(self, key: str) -> bool:
        trouble = self._of.get(key)
        return trouble is None or time.monotonic() >= trouble.retry_at

    def forget(self, key: str) -> None:
        self._of.pop(key, None)

    def crashed(self, key: str) -> bool:
        """Count a lost host, and tell whether it may be tried again."""
        trouble = self._of.setdefault(key, _Trouble())
        trouble.crashes += 1
        if trouble.crashes > 3:
            _put_off(trouble, trouble.crashes - 3)
        return trouble.crashes <= MAX_CRASHES

    def failed(self, key: str) -> bool:
        """Count a failure, and tell whether it may be tried again."""
        trouble = self._of.setdefault(key, _Trouble())
        trouble.failures += 1
        _put_off(trouble, trouble.failures - 1)
        return trouble.failures <= MAX_FAILURES


def _put_off(trouble: _Trouble, doublings: int) -> None:
    trouble.retry_at = time.monotonic() + min(2.0 ** min(doublings, 10), _BACKOFF_MAX)
