"""A deployment in which every page has something to show."""

from contextlib import closing, contextmanager

from tests.deployment import Deployment
from tests.waiting import eventually

GRAPH = {
    "name": "Count up",
    "entry_point": "add",
    "nodes": [
        {"id": "add", "tool": "test.add", "arguments": {"left": "{{ data.add }}"}},
        {"id": "done", "type": "data-transformer", "data": {"form": {"fields": {"done": True}}}},
    ],
    "edges": [
        {"source": "add", "target": "add", "condition": "data.add < data.goal", "budget": 5},
        {"source": "add", "target": "done", "condition": "data.add >= data.goal"},
    ],
}


def fallible(name, value, **counter):
    """Return a workflow of two loops; the template of its second node fails for one value."""
    share = {"fields": {"share": f"{{{{ 1 / (data.value - {value}) }}}}"}}
    return {
        "name": name,
        "nodes": [
            {"id": "count", "type": "counter", "data": {"form": {"interval": 0.05, **counter}}},
            {"id": "share", "type": "data-transformer", "data": {"form": share}},
            {"id": "put", "type": "queue-writer", "data": {}},
            {"id": "take", "type": "queue-reader", "data": {}},
            {"id": "keep", "type": "file-writer", "data": {"form": {"path": "shares.jsonl"}}},
        ],
        "edges": [
            {"id": "a", "source": "count", "target": "share"},
            {"id": "b", "source": "share", "target": "put"},
            {"id": "c", "source": "put", "target": "take"},
            {"id": "d", "source": "take", "target": "keep"},
        ],
    }


def asking(name, credential):
    """Return a workflow with a node that logs in somewhere."""
    form = {"url": "https://shop.example/", "credential": credential}
    return {
        "name": name,
        "nodes": [
            {"id": "count", "type": "counter", "data": {"form": {"interval": 0.05}}},
            {"id": "ask", "type": "http-request", "data": {"form": form}},
        ],
        "edges": [{"id": "a", "source": "count", "target": "ask"}],
    }


@contextmanager
def busy_site(folder):
    """Give a deployment and the names of what is in it, by kind."""
    with closing(Deployment(folder)) as deployed:
        deployed.start_runner()
        deployed.start_worker()
        api = deployed.client
        workflow = deployed.create(fallible("Shares <b>of</b> everything", 3))
        api.post("/prod/start", json={"workflow_id": workflow}).raise_for_status()
        graph = api.post("/graph/create", json=GRAPH).raise_for_status().json()["graph_id"]
        started = {"graph_id": graph, "initial_state": {"add": 1, "goal": 4}}
        run = api.post("/graph/run", json=started).raise_for_status().json()["run_id"]
        shop = {"name": "shop", "kind": "bearer", "values": {"token": "a-token-of-the-shop"}}
        api.post("/credentials/", json=shop).raise_for_status()
        deployed.create(asking("Asks the shop", "shop"))
        letters = eventually(lambda: deployed.dead_letters(workflow))
        yield (
            deployed,
            {
                "workflow": workflow,
                "node": "share",
                "queue": api.get("/queues/").json()["results"][0]["name"],
                "letter": letters[0]["id"],
                "graph": graph,
                "run": run,
                "credential": "shop",
            },
        )
