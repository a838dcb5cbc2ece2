"""The guarded client: redirects, logins, bodies, time, TLS."""

import asyncio
import gzip
import logging
import ssl
import zlib

import pytest

from orchestrator.exceptions import EgressDenied, EgressFailed, InvalidRequest
from orchestrator.security import egress
from tests.certificates import Authority
from tests.web_server import Reply, WebServer


@pytest.fixture
async def fetch(open_egress):
    """Send a request to an address, with headers, and return the answer."""
    open_egress("127.0.0.0/8")
    client = egress.http_client()

    async def fetch(url, method="GET", headers=None, content=None, **options):
        request = client.build_request(method, url, headers=headers, content=content)
        return await egress.exchange(client, request, **options)

    yield fetch
    await client.aclose()


@pytest.fixture
def serve():
    servers = []

    def start(answer=lambda request: Reply(), **options):
        server = WebServer(answer, **options)
        servers.append(server.__enter__())
        return server

    yield start
    for server in servers:
        server.__exit__()


async def test_an_answer_has_status_headers_body_and_address(fetch, serve):
    server = serve(
        lambda request: Reply(418, b"tea", {"X-Kind": "pot", "Content-Type": "text/plain"})
    )
    answer = await fetch(f"{server.url}/a?b=c")
    assert (answer.status, answer.body, answer.headers["x-kind"]) == (418, b"tea", "pot")
    assert (answer.url, answer.media_type) == (f"{server.url}/a?b=c", "text/plain")


LOGINS = {"Authorization": "Bearer s", "Cookie": "a=s", "X-Key": "s", "Accept": "text/html"}


async def test_a_redirect_to_another_host_gets_no_login(fetch, serve):
    far = serve(host="127.0.0.2")
    near = serve(lambda request: Reply(302, headers={"Location": far.url}))
    await fetch(near.url, headers=LOGINS)
    assert near.requests[0].headers["x-key"] == "s"
    got = far.requests[0].headers
    assert got["accept"] == "text/html"
    assert not {"authorization", "cookie", "x-key"} & got.keys()


async def test_a_redirect_on_the_same_host_keeps_it(fetch, serve):
    server = serve(
        lambda request: Reply(302, headers={"Location": "/b"}) if request.path == "/a" else Reply()
    )
    answer = await fetch(f"{server.url}/a", headers=LOGINS)
    assert answer.url == f"{server.url}/b"
    assert [request.headers["x-key"] for request in server.requests] == ["s", "s"]
    assert server.requests[1].headers["authorization"] == "Bearer s"


async def test_another_port_is_another_host(fetch, serve):
    far = serve()
    near = serve(lambda request: Reply(307, headers={"Location": far.url}))
    await fetch(near.url, "POST", headers=LOGINS, content=b"body")
    assert not {"authorization", "cookie", "x-key"} & far.requests[0].headers.keys()
    assert (far.requests[0].method, far.requests[0].body) == ("POST", b"body")


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request(fetch, serve):
    server = serve(lambda request: Reply(headers={"Set-Cookie": "session=1"}))
    for _ in range(2):
        await fetch(server.url)
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("gzip", lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:])),
        ("deflate", zlib.compress),
        ("deflate", lambda body: zlib.compress(body)[2:-4]),
        ("identity", lambda body: body),
    ],
)
async def test_a_body_is_unpacked_up_to_the_limit(fetch, serve, coding, pack):
    text = b"0123456789" * 100
    server = serve(lambda request: Reply(body=pack(text), headers={"Content-Encoding": coding}))
    assert (await fetch(server.url, max_bytes=1000)).body == text
    with pytest.raises(EgressFailed, match="longer than 999 bytes"):
        await fetch(server.url, max_bytes=999)


@pytest.mark.parametrize(
    ("coding", "body", "message"),
    [
        ("br", b"x", "packed as 'br'"),
        ("gzip", b"no gzip", "cannot be unpacked"),
        ("gzip", gzip.compress(b"x" * 1000)[:-10], "cut short"),
    ],
    # Not made of the bytes: those hold the time, and each worker collects at another.
    ids=["unknown", "not packed", "cut short"],
)
async def test_a_body_that_is_packed_badly_is_an_error(fetch, serve, coding, body, message):
    server = serve(lambda request: Reply(body=body, headers={"Content-Encoding": coding}))
    with pytest.raises(EgressFailed, match=message):
        await fetch(server.url)


