"""Where in a loop or a run the code that asks is: at which node, with which item.

Nothing is noted while items pass. Whoever asks, such as a line of a log, is called by the walk in
the end, and the walk's frames say where it is; only what runs in a thread is told beforehand.
"""

import sys
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import FrameType
from typing import Any

Place = dict[str, str]
"""`node` and `item`, as far as they are known."""

in_thread: ContextVar[tuple[str, str] | None] = ContextVar("in_thread", default=None)
"""The node and the item for which a thread works: it is not called by the walk."""


def here() -> Place:
    """Return the place of the caller; empty outside of nodes."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        read = _READERS.get(code.co_qualname)
        if read is not None and frame.f_globals.get("__name__", "").startswith(__package__):
            return read(frame.f_locals)
        frame = frame.f_back
    told = in_thread.get()
    return {} if told is None else _place(*told)


def within(node_id: str, function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    """Call a function in a thread, in a context of its own, for a node."""
    in_thread.set((node_id, ""))
    return function(*args, **named)


def _place(node_id: str, item_id: str = "") -> Place:
    return {"node": node_id, "item": item_id} if item_id else {"node": node_id}


def _in_step(names: Mapping[str, Any]) -> Place:
    return _place(names["step"].id, names["item"].id)


def _in_walk(names: Mapping[str, Any]) -> Place:
    chain, call = names.get("chain"), names.get("call")
    if chain is None or call not in chain.calls:
        return _place(names["step"].id)
    step = chain.steps[chain.calls.index(call)]
    return _place(step.id, getattr(names["output"], "id", ""))


def _in_source(names: Mapping[str, Any]) -> Place:
    if names["boundary"].open:  # the producer is asked for an item, which it is given the id of
        return _place(names["step"].id, f"{names['prefix']}{names['sequence']}")
    return _in_walk(names)


def _in_flush(names: Mapping[str, Any]) -> Place:
    return _place(names["step"].id, names["item_id"])


def _at_end(names: Mapping[str, Any]) -> Place:
    return _place(names["failure"].node_id, names["context"].item.id)


def _at_begin(names: Mapping[str, Any]) -> Place:
    return _place(names["step"].id) if "step" in names else {}


def _at_clean_up(names: Mapping[str, Any]) -> Place:
    return _place(names["node"].config.id) if "node" in names else {}


_READERS: Mapping[str, Callable[[Mapping[str, Any]], Place]] = {
    "WorkflowEngine._step": _in_step,
    "WorkflowEngine.walk": _in_walk,
    "ProducerSource.run": _in_source,
    "Iterations._flush": _in_flush,
    "Iterations._count_failure": _at_end,
    "FlowRunner._set_up": _at_begin,
    "FlowRunner._tear_down": _at_clean_up,
}
"""How to read the frames of the walk, by the names of their functions."""
