"""Workflows that faults are done to."""

from itertools import pairwise

ITEMS = 1500


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


def two_loops():
    """counter -> queue -> delay -> file-writer."""
    return linked(
        "Two loops",
        {"id": "source", "type": "counter", "data": {"form": {"stop": ITEMS}}},
        {"id": "writer", "type": "queue-writer", "data": {}},
        {"id": "reader", "type": "queue-reader", "data": {}},
        delay(),
        sink("rows.jsonl"),
    )


def sink(path):
    return {"id": "sink", "type": "file-writer", "data": {"form": {"path": path}}}


def delay(seconds=0.005):
    return {"id": "delay", "type": "static-delay", "data": {"form": {"seconds": seconds}}}


def faulty(action, value):
    return {"id": "fault", "type": "faulty", "data": {"form": {"action": action, "value": value}}}
