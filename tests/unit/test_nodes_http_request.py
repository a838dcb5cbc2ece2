"""http-request: what is sent, sent again, read, and put into the item."""

import asyncio
import email.utils
import gzip
import time

import pytest

from nodes import files
from nodes.builtin.http_request import HttpRequest
from nodes.testing import driven
from orchestrator.exceptions import EgressDenied, EgressFailed, NodeFailed, WorkflowInvalid
from tests.web_server import Reply, WebServer


@pytest.fixture
def serve(open_egress):
    """Start a server that nodes may connect to."""
    servers = []

    def start(answer=lambda request: Reply(data={"ok": True})):
        servers.append(WebServer(answer).__enter__())
        open_egress(*(f"127.0.0.1:{server.port}" for server in servers))
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


@pytest.fixture
def files_dir(tmp_path):
    files.configure(tmp_path)
    return tmp_path


async def ask(server, data=None, path="/", **form):
    """Run the node for one item and return the field it adds."""
    async with driven(HttpRequest, {"url": server.url + path, **form}) as run:
        return (await run.data(data))["response"]


async def test_an_answer_becomes_a_field_of_the_item(serve):
    server = serve(lambda request: Reply(201, data={"id": 7}, headers={"X-Left": "9"}))
    async with driven(HttpRequest, {"url": server.url + "/orders?a=1"}) as run:
        got = await run.data({"order": 1, "response": "taken"})
    assert got["order"] == 1
    assert got["response"] == "taken"
    answer = got["response_2"]
    assert (answer["status"], answer["body"]) == (201, {"id": 7})
    assert (answer["url"], answer["headers"]["x-left"]) == (f"{server.url}/orders", "9")


async def test_address_query_and_headers_are_rendered_for_each_item(serve):
    server = serve()
    form = {
        "query": {"to": "{{ data.to }}", "tags": ["a", "b&c"], "none": None},
        "headers": {"X-Id": "{{ data.id }}", "X-Flag": True},
    }
    await ask(server, {"id": 5, "to": "a b"}, "/o/{{ data.id }}?x=1", **form)
    [request] = server.requests
    assert (request.method, request.path) == ("GET", "/o/5")
    assert request.query == {"x": ["1"], "to": ["a b"], "tags": ["a", "b&c"]}
    assert (request.headers["x-id"], request.headers["x-flag"]) == ("5", "true")


async def test_json_is_sent_as_json(serve):
    server = serve()
    await ask(server, {"n": 2}, method="POST", body="json", json={"n": "{{ data.n }}", "l": [1]})
    [request] = server.requests
    assert (request.method, request.json) == ("POST", {"n": 2, "l": [1]})
    assert request.headers["content-type"] == "application/json"


async def test_a_form_is_sent_as_a_browser_does(serve):
    server = serve()
    fields = {"name": "{{ data.name }}", "all": ["1", "2"], "flag": True, "none": None}
    await ask(server, {"name": "Ä&b"}, method="PUT", body="form", fields=fields)
    [request] = server.requests
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.body == b"name=%C3%84%26b&all=1&all=2&flag=true"


async def test_text_is_sent_as_it_is(serve):
    server = serve()
    await ask(server, {"x": "<Ä>"}, method="POST", body="text", text=" {{ data.x }}\n")
    await ask(server, method="POST", body="text", text="<a/>", content_type="application/xml")
    assert server.requests[0].body == " <Ä>\n".encode()
    assert server.requests[0].headers["content-type"] == "text/plain; charset=utf-8"
    assert server.requests[1].headers["content-type"] == "application/xml"


