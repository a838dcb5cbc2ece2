"""What is shipped reads nothing that could run code when it is read."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("config", "orchestrator", "nodes", "forms", "storage", "examples")
UNSAFE = re.compile(r"\b(pickle|shelve|dill|cloudpickle)\b|import marshal|yaml\.load\(")


def test_nothing_is_read_that_could_run_code():
    files = [path for room in ROOMS for path in (ROOT / room).rglob("*.py")]
    assert len(files) > 200
    assert [path for path in files if UNSAFE.search(path.read_text())] == []
