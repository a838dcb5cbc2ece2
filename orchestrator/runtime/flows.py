"""Loaded versions, shared by the slots of a process that can share them."""

import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from orchestrator.engine import SlotAssignment
from orchestrator.flow.builder import LoadedFlow


class Shared:
    """A loaded version, and the nodes of it that a slot has or had: they keep state."""

    def __init__(self, definition: Any, flow: LoadedFlow) -> None:
        self.definition = definition
        self.flow = flow
        self._loops = {
            loop.id: frozenset(node.id for node in loop.nodes) for loop in flow.analyzer.loops()
        }
        self._given: set[str] = set()

    def give(self, loop: str) -> bool:
        """Give a loop's nodes away; False when one of them was given away before."""
        nodes = self._loops.get(loop, frozenset())
        if not self._given.isdisjoint(nodes):
            return False
        self._given |= nodes
        return True


class Flows:
    """Loads a version once for the slots of one number, as long as no two of them have a node in
    common, and none begins again. Safe to use from several threads.

    Args:
        load: makes a flow, with nodes of its own, from the JSON of a version.
    """

    def __init__(self, load: Callable[[Any], LoadedFlow]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._known: WeakValueDictionary[tuple[str, int, int], Shared] = WeakValueDictionary()

    def take(self, definition: Any, assignment: SlotAssignment) -> Shared:
        """Return a version in which the nodes of a slot's loop are the slot's alone, to be kept
        while the slot runs. Blocks while it is loaded.

        Raises:
            WorkflowInvalid: it cannot be used any more.
        """
        place = assignment.workflow, assignment.version, assignment.slot
        with self._lock:
            known = self._known.get(place)
            if known is None or known.definition != definition or not known.give(assignment.loop):
                known = self._known[place] = Shared(definition, self._load(definition))
                known.give(assignment.loop)
            return known