async def test_a_file_is_the_body_or_a_part_of_a_form(serve, files_dir):
    (files_dir / "out").mkdir()
    (files_dir / "out" / "a.bin").write_bytes(b"\0\1")
    server = serve()
    form = {"method": "POST", "body": "file", "file": "out/{{ data.name }}"}
    await ask(server, {"name": "a.bin"}, **form)
    await ask(server, {"name": "a.bin"}, **form, upload_as="doc", fields={"kind": "x"})
    plain, parts = server.requests
    assert (plain.body, plain.headers["content-type"]) == (b"\0\1", "application/octet-stream")
    assert parts.headers["content-type"].startswith("multipart/form-data")
    assert b'name="kind"\r\n\r\nx\r\n' in parts.body
    assert b'name="doc"; filename="a.bin"' in parts.body
    assert b"\r\n\r\n\0\1\r\n" in parts.body


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "out/../../secret"])
async def test_a_file_outside_the_folder_is_not_sent(serve, files_dir, name):
    server = serve()
    with pytest.raises(NodeFailed, match="inside the files folder"):
        await ask(server, {"name": name}, method="POST", body="file", file="{{ data.name }}")
    assert server.requests == []


async def test_what_the_answer_is_decides_how_it_is_read(serve):
    kinds = {
        "/json": Reply(data=[1]),
        "/problem": Reply(body=b'{"a":1}', headers={"Content-Type": "application/problem+json"}),
        "/text": Reply(body=b"\xe4", headers={"Content-Type": "text/plain; charset=latin-1"}),
        "/file": Reply(body=b"\xff\0", headers={"Content-Type": "image/png"}),
        "/none": Reply(204),
    }
    server = serve(lambda request: kinds[request.path])
    async with driven(HttpRequest, {"url": server.url + "{{ data.path }}"}) as run:
        bodies = [(await run.data({"path": path}))["response"]["body"] for path in kinds]
    assert bodies == [[1], {"a": 1}, "ä", "/wA=", ""]
    assert (await ask(server, path="/file", response="base64"))["body"] == "/wA="
    assert (await ask(server, path="/json", response="text"))["body"] == "[1]"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "cannot be read as json"),
        (b'{"a": NaN}', "cannot be read as json"),
        (b"[" * 70 + b"]" * 70, "64 levels"),
        (b'{"a": 12345678901234567890}', "cannot be read as json"),
        (b'"\\u0000"', "NUL"),
        (b"\xff", "is no text"),
    ],
)
async def test_an_answer_that_is_no_json_is_an_error(serve, body, message):
    server = serve(lambda request: Reply(body=body))
    with pytest.raises(NodeFailed, match=message) as failed:
        await ask(server, path="/x?token=CANARY", response="json")
    assert f"{server.url}/x" in failed.value.message
    assert "CANARY" not in failed.value.message


async def test_a_long_answer_is_an_error_also_when_it_is_packed(serve):
    packed = gzip.compress(b"x" * 5000)
    server = serve(lambda request: Reply(body=packed, headers={"Content-Encoding": "gzip"}))
    assert len((await ask(server, max_bytes=5000, response="text"))["body"]) == 5000
    with pytest.raises(EgressFailed, match="longer than 4999 bytes"):
        await ask(server, max_bytes=4999)


async def test_a_status_of_400_and_above_is_an_error_unless_it_is_wanted(serve):
    server = serve(lambda request: Reply(404, data={"secret": "CANARY"}))
    with pytest.raises(NodeFailed, match=r"GET http://.*/x: status 404") as failed:
        await ask(server, path="/x?q=CANARY")
    assert failed.value.error_type == "HttpStatus"
    assert "CANARY" not in failed.value.message
    answer = await ask(server, fail_on_status=False)
    assert (answer["status"], answer["body"]) == (404, {"secret": "CANARY"})


