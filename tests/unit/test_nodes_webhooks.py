"""The nodes webhook and http-response as the engine drives them."""

import asyncio

import pytest

from nodes.builtin.webhooks import HttpResponse, Webhook
from nodes.contract import REPLY, NodeOutput
from nodes.testing import driven
from orchestrator.exceptions import NodeFailed, WorkflowInvalid
from storage.records import ANSWER

OPEN = {"path": "a", "check": "none"}


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", "../a", "a b", "a?b", "é", "a.b", "x" * 201, "{{ data.a }}"]
)
async def test_a_path_is_made_of_plain_parts(path):
    with pytest.raises(WorkflowInvalid) as refused:
        async with driven(Webhook, {**OPEN, "path": path}):
            pass
    assert {problem.path for problem in refused.value.problems} == {"data.form.path"}


@pytest.mark.parametrize("path", ["a", "shop/orders", "A-1_b/2"])
async def test_good_paths(path):
    async with driven(Webhook, {**OPEN, "path": path}) as run:
        assert run.node.values["path"] == path


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"path": "a"}, "credential"),
        ({"path": "a", "check": "hmac"}, "secret"),
        ({**OPEN, "methods": ["DELETE"]}, "methods"),
        ({**OPEN, "methods": []}, "methods"),
        ({**OPEN, "idempotency_header": "a: b"}, "idempotency_header"),
        ({"path": "a", "check": "hmac", "signature_header": ""}, "signature_header"),
        ({**OPEN, "max_bytes": 10**9}, "max_bytes"),
        ({**OPEN, "respond": "workflow", "timeout": 61}, "timeout"),
    ],
)
async def test_what_is_wrong_is_named(form, path):
    with pytest.raises(WorkflowInvalid) as refused:
        async with driven(Webhook, form):
            pass
    assert f"data.form.{path}" in {problem.path for problem in refused.value.problems}


async def test_without_an_engine_that_reads_its_inbox_it_gives_nothing():
    async with driven(Webhook, OPEN) as run:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run.data({})


async def answered(form, data, metadata):
    async with driven(HttpResponse, form) as run:
        item = NodeOutput("i", data, metadata)
        run.node.render(item)
        assert await run.node.execute(item, run.context) == item
        return [(queue, out.data) for queue, out in run.context.emitted]


async def test_an_answer_goes_to_whoever_waits():
    form = {"status": "{{ data.code }}", "body": {"x": "{{ data.x }}"}}
    reply = f"{ANSWER}7"
    assert await answered(form, {"code": 422, "x": [1]}, {REPLY: reply}) == [
        (reply, {"status": 422, "content_type": "", "body": {"x": [1]}})
    ]


@pytest.mark.parametrize("metadata", [{}, {REPLY: "queue"}, {REPLY: 7}, {REPLY: None}])
async def test_an_item_that_nobody_waits_for_is_passed_on(metadata):
    assert await answered({}, {"x": 1}, metadata) == []


@pytest.mark.parametrize("status", [100, 199, 302, 600, "many"])
async def test_an_item_cannot_choose_any_status(status):
    with pytest.raises(NodeFailed):
        await answered({"status": "{{ data.status }}"}, {"status": status}, {})


@pytest.mark.parametrize("kind", ["html", "text/html\r\nX: y", "text/html; charset=utf-16", "a/"])
async def test_a_content_type_is_one(kind):
    with pytest.raises(WorkflowInvalid):
        await answered({"content_type": kind}, {}, {})
