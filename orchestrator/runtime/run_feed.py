"""What a run tells the world while it goes on. Best effort: the database has the truth."""

import contextlib
from typing import Any

import orjson

from orchestrator.exceptions import StoreUnavailable
from storage.base import Feed
from storage.runs import StepRecord

PREFIX = "!run:"
"""Before the id of a run, where the feed has the id of a workflow: no slug begins with it."""
MAX_EVENT = 64 * 1024
"""Bytes of a step that is told; of a larger one the changes are left out."""


def shown(step: StepRecord) -> dict[str, Any]:
    """Return a step as JSON, without its changes when they are large."""
    told = step.marshal()
    return told if len(orjson.dumps(told)) <= MAX_EVENT else {**told, "changes": None}


async def publish_step(feed: Feed, run_id: str, step: StepRecord) -> None:
    """Tell that a step has ended."""
    await _publish(feed, run_id, {"type": "run_step", "step": shown(step)})


async def publish_status(feed: Feed, run_id: str, status: str, **more: Any) -> None:
    """Tell that the run has another status; `more` is what else is known, such as the error."""
    await _publish(feed, run_id, {"type": "run_status", "status": status, **more})


async def _publish(feed: Feed, run_id: str, event: dict[str, Any]) -> None:
    with contextlib.suppress(StoreUnavailable):
        await feed.publish(f"{PREFIX}{run_id}", {}, [orjson.dumps(event)])
