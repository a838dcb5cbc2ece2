"""A file of times by number, which a node writes and whoever watches it reads."""

import mmap

COUNT = 1_000_000
SIZE = 8 * COUNT


def stamps(path: str) -> mmap.mmap:
    """Return the times as bytes that processes share."""
    with open(path, "r+b") as file:
        return mmap.mmap(file.fileno(), SIZE)
