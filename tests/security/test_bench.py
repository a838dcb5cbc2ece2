"""Hostile templates on the bench: in a node's form, and in the preview."""

import itertools
import time

import pytest
from asgiref.sync import sync_to_async
from django.test import AsyncClient

from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.security.bombs import FITTING, S6, S6_LOOPS
from tests.security.escapes import DATA, S4, S4_LITERAL
from tests.security.targets import TARGETS, workflow
from tests.security.test_nodes import is_refused
from tests.security.texts import S5, S5_TEMPLATES, SECRET

pytestmark = pytest.mark.django_db(transaction=True)
ACCEPTED_S4 = [source for source in S4 if not is_refused(source)]
ACCEPTED_S6 = [source for source in S6 if not is_refused(source)]


class Bench:
    def __init__(self, token):
        self.headers = {"Authorization": f"Bearer {token}"}
        self.client = AsyncClient(raise_request_exception=False)

    async def post(self, path, **body):
        answer = await self.client.post(
            path, {"workflow_id": "hostile", **body}, "application/json", headers=self.headers
        )
        return answer.status_code, answer.json()

    async def execute(self, target, source, data):
        return await self.post(
            "/dev/execute",
            node_id=f"n{TARGETS.index(target)}",
            form=target.form(source),
            input=data,
        )

    async def render(self, source, data, node_id="n0"):
        return await self.post("/dev/render", node_id=node_id, template=source, input=data)


@pytest.fixture
def token(make_user, make_token, transactional_db):
    workflows.create(SYSTEM, workflow("{{ data.name }}"))
    return make_token(make_user("editor"))


@pytest.fixture
async def bench(token, shared_store):
    return Bench(token)


async def test_a_node_with_an_escape_fails(bench, tally):
    """What is refused when it is saved in every field is tried in one field here, each in turn."""
    seen = tally("S4", "/dev/execute", time.monotonic)
    targets = itertools.cycle(TARGETS)
    for source in [*ACCEPTED_S4, *S4[::10]]:
        with seen.attempt():
            status, body = await bench.execute(next(targets), source, DATA)
        if is_refused(source):
            assert (status, body["error"]["code"]) == (400, "invalid_workflow"), source
        elif status != 422:
            seen.escaped.append((source, status, body))


async def test_a_node_passes_texts_on(bench, tally):
    seen = tally("S5", "/dev/execute", time.monotonic)
    transformer = next(t for t in TARGETS if t.name == "data-transformer.fields")
    pairs = zip(S5, itertools.cycle(S5_TEMPLATES.items()))
    for hostile, (source, expected) in pairs:
        data = {"x": hostile, "secret": SECRET}
        with seen.attempt():
            status, body = await bench.execute(transformer, source, data)
        wanted = expected.replace("%s", hostile)
        if status != 200 or body["output"] != {**data, "x_2": wanted}:
            seen.twice.append((source, hostile, body))


async def test_a_node_with_a_bomb_ends(bench, tally):
    seen = tally("S6", "/dev/execute", time.monotonic)
    targets = itertools.cycle(t for t in TARGETS if t.node_class.identifier != "tool")
    for source in ACCEPTED_S6[::3]:
        with seen.attempt():
            status, body = await bench.execute(next(targets), source, FITTING)
        assert status in (200, 422), (source[:100], body)
    assert seen.slowest < 10


async def test_the_preview_explains_them_all(bench, tally):
    seen = tally("S4", "/dev/render", time.monotonic)
    for source in [*ACCEPTED_S4, *S4[::10], *S4_LITERAL]:
        with seen.attempt():
            status, body = await bench.render(source, DATA)
        assert status == 200, (source, body)
        if body["ok"] and body["value"] != S4_LITERAL.get(source):
            seen.escaped.append((source, body))
    seen = tally("S5", "/dev/render", time.monotonic)
    for hostile, (source, expected) in zip(S5, itertools.cycle(S5_TEMPLATES.items())):
        with seen.attempt():
            status, body = await bench.render(source, {"x": hostile, "secret": SECRET})
        if status != 200 or body["value"] != expected.replace("%s", hostile):
            seen.twice.append((source, hostile, body))
    seen = tally("S6", "/dev/render", time.monotonic)
    for source in [*S6[::4], *S6_LOOPS]:
        with seen.attempt():
            status, body = await bench.render(source, FITTING)
        assert status == 200, (source[:100], body)
        assert body["ok"] is False, source[:100]
    assert seen.slowest < 10


async def test_loops_need_the_right_on_the_bench(bench, make_user, make_token):
    advanced = workflow("{{ data.name }}")
    advanced["nodes"][1]["data"]["config"] = {"advanced_templates": True, "pool": "process"}
    place = next(i for i, t in enumerate(TARGETS) if t.name == "data-transformer.fields")
    advanced["nodes"][1 + place]["data"]["config"] = advanced["nodes"][1]["data"].pop("config")
    body = {"workflow": advanced, "node_id": f"n{place}", "input": DATA, "workflow_id": None}
    source = "{% for tag in data.tags %}{{ tag }}{% if not loop.last %}-{% endif %}{% endfor %}"
    body["form"] = TARGETS[place].form(source)
    status, answer = await bench.post("/dev/execute", **body)
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    admin = Bench(await sync_to_async(lambda: make_token(make_user("admin")))())
    status, answer = await admin.post("/dev/execute", **body)
    assert (status, answer["output"]["x"]) == (200, "a-b")
    del body["form"]
    status, answer = await bench.post("/dev/render", **body, template=source)
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    status, answer = await admin.post("/dev/render", **body, template=source)
    assert (status, answer["value"]) == (200, "a-b")
