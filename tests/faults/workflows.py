"""Workflows that faults are done to."""

ITEMS = 1500


def chain(*middle, name, stop=ITEMS, path="out.jsonl", pool="async"):
    """counter -> ... -> file-writer, one loop."""
    nodes = [
        {"id": "source", "type": "counter", "data": {"form": {"stop": stop}, "config": {}}},
        *middle,
        {"id": "sink", "type": "file-writer", "data": {"form": {"path": path}}},
    ]
    nodes[0]["data"]["config"]["pool"] = pool
    ids = [node["id"] for node in nodes]
    edges = [
        {"id": f"e{i}", "source": a, "target": b}
        for i, (a, b) in enumerate(zip(ids, ids[1:], strict=False))
    ]
    return {"name": name, "nodes": nodes, "edges": edges}


def delay(seconds=0.005):
    return {"id": "delay", "type": "static-delay", "data": {"form": {"seconds": seconds}}}


def faulty(action, value):
    return {"id": "fault", "type": "faulty", "data": {"form": {"action": action, "value": value}}}


def two_loops():
    workflow = chain(delay(), name="Two loops", path="rows.jsonl")
    workflow["nodes"][1:1] = [
        {"id": "writer", "type": "queue-writer", "data": {}},
        {"id": "reader", "type": "queue-reader", "data": {}},
    ]
    ids = [node["id"] for node in workflow["nodes"]]
    workflow["edges"] = [
        {"id": f"e{i}", "source": a, "target": b}
        for i, (a, b) in enumerate(zip(ids, ids[1:], strict=False))
    ]
    return workflow
