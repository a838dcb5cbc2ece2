"""A client of the bench, and small workflows for it."""

from asgiref.sync import sync_to_async
from django.test import AsyncClient

from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows


def node(node_id, kind, config=None, **form):
    return {"id": node_id, "type": kind, "data": {"form": form, "config": config or {}}}


def edge(source, target, **more):
    return {"id": f"{source}-{target}", "source": source, "target": target, **more}


def changed(workflow, node_id, **form):
    """Return the workflow in which a node's form has other values."""
    nodes = [
        {**n, "data": {**n["data"], "form": {**n["data"]["form"], **form}}}
        if n["id"] == node_id
        else n
        for n in workflow["nodes"]
    ]
    return {**workflow, "nodes": nodes}


class Bench:
    """A client that waits for answers in the test's own event loop."""

    def __init__(self, token, workflow_id="bench"):
        self.headers = {"Authorization": f"Bearer {token}"}
        self.workflow_id = workflow_id
        self.client = AsyncClient(raise_request_exception=False)

    async def send(self, method, path, body=None):
        answer = await getattr(self.client, method)(
            path, body, content_type="application/json", headers=self.headers
        )
        return answer.status_code, answer.json() if answer.content else None

    async def ok(self, method, path, body=None):
        status, answer = await self.send(method, path, body)
        assert status in (200, 201, 202, 204), answer
        return answer

    async def run(self, node_id, **body):
        return await self.send("post", "/dev/execute", {"node_id": node_id, **body})

    async def chain(self, *node_ids, **body):
        """Run nodes of the stored workflow one after the other; return the last answer."""
        for node_id in node_ids:
            body = {"workflow_id": self.workflow_id, **body}
            status, answer = await self.run(node_id, **body)
            assert status == 200, answer
        return answer

    async def cached(self, node_id, query=""):
        return await self.ok("get", f"/dev/cache/{self.workflow_id}/{node_id}{query}")

    async def pin(self, node_id, data, **more):
        path = f"/dev/cache/{self.workflow_id}/{node_id}"
        return await self.ok("put", path, {"data": data, **more})

    async def overview(self):
        return (await self.ok("get", f"/dev/cache/{self.workflow_id}"))["nodes"]

    async def freshness(self, workflow=None):
        """Return the freshness of every node, of unsaved JSON if there is some."""
        path = f"/dev/cache/{self.workflow_id}"
        answer = (
            await self.ok("get", path)
            if workflow is None
            else await self.ok("post", path, {"workflow": workflow})
        )
        return {node_id: row["freshness"] for node_id, row in answer["nodes"].items()}

    async def why(self, workflow=None):
        """Return why, of each node for which there is a reason."""
        path = f"/dev/cache/{self.workflow_id}"
        answer = (
            await self.ok("get", path)
            if workflow is None
            else await self.ok("post", path, {"workflow": workflow})
        )
        return {n: row["why"] for n, row in answer["nodes"].items() if row["why"]}

    async def save(self, workflow):
        await sync_to_async(workflows.save)(SYSTEM, self.workflow_id, workflow)


async def forget_everything(store, workflow_id="bench"):
    await store.queue.forget(workflow_id)
    async for key in store._client.scan_iter(match=f"*bench:{workflow_id}:*"):
        await store._client.delete(key)
