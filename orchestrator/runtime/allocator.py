"""What the C library does with large blocks of memory that are freed."""

import ctypes

_M_MMAP_THRESHOLD = -3
_LARGE = 128 * 1024


def return_large_blocks() -> None:
    """Give each freed block of 128 KB or more back to the system at once.

    glibc raises that limit by itself to the size of what was freed, up to 32 MB. From the first
    large body on, the next ones are then cut from a heap that is shared with small blocks and
    never shrinks below the highest of them. Other C libraries are left as they are.

    Source: mallopt(3), on M_MMAP_THRESHOLD.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
