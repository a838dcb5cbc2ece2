"""From one version of a workflow to another within an activation: what goes on, and what may not.

Loops that both versions have alike are left as they are, running or not. A version is refused when
something that the activation goes on with would be lost without a word.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from orchestrator.exceptions import Conflict, Problem
from orchestrator.flow.builder import LoadedFlow
from orchestrator.flow.changes import changed, digests
from orchestrator.models import LoopSlot, Workflow
from orchestrator.services import status as statuses
from orchestrator.services.stores import with_store
from storage.datastore import DataStore
from storage.records import inbox

State = LoopSlot.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """A version that an activation goes on in. `changed`: the loops that are new or differ."""

    before: LoadedFlow
    after: LoadedFlow
    number: int
    changed: frozenset[str]

    @property
    def removed(self) -> set[str]:
        """The loops that the version has no more."""
        loops = {loop.id for loop in self.before.analyzer.loops()}
        return loops - {loop.id for loop in self.after.analyzer.loops()}


def compare(before: LoadedFlow, after: LoadedFlow, number: int) -> Upgrade:
    """Return what becomes different with a version."""
    differ = frozenset(changed(digests(before), digests(after)))
    return Upgrade(before=before, after=after, number=number, changed=differ)


def refuse_losses(upgrade: Upgrade, workflow: Workflow) -> None:
    """Refuse a version that would silently skip a cursor, a state or items of a queue.

    Raises:
        Conflict: it would; each thing is named.
        StoreUnavailable: a loop is removed, and nobody can tell whether items wait for it.
    """
    lost = sorted(_places(upgrade.before) - _places(upgrade.after))
    _refuse(upgrade, [Problem(f"nodes.{name}", f"its {kind} is kept") for kind, name in lost])
    if upgrade.removed:
        _refuse(upgrade, _waiting(workflow.pk, upgrade.removed))


def refuse_unheard(upgrade: Upgrade, workflow: Workflow) -> None:
    """Refuse a version in which a loop that has completed would get items again.

    Raises:
        Conflict: there is one; each is named.
    """
    _refuse(upgrade, _unheard(upgrade, workflow))


def _refuse(upgrade: Upgrade, problems: list[Problem]) -> None:
    if problems:
        raise Conflict(
            f"version {upgrade.number} lacks what the present activation goes on with; "
            "start it with `from: beginning`, or start the version before",
            problems=tuple(problems),
        )


def _places(flow: LoadedFlow) -> set[tuple[str, str]]:
    states = {("state", f"{n.id} ({n.type})") for n in flow.graph.nodes.values() if n.node.stateful}
    return states | {("queue", loop.reads) for loop in flow.analyzer.loops() if loop.reads}


def _unheard(upgrade: Upgrade, workflow: Workflow) -> list[Problem]:
    """Loops that have completed, and would get items again from others that have not."""
    states: dict[str, set[str]] = {}
    for slot in statuses.slots_of(workflow):
        states.setdefault(slot.loop, set()).add(slot.state)
    done = {loop for loop, found in states.items() if found == {State.COMPLETED}}
    queues = upgrade.after.analyzer.queue_graph()
    return [
        Problem(f"nodes.{reader}", f"it has completed, and '{writer}' would write its queue")
        for writers, readers in queues.values()
        for reader in readers
        for writer in writers
        if reader in done and writer not in done
    ]


def _waiting(workflow_id: str, loops: set[str]) -> list[Problem]:
    """Items that wait in the inbox of a loop that is to go, or to be tried again there."""
    counts = with_store(_counter(workflow_id, sorted(loops)))
    return [
        Problem(f"nodes.{loop}", f"{count} items wait for it in its inbox, or to be tried again")
        for loop, count in counts.items()
        if count
    ]


def _counter(
    workflow_id: str, loops: list[str]
) -> Callable[[DataStore], Awaitable[dict[str, int]]]:
    async def count(store: DataStore) -> dict[str, int]:
        lengths = await store.queue.lengths(workflow_id, [inbox(loop) for loop in loops])
        delayed = await store.queue.delayed(workflow_id, loops)
        return {loop: lengths[inbox(loop)] + delayed[loop] for loop in loops}

    return count