class Flaky:
    """Answers with these, one after the other; the last one stays."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def __call__(self, request):
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


NOW = {"Retry-After": "0"}


async def test_it_is_sent_again_for_the_statuses_that_say_so(serve):
    server = serve(Flaky(Reply(503, headers=NOW), Reply(429, headers=NOW), Reply(data=1)))
    answer = await ask(server, method="POST", body="json", json={"a": 1}, retries=2)
    assert (answer["body"], len(server.requests)) == (1, 3)
    assert [request.json for request in server.requests] == [{"a": 1}] * 3


async def test_it_is_not_sent_again_more_often_or_for_other_statuses(serve):
    server = serve(lambda request: Reply(503, headers=NOW))
    with pytest.raises(NodeFailed, match="503"):
        await ask(server, retries=2)
    assert len(server.requests) == 3
    with pytest.raises(NodeFailed, match="503"):
        await ask(server, retries=2, retry_statuses="500")
    assert len(server.requests) == 4


async def cut(writer):
    """Close without an answer."""


@pytest.mark.parametrize(
    ("form", "sent"),
    [
        ({"method": "GET"}, 2),
        ({"method": "POST"}, 1),
        ({"method": "POST", "idempotency_key": True}, 2),
    ],
)
async def test_what_may_have_arrived_is_sent_again_only_when_that_does_no_harm(
    serve, monkeypatch, form, sent
):
    monkeypatch.setattr("nodes.builtin.http_request.wait_before", lambda *_: 0)
    server = serve(lambda request: cut)
    with pytest.raises(EgressFailed):
        await ask(server, retries=1, **form)
    assert len(server.requests) == sent


async def test_a_date_in_retry_after_is_waited_for_a_minute_at_most(serve):
    from nodes.builtin.http_answers import retry_after, wait_before

    class Said:
        def __init__(self, text):
            self.headers = {"retry-after": text}

    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert 20 < retry_after(Said(date)) <= 30
    assert wait_before(1, Said("86400")) == 60
    assert retry_after(Said("soon")) is None
    assert 0.9 <= wait_before(1, None) <= 1.1
    assert 3.6 <= wait_before(3, Said("soon")) <= 4.4


async def test_the_idempotency_key_is_that_of_the_item(serve):
    server = serve()
    await ask(server, method="POST", idempotency_key=True)
    await ask(server, method="POST")
    assert server.requests[0].headers["idempotency-key"] == "key"
    assert "idempotency-key" not in server.requests[1].headers


PAGES = {"1": ["a", "b"], "2": ["c"], "3": []}


def by_number(request):
    return Reply(data={"found": {"rows": PAGES[request.query["page"][0]]}})


def by_cursor(request):
    number = request.query.get("after", ["1"])[0]
    following = str(int(number) + 1) if number != "3" else None
    return Reply(data={"rows": PAGES[number], "meta": {"next": following}})


def by_address(request):
    number = request.query.get("p", ["1"])[0]
    following = f"/list?p={int(number) + 1}" if number != "3" else ""
    return Reply(data={"rows": PAGES[number], "next": following})


def by_link(request):
    number = request.query.get("p", ["1"])[0]
    link = f'</list?p={int(number) + 1}>; rel="next", </list>; rel="first"'
    return Reply(data=PAGES[number], headers={"Link": link} if number != "3" else {})


BY_NUMBER = {"pages": "number", "page_param": "page", "query": {"page": 1, "size": 2}}


@pytest.mark.parametrize(
    ("answer", "form"),
    [
        (by_number, {**BY_NUMBER, "items_field": "found.rows"}),
        (by_cursor, {"pages": "cursor", "page_param": "after", "page_field": "meta.next",
                     "items_field": "rows"}),
        (by_address, {"pages": "url", "page_field": "next", "items_field": "rows"}),
        (by_link, {"pages": "link"}),
    ],
)  # fmt: skip
async def test_pages_are_fetched_to_the_last(serve, answer, form):
    server = serve(answer)
    got = await ask(server, path="/list", **form)
    assert (got["items"], got["pages"], got["more"]) == (["a", "b", "c"], 3, False)
    assert (got["status"], "body" in got) == (200, False)
    got = await ask(server, path="/list", max_pages=2, **form)
    assert (got["items"], got["pages"], got["more"]) == (["a", "b", "c"], 2, True)
    if "query" in form:
        assert server.requests[0].query == {"page": ["1"], "size": ["2"]}


async def test_the_next_page_at_another_host_is_not_fetched(serve):
    other = serve()
    reply = Reply(data=[1], headers={"Link": f'<{other.url}/>; rel="next"'})
    server = serve(lambda request: reply)
    with pytest.raises(NodeFailed, match="at another host"):
        await ask(server, pages="link", headers={"Authorization": "Bearer s"})
    assert other.requests == []


async def test_a_page_without_the_list_is_an_error(serve):
    server = serve(lambda request: Reply(data={"rows": None}))
    with pytest.raises(NodeFailed, match="page 1 has no list in 'rows'"):
        await ask(server, items_field="rows", **BY_NUMBER)
    with pytest.raises(NodeFailed, match="page 1 has no list of items"):
        await ask(server, **BY_NUMBER)


async def test_all_pages_together_have_the_size_that_is_allowed(serve):
    server = serve(lambda request: Reply(data=["x" * 400]))
    with pytest.raises(EgressFailed, match="longer than"):
        await ask(server, max_bytes=1000, max_pages=1000, **BY_NUMBER)
    assert len(server.requests) == 3


async def test_what_is_closed_stays_closed(serve):
    server = serve()
    for url in ("http://127.0.0.2:{}/", "http://[::1]:{}/"):
        async with driven(HttpRequest, {"url": url.format(server.port)}) as run:
            with pytest.raises(EgressDenied, match="closed to nodes"):
                await run.data()
    assert server.connections == 0


async def test_items_in_flight_do_not_get_each_others_answers(serve):
    server = serve(lambda request: Reply(data=request.query["n"][0]))
    async with driven(HttpRequest, {"url": server.url, "query": {"n": "{{ data.n }}"}}) as run:
        answers = await asyncio.gather(*(run.data({"n": n}) for n in range(20)))
    assert [answer["response"]["body"] for answer in answers] == [str(n) for n in range(20)]


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({}, "url"),
        ({"url": "ftp://a.test"}, "url"),
        ({"url": "http://user:pass@a.test"}, "url"),
        ({"url": "http://a.test/{{ data. }}"}, "url"),
        ({"headers": {"Host": "b.test"}}, "headers"),
        ({"headers": {"transfer-encoding": "chunked"}}, "headers"),
        ({"headers": {"X": "a\r\nY: b"}}, "headers"),
        ({"headers": {"X Y": "a"}}, "headers"),
        ({"headers": {"X": "ä"}}, "headers"),
        ({"headers": {"X": ["a"]}}, "headers"),
        ({"query": {"a": {"b": 1}}}, "query"),
        ({"method": "BREW"}, "method"),
        ({"body": "json"}, "json"),
        ({"body": "text", "text": "x", "content_type": "a\nb"}, "content_type"),
        ({"body": "file", "file": "../x"}, "file"),
        ({"retries": 11}, "retries"),
        ({"retry_statuses": "500, abc"}, "retry_statuses"),
        ({"retry_statuses": [999]}, "retry_statuses"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": "10m"}, "timeout"),
        ({"max_bytes": 10**9}, "max_bytes"),
        ({"pages": "cursor", "page_field": "next"}, "page_param"),
    ],
)
async def test_settings_that_cannot_work_are_refused(form, path):
    form = {"url": "http://a.test", **form} if form else {}
    with pytest.raises(WorkflowInvalid) as refused:
        async with driven(HttpRequest, form):
            pass
    assert [problem.path for problem in refused.value.problems] == [f"data.form.{path}"]


async def test_a_header_from_an_item_cannot_become_two(serve):
    server = serve()
    with pytest.raises(NodeFailed, match="plain characters"):
        await ask(server, {"x": "a\r\nX-Admin: 1"}, headers={"X": "{{ data.x }}"})
    assert server.requests == []
