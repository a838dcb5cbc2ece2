"""A workflow file, run here and now: `manage.py run_workflow`."""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.utils.text import slugify

from orchestrator.conf import orchestrator_settings
from orchestrator.exceptions import Conflict, StoreRefused
from orchestrator.flow.builder import LoadedFlow
from orchestrator.runtime import embedded, lifeline, private
from orchestrator.runtime.credentials import Order, sealed, used_by
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.local import LocalRun, Outcome
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import credential_use as _  # noqa: F401  # forms ask it for names
from orchestrator.services.examples import copy_data
from storage.codec import decode
from storage.datastore import open_store

Watch = Callable[[LocalRun], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a run ended. `signal` is the one that asked for it to stop, or None."""

    outcome: Outcome
    signal: int | None


def run_file(
    actor: Actor, path: Path, *, watch: Watch, redis_url: str = "", resume: bool = False
) -> Ended:
    """Run every loop of a workflow file until it completes, one of them fails, or a signal comes.

    What lies in `data/` beside the file is first copied to where its file nodes find it, below the
    name of the file's folder. The store keeps its queues and states below `run-<name of the file>`;
    they are made anew unless the run goes on where the last one was stopped.

    Args:
        redis_url: empty for the embedded server.

    Raises:
        OSError: the file cannot be read.
        InvalidPayload: it is not JSON.
        WorkflowInvalid: it is no valid workflow.
        NotFound: there is no credential of a name that it uses.
        Conflict: it runs already in this data folder.
        StoreUnavailable, StoreRefused: there is no usable Redis-protocol server.
    """
    authorize(actor, "production.start")
    if redis_url.startswith("memory:"):
        raise StoreRefused("memory:// is for one process only: give REDIS_URL a server")
    path = path.resolve()
    flow = flow_engine().load(decode(path.read_bytes()))
    order = sealed(actor, used_by(node.node for node in flow.graph.nodes.values()))
    workflow = f"run-{slugify(path.stem) or 'workflow'}"
    data_dir = orchestrator_settings().DATA_DIR
    folder = private.make_folder(data_dir / "runs" / workflow)
    copy_data(path.parent / "data", path.parent.name)
    alone = lifeline.claim(folder / "lock")
    if alone is None:
        raise Conflict(f"{path.name} runs already in {data_dir}")
    try:
        with embedded.redis_url(data_dir, redis_url) as url:
            os.environ["REDIS_URL"] = url  # the hosts read it
            dead_letters = folder / "dead-letters.jsonl"
            return asyncio.run(_run(workflow, flow, url, dead_letters, watch, resume, order))
    finally:
        os.close(alone)


async def _run(
    workflow: str,
    flow: LoadedFlow,
    url: str,
    dead_letters: Path,
    watch: Watch,
    resume: bool,
    order: Order,
) -> Ended:
    store = open_store(url)
    limit = orchestrator_settings().BLOCK_LIMIT
    run = LocalRun(
        workflow, flow, store, dead_letters=dead_letters, block_limit=limit,
        credentials=order, watch=watch,
    )  # fmt: skip
    asked: list[int] = []

    def on_signal(number: int) -> None:
        if asked:
            run.kill()
            os._exit(128 + number)
        asked.append(number)
        run.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal, number)
    try:
        outcome = await run.run(resume=resume)
    finally:
        await store.close()
    return Ended(outcome=outcome, signal=asked[0] if asked else None)
