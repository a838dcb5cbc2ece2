"""The clock by which leases end: it goes on while the machine sleeps, and nobody sets it."""

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def now() -> float:
    """Return the seconds since the machine was started; the same for all its processes."""
    return time.clock_gettime(_CLOCK)
