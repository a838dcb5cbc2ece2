"""Credentials in requests."""

import base64

import pytest

from nodes.builtin.http_auth import apply_credential, has_fixed_host
from nodes.builtin.http_poll import HttpPoll
from nodes.builtin.http_request import HttpRequest
from nodes.contract import NodeConfig, NodeOutput
from nodes.testing import RecordingContext, driven
from orchestrator.exceptions import NodeFailed, WorkflowInvalid
from orchestrator.security.credentials import Credential
from orchestrator.security.egress import Request
from tests.web_server import Reply, WebServer


@pytest.mark.parametrize(
    ("kind", "values", "name", "value"),
    [
        ("http-basic", {"username": "Ada", "password": "p:ä"}, "Authorization",
         "Basic " + base64.b64encode("Ada:p:ä".encode()).decode()),
        ("bearer", {"token": "t-1"}, "Authorization", "Bearer t-1"),
        ("header", {"name": "X-Api-Key", "value": "k"}, "X-Api-Key", "k"),
    ],
)  # fmt: skip
def test_each_kind_is_a_header(kind, values, name, value):
    request = Request("GET", "https://a.test", headers={"Authorization": "typed in"})
    apply_credential(request, Credential(kind, values))
    assert request.headers[name] == value


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("smtp", {"password": "CANARY"}),
        ("bearer", {"token": "CANARY\r\nX: y"}),
        ("bearer", {"token": "CANARÝ"}),
        ("bearer", {"token": "CANARY "}),
        ("header", {"name": "", "value": "CANARY"}),
        ("header", {"name": "X\nCANARY", "value": "x"}),
    ],
)
def test_what_is_no_header_is_refused_without_telling_it(kind, values):
    request = Request("GET", "https://a.test")
    with pytest.raises(NodeFailed) as refused:
        apply_credential(request, Credential(kind, values))
    assert "CANAR" not in refused.value.message
    assert "authorization" not in request.headers


@pytest.mark.parametrize(
    ("address", "fixed"),
    [
        ("https://a.test", True),
        ("HTTPS://a.test:8443/{{ data.path }}", True),
        ("https://a.test?q={{ data.q }}", True),
        ("http://[::1]/x", True),
        ("{{ data.url }}", False),
        ("https://{{ data.host }}/x", False),
        ("https://a.test{{ data.rest }}", False),
        ("https://a.test:{{ data.port }}/", False),
        ("https://a.test@{{ data.host }}/", False),
        ("https://a.test\\@{{ data.host }}/", False),
        ("{{ data.scheme }}://a.test/", False),
        ("{% if data.x %}https://a.test/{% endif %}", False),
    ],
)
def test_only_the_setting_itself_names_the_host_that_gets_a_login(address, fixed):
    assert has_fixed_host(address) is fixed


KEY = {"key": Credential("header", {"name": "X-Api-Key", "value": "CANARY"})}


async def test_a_request_and_all_its_pages_log_in(open_egress):
    pages = {"/": {"rows": [1], "next": "/b"}, "/b": {"rows": [2], "next": None}}
    with WebServer(lambda request: Reply(data=pages[request.path])) as server:
        open_egress(f"127.0.0.1:{server.port}")
        form = {"url": server.url + "/{{ data.p }}", "credential": "key", "pages": "url",
                "page_field": "next", "items_field": "rows"}  # fmt: skip
        async with driven(HttpRequest, form, credentials=KEY) as run:
            got = await run.data({"p": ""})
    assert got["response"]["items"] == [1, 2]
    assert [request.headers["x-api-key"] for request in server.requests] == ["CANARY"] * 2


async def test_a_poll_logs_in_and_a_redirect_elsewhere_does_not(open_egress):
    with WebServer(lambda request: Reply(data=[1])) as far:
        reply = Reply(302, headers={"Location": far.url})
        with WebServer(lambda request: reply) as near:
            open_egress(f"127.0.0.1:{near.port}", f"127.0.0.1:{far.port}")
            form = {"url": near.url, "credential": "key", "times": 1}
            async with driven(HttpPoll, form, credentials=KEY) as run:
                assert await run.all() == [{"value": 1}]
    assert near.requests[0].headers["x-api-key"] == "CANARY"
    assert "x-api-key" not in far.requests[0].headers


async def test_an_item_does_not_choose_who_gets_a_credential():
    form = {"url": "{{ data.url }}", "credential": "key"}
    with pytest.raises(WorkflowInvalid, match="names the host"):
        async with driven(HttpRequest, form, credentials=KEY):
            pass
    node = HttpRequest(NodeConfig(id="1", type="http-request", form=form))
    node.credentials.add("key", KEY["key"])  # as from the bench, which may not have looked
    await node.init()
    item = NodeOutput("1", {"url": "http://127.0.0.1:1/"})
    node.render(item)
    with pytest.raises(NodeFailed, match="names the host"):
        await node.execute(item, RecordingContext())
    await node.cleanup()
