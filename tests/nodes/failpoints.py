"""Places at which a process dies once, when a test has armed one of them.

The file `failpoint` of the test's folder names the place: a loop and a call of the store, as in
`reader-1 after_commit`, or a node, as in `record-1 before_execute`. Whoever comes by and removes
the file dies. Nothing is wrapped outside of a deployment under test.
"""

import os
from functools import wraps
from pathlib import Path
from typing import Any

from orchestrator.models import Checkpoint
from storage.records import Lease
from storage.redis_queue import RedisQueueStore

FOLDER = Path(os.environ.get("TEST_FOLDER") or os.environ["DATA_DIR"])
ARMED = FOLDER / "failpoint"
CALLS = ("begin", "read", "commit", "end")


def pass_by(place: str) -> None:
    """Die here, without any farewell, if this is the place."""
    try:
        if ARMED.read_text() != place:
            return
        ARMED.unlink()
    except FileNotFoundError:
        return
    os._exit(9)


def _wrap(name: str) -> None:
    call = getattr(RedisQueueStore, name)

    @wraps(call)
    async def wrapped(store: RedisQueueStore, lease: Lease, *args: Any, **options: Any) -> Any:
        pass_by(f"{lease.loop} before_{name}")
        answer = await call(store, lease, *args, **options)
        if answer != []:  # a read that found nothing has claimed nothing
            pass_by(f"{lease.loop} after_{name}")
        return answer

    setattr(RedisQueueStore, name, wrapped)


def _wrap_checkpoints() -> None:
    from orchestrator.runtime import checkpoints

    insert, create = checkpoints._insert, Checkpoint.objects.bulk_create

    def inserted(rows: Any) -> None:
        pass_by("before_checkpoint")
        insert(rows)
        pass_by("after_checkpoint")

    def created(rows: Any) -> Any:
        found = create(rows)
        pass_by("in_checkpoint")  # the transaction is open
        return found

    checkpoints._insert = inserted
    Checkpoint.objects.bulk_create = created  # type: ignore[method-assign]


if "TEST_FOLDER" in os.environ:
    for name in CALLS:
        _wrap(name)
    _wrap_checkpoints()
