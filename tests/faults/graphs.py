"""What the tests of graphs over HTTP share."""

import asyncio
import json

import websockets

from tests.waiting import eventually

ENDED = ("completed", "terminated", "failed", "cancelled")
COUNT = {
    "name": "Count",
    "entry_point": "add",
    "nodes": [
        {"id": "add", "tool": "test.add", "arguments": {"left": "{{ data.add }}"}},
        {"id": "done", "type": "data-transformer", "data": {"form": {"fields": {"done": "yes"}}}},
        {"id": "much", "type": "data-transformer", "data": {"form": {"fields": {"done": "no"}}}},
    ],
    "edges": [
        {
            "source": "add",
            "target": "add",
            "condition": "data.add < data.goal",
            "budget": 5,
            "on_limit": "much",
        },
        {"source": "add", "target": "done", "condition": "data.add >= data.goal"},
    ],
}


def one(tool, **arguments):
    """Return a graph that calls one tool."""
    return {"entry_point": "it", "nodes": [{"id": "it", "tool": tool, "arguments": arguments}]}


def created(deployment, graph):
    answer = deployment.client.post("/graph/create", json=graph)
    assert answer.status_code == 201, answer.text
    return answer.json()["graph_id"]


def start(deployment, graph, state=None, **options):
    """Create a graph and run it, and return the answer."""
    body = {"graph_id": created(deployment, graph), "initial_state": state or {}, **options}
    return deployment.client.post("/graph/run", json=body)


def run(deployment, graph, state=None, **options):
    """Create a graph, run it to its end, and return the run."""
    answer = start(deployment, graph, state, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def state_of(deployment, run_id):
    answer = deployment.client.get(f"/graph/state/{run_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def log_of(deployment, run_id):
    answer = deployment.client.get(f"/graph/runs/{run_id}/log?limit=200")
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def ended(deployment, run_id, timeout=30):
    """Wait until a run has ended, and return it."""

    def look():
        found = state_of(deployment, run_id)
        return found if found["status"] in ENDED else None

    return eventually(look, timeout)


def reached(deployment, run_id, node):
    """Wait until a run has executed a node."""
    return eventually(lambda: node in state_of(deployment, run_id)["visited"])


def details(answer):
    return {each["path"]: each["message"] for each in answer.json()["error"]["details"]}


async def watched(deployment, run_id, until, begin=lambda: None):
    """Return what a socket shows of a run, from its state to a status.

    `begin` is called when the socket has shown the state and hears of what happens.
    """
    url = f"{deployment.url.replace('http', 'ws')}/ws/runs/{run_id}/"
    headers = {"Authorization": f"Bearer {deployment.token}"}
    messages = []
    async with asyncio.timeout(20):
        async with websockets.connect(url, additional_headers=headers) as socket:
            async for text in socket:
                messages.append(json.loads(text))
                if len(messages) == 1:
                    await asyncio.to_thread(begin)
                if messages[-1].get("status") == until:
                    return messages
    raise AssertionError(messages)