async def test_a_packed_answer_without_a_body_is_empty(fetch, serve):
    server = serve(lambda request: Reply(headers={"Content-Encoding": "gzip"}))
    assert (await fetch(server.url, "HEAD")).body == b""


async def test_what_fails_names_the_place_without_its_query(fetch, serve, caplog):
    async def cut(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")

    caplog.set_level(logging.DEBUG)
    answers = [Reply(headers={"Set-Cookie": "CANARY"}), cut]
    server = serve(lambda request: answers.pop(0))
    await fetch(f"{server.url}/path?token=CANARY")
    with pytest.raises(EgressFailed) as failed:
        await fetch(f"{server.url}/path?token=CANARY")
    assert failed.value.message.startswith(f"{server.url}/path: ")
    assert not failed.value.unsent
    with pytest.raises(EgressDenied) as denied:
        await fetch("http://10.0.0.1/path?token=CANARY")
    assert "'10.0.0.1' port 80" in denied.value.message
    assert "CANARY" not in failed.value.message + denied.value.message + caplog.text
    assert "refused to connect" in caplog.text


async def test_nobody_there_says_that_nothing_was_sent(fetch, serve):
    with WebServer() as server:
        pass
    with pytest.raises(EgressFailed) as failed:
        await fetch(server.url)
    assert failed.value.unsent


async def test_the_time_is_for_all_of_it(fetch, serve):
    async def drip(writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x")
            await asyncio.sleep(0.05)

    server = serve(lambda request: drip)
    with pytest.raises(EgressFailed, match=r"no answer within 0\.5 s"):
        await fetch(server.url, timeout=0.5)


async def test_a_resolver_that_hangs_is_not_waited_for(open_egress, monkeypatch):
    async def hang(host, port):
        await asyncio.sleep(60)

    open_egress(lookup=hang)
    with pytest.raises(TimeoutError):
        await egress.connect("slow.test", 80, timeout=0.1)


async def test_the_next_address_is_tried_when_nobody_is_at_the_first(open_egress, serve, fetch):
    async def lookup(host, port):
        return ["127.0.0.9", "127.0.0.2"]

    server = serve(host="127.0.0.2")
    open_egress("127.0.0.0/8", lookup=lookup)
    assert (await fetch(f"http://two.test:{server.port}/")).status == 200
    reader, writer = await egress.connect("two.test", server.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 Told\r\n"
    writer.close()


@pytest.fixture
def certified(tmp_path, monkeypatch):
    """Return a TLS context of a server `good.test`, whose certificate the client trusts."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    egress.tls_context.cache_clear()
    yield authority.server("good.test", "127.0.0.3")
    egress.tls_context.cache_clear()


async def test_a_certificate_has_to_be_that_of_the_name_and_not_of_the_address(
    certified, open_egress, serve
):
    async def lookup(host, port):
        return ["127.0.0.3"]

    server = serve(host="127.0.0.3", tls=certified)
    open_egress("127.0.0.0/8", lookup=lookup)
    client = egress.http_client()
    good = client.build_request("GET", f"https://good.test:{server.port}/")
    assert (await egress.exchange(client, good)).status == 200
    other = client.build_request("GET", f"https://other.test:{server.port}/")
    with pytest.raises(EgressFailed, match="certificate"):
        await egress.exchange(client, other)
    await client.aclose()
    _, writer = await egress.connect("good.test", server.port, ssl=True)
    writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await egress.connect("other.test", server.port, ssl=True)


@pytest.mark.parametrize(
    "text", ["", "x", "ftp://a.test", "http://a:b@a.test", "http://", "http://a b/", "http://a/\n",
             "http://a.test:x/", "http://" + "a" * 9000, "http://[::1%25lo]/"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidRequest):
        egress.parse_url(text)


def test_an_address_is_shown_without_what_may_be_secret():
    url = egress.parse_url("https://a.test/b?token=s#f")
    assert (str(url), egress.shown(url)) == ("https://a.test/b?token=s", "https://a.test/b")
