"""Workflows that faults are done to."""

import os
from itertools import pairwise

ITEMS = int(os.environ.get("FAULT_ITEMS") or 2000)
PACE = 8 / ITEMS
"""Seconds a node takes for an item, so that there is time for faults."""
PATIENCE = 120 + ITEMS / 50
"""Seconds for all items, faults included."""


def linked(name, *nodes):
    """Return a workflow whose nodes follow one another."""
    edges = [
        {"id": f"{a['id']}-{b['id']}", "source": a["id"], "target": b["id"]}
        for a, b in pairwise(nodes)
    ]
    return {"name": name, "nodes": list(nodes), "edges": edges}


def chain(*middle, name, stop=ITEMS, path="out.jsonl", pool="async"):
    """counter -> ... -> file-writer, one loop."""
    data = {"form": {"stop": stop}, "config": {"pool": pool}}
    return linked(name, {"id": "source", "type": "counter", "data": data}, *middle, sink(path))


def pipeline(*, name, readers=1, items=ITEMS, pace=PACE, path="out.jsonl", options=None):
    """counter -> recording -> queue -> delay -> recording -> ... -> file-writer.

    The recording nodes are `record-0` and so on, the readers `reader-1` and so on.
    """
    nodes = [counter(items), recording("record-0")]
    for n in range(1, readers + 1):
        nodes += [*hand_over(n, options), delay(pace, f"delay-{n}"), recording(f"record-{n}")]
    return linked(name, *nodes, sink(path))


def hand_over(n=1, options=None):
    """Return a queue's two ends; the options are the writer's."""
    return (
        {"id": f"writer-{n}", "type": "queue-writer", "data": {"config": options or {}}},
        {"id": f"reader-{n}", "type": "queue-reader", "data": {}},
    )


def counter(stop, **form):
    return {"id": "source", "type": "counter", "data": {"form": {"stop": stop, **form}}}


def recording(name="record"):
    return {"id": name, "type": "recording", "data": {}}


def sink(path):
    return {"id": "sink", "type": "file-writer", "data": {"form": {"path": path}}}


def delay(seconds=0.005, name="delay"):
    return {"id": name, "type": "static-delay", "data": {"form": {"seconds": seconds}}}


def faulty(action, value, **form):
    form = {"action": action, "value": value, **form}
    return {"id": "fault", "type": "faulty", "data": {"form": form}}
