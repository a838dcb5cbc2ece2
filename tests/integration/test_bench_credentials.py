"""Credentials on the bench: for whoever may use them, and in no answer."""

import pytest
from asgiref.sync import sync_to_async

from orchestrator.security.actors import SYSTEM
from orchestrator.services import credentials
from tests.integration.benches import Bench, node

pytestmark = pytest.mark.django_db(transaction=True)
SECRET = "a-secret-of-the-bench"


@pytest.fixture
async def bench(make_user, make_token, shared_store):
    @sync_to_async
    def make():
        credentials.create(SYSTEM, "mine", "bearer", {"token": SECRET}, users=["editor"])
        return make_token(user)

    user = await sync_to_async(make_user)("editor")
    return Bench(await make())


def leaky(way):
    return {"name": "L", "nodes": [node("n", "leaky", login="mine", way=way)], "edges": []}


async def test_a_node_gets_its_credential_and_tells_nothing_of_it(bench):
    for way in ("output", "print", "hex"):
        status, answer = await bench.run("n", workflow=leaky(way), input={"value": 1})
        assert status == 200, answer
        assert SECRET not in str(answer)
        assert "[redacted]" in str(answer)
    status, answer = await bench.run("n", workflow=leaky("raise"), input={"value": 1})
    assert (status, answer["error"]["message"]) == (422, "refused: [redacted]")
    assert SECRET not in str(answer)


async def test_it_is_for_whoever_may_use_it(bench):
    await sync_to_async(credentials.replace)(SYSTEM, "mine", grants={"users": []})
    status, answer = await bench.run("n", workflow=leaky("output"), input={"value": 1})
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    assert answer["error"]["message"] == "editor may not use the credential mine"
