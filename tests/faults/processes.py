"""What a process holds, as Linux tells it."""

from collections.abc import Iterable
from pathlib import Path

MEGABYTE = 1024**2
_PAGE = 4096


def resident(pids: Iterable[int]) -> int:
    """Return the bytes of memory of processes; one that has ended holds nothing."""
    return sum(_resident(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def holdings(pid: int) -> dict[str, float] | None:
    """Return the memory (MB), open files and threads of a process; None when it has ended."""
    try:
        files, threads = (
            len(list(Path(f"/proc/{pid}/{name}").iterdir())) for name in ("fd", "task")
        )
    except (FileNotFoundError, ProcessLookupError):
        return None
    return {"MB": resident([pid]) / MEGABYTE, "files": files, "threads": threads}
