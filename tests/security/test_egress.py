"""S7: nodes connect to nothing that is closed, whatever leads them there.

`escaped` counts connections: those that a listener has accepted, and those that the process has
tried (its log of `socket.connect`).
"""

import asyncio
import dataclasses
import gzip
import ipaddress
import re
import sys
import time
import zlib
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
import redis

from nodes.builtin.http_poll import HttpPoll
from nodes.builtin.http_request import HttpRequest
from nodes.builtin.redis_publish import RedisPublish
from nodes.builtin.send_email import SendEmail
from nodes.builtin.sql import SqlPoll, SqlQuery
from nodes.testing import driven
from orchestrator.exceptions import (
    EgressDenied,
    EgressFailed,
    InvalidRequest,
    NodeFailed,
    WorkflowInvalid,
)
from orchestrator.security import egress
from orchestrator.security.credentials import Credential
from orchestrator.security.egress.addresses import DENIED_V4, DENIED_V6
from tests.web_server import Reply, WebServer

LIMIT = 5.0
"""Seconds within which each attempt has ended."""

LOOPBACK = (
    "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0x0.0x0.0x1",
    "0177.0.0.1", "017700000001", "127.0.0.2", "127.255.255.254", "localhost", "LOCALHOST",
    "localhost.", "0.0.0.0", "0", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "①②⑦.⓪.⓪.①", "127。0。0。1", "\uff11\uff12\uff17.0.0.1",
)  # fmt: skip
"""Ways to write the address at which the listener is, or another of this machine."""
WRAPPED = (
    "[::127.0.0.1]", "[::7f00:1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::127.0.0.1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]",
    "[2001:0:808:808::80ff:fffe]", "[::ffff:0:127.0.0.1]", "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]", "[2a00:1450::5efe:7f00:1]", "[::ffff:10.0.0.1]",
)  # fmt: skip
SCOPED = ("[fe80::1%25lo]", "[fe80::1%lo]", "[::1%25lo]", "[::1%lo]", "[fe80::1%251]")
METADATA = (
    "169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518",
    "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192",
)  # fmt: skip
UNROUTED = ("fc00::/7", "fe80::/10", "ff00::/8", "100::/64", "5f00::/16", "::/96", "4000::/2")
NETWORKS = tuple(
    str(ip) if ip.version == 4 else f"[{ip}]"
    for network in (*DENIED_V4, *DENIED_V6, *map(ipaddress.ip_network, UNROUTED))
    for ip in (network[0], network[-1])
)
HOSTS = (*LOOPBACK, *WRAPPED, *SCOPED, *METADATA, *NETWORKS)

_tried: list[tuple] | None = None


def _note(event, arguments):
    if _tried is not None and event == "socket.connect" and isinstance(arguments[1], tuple):
        _tried.append(arguments[1][:2])


sys.addaudithook(_note)


@pytest.fixture
def tried(monkeypatch):
    """Return what this process has tried to connect to since."""
    global _tried
    _tried = []
    connect = psycopg.AsyncConnection.connect

    async def noted(**options):  # it connects where no audit hook hears of it
        _note("socket.connect", (None, (options["hostaddr"], options["port"])))
        return await connect(**options)

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", noted)
    yield _tried
    _tried = None


async def by_exchange(url):
    client = egress.http_client()
    try:
        await egress.exchange(
            client, client.build_request("GET", egress.parse_url(url)), timeout=LIMIT - 1
        )
    finally:
        await client.aclose()


async def by_request(url):
    async with driven(HttpRequest, {"url": url, "timeout": LIMIT - 1}) as run:
        await run.item({})


async def by_template(url):
    async with driven(HttpRequest, {"url": "{{ data.url }}", "timeout": LIMIT - 1}) as run:
        await run.item({"url": url})


async def by_poll(url):
    async with driven(HttpPoll, {"url": url, "timeout": LIMIT - 1}) as run:
        await run.item()


async def by_connect(url):
    place = url.removeprefix("http://").partition("/")[0]
    host, _, port = place.rpartition(":")
    _, writer = await egress.connect(host.replace("%25", "%"), int(port))
    writer.close()


async def by_redirect(url):
    with WebServer(lambda request: Reply(302, headers={"Location": url})) as server:
        policy = egress.policy()
        opened = egress.EgressPolicy.parse([f"127.0.0.1:{server.port}"])
        egress.install(dataclasses.replace(policy, allow_networks=opened.allow_networks))
        try:
            await by_exchange(server.url)
        finally:
            egress.install(policy)


def place_of(url):
    """Return host and port as nodes are told that speak no HTTP."""
    host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
    return host, port


async def by_node(node_class, form, kind, **values):
    """Run a node with a credential that leads it somewhere."""
    credentials = {"place": Credential(kind, values)}
    form = {"timeout": LIMIT - 2, "credential": "place", **form}
    async with driven(node_class, form, credentials=credentials) as run:
        await run.item({})


async def by_sql_query(url):
    address = "postgresql://ada:a-password@{}:{}/shop".format(*place_of(url))
    await by_node(SqlQuery, {"sql": "select 1"}, "database-url", url=address)


async def by_sql_poll(url):
    address = "postgresql://ada:a-password@{}:{}/shop?sslmode=disable".format(*place_of(url))
    form = {"sql": "select 1 as id where 1 > :cursor"}
    await by_node(SqlPoll, form, "database-url", url=address)


async def by_mail(url):
    host, port = place_of(url)
    form = {"sender": "a@b.test", "to": "c@d.test", "subject": "x", "text": "x"}
    host = host.removeprefix("[").removesuffix("]").replace("%25", "%")
    await by_node(SendEmail, form, "smtp", host=host, port=port, security="none")


async def by_redis(url):
    form = {"name": "x", "message": "x"}
    await by_node(RedisPublish, form, "database-url", url="redis://{}:{}".format(*place_of(url)))


async def by_redis_address(url):
    address = "rediss://{}:{}".format(*place_of(url))
    form = {"address": address, "name": "x", "message": "x", "timeout": LIMIT - 2}
    async with driven(RedisPublish, form) as run:
        await run.item({})


HTTP = (by_exchange, by_request, by_template, by_poll, by_redirect)
DRIVERS = (by_sql_query, by_sql_poll, by_mail, by_redis, by_redis_address)
DOORS = (*HTTP, by_connect, *DRIVERS)
REFUSED = (EgressDenied, EgressFailed, InvalidRequest, NodeFailed, WorkflowInvalid)


async def refused(door, url):
    """Try a door and return what it said; None when it opened."""
    try:
        await door(url)
    except REFUSED as error:
        return error
    return None


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__)
async def test_no_way_of_writing_it_leads_to_a_closed_address(door, open_egress, tally, tried):
    seen = tally("S7 addresses", door.__name__, time.monotonic)
    with WebServer() as listener, WebServer(host="::1", port=listener.port) as twin:
        open_egress(f"*:{listener.port}")  # so that nothing but the address is in the way
        for host in HOSTS:
            tried.clear()
            with seen.attempt():
                said = await refused(door, f"http://{host}:{listener.port}/")
            own = [place for place in tried if door is by_redirect and place[1] != listener.port]
            if said is None or len(own) != len(tried):
                seen.escaped.append((host, said, tried.copy()))
        seen.escaped += range(listener.connections + twin.connections)
    assert seen.tried > 100
    assert seen.slowest < LIMIT


@pytest.mark.parametrize("door", [by_exchange, *DRIVERS], ids=lambda door: door.__name__)
async def test_the_same_addresses_lead_to_the_listener_once_they_are_open(door, open_egress, tally):
    """The control: without the guard these would have got through."""
    seen = tally("S7 control, opened", door.__name__, time.monotonic)
    reached = []
    with (
        WebServer(hangs_up=True) as listener,
        WebServer(host="::1", port=listener.port, hangs_up=True) as twin,
    ):
        open_egress("127.0.0.0/8", "::1", "::", "0.0.0.0", "localhost")
        for host in LOOPBACK:
            before = listener.connections + twin.connections
            with seen.attempt():
                await refused(door, f"http://{host}:{listener.port}/")
            if listener.connections + twin.connections > before:
                reached.append(host)
    assert len(reached) > 15, reached


@pytest.mark.parametrize("port", [22, 25, 5432, 6379, 11211, 8000])
async def test_http_goes_to_no_port_of_another_protocol(port, open_egress, tally, tried):
    async def public(host, port):
        return ["198.41.0.4"]

    open_egress(lookup=public)
    seen = tally("S7 ports", "http", time.monotonic)
    with seen.attempt():
        said = await refused(by_exchange, f"http://public.test:{port}/")
    assert isinstance(said, EgressDenied)
    seen.escaped += tried


async def test_our_redis_sees_nobody_even_where_its_network_is_open(
    redis_server, open_egress, tally
):
    client = redis.Redis(host="127.0.0.1", port=redis_server.port)
    before = client.info("stats")["total_connections_received"]
    open_egress("127.0.0.0/8", "::1", "localhost", own=[("127.0.0.1", redis_server.port)])
    seen = tally("S7 our Redis", "every protocol", time.monotonic)
    for host in ("127.0.0.1", "127.1", "127.0.0.2", "localhost", "[::ffff:127.0.0.1]"):
        for door in (by_exchange, by_connect, *DRIVERS):
            with seen.attempt():
                said = await refused(door, f"http://{host}:{redis_server.port}/")
            assert isinstance(said, EgressDenied), (host, said)
    seen.escaped += range(client.info("stats")["total_connections_received"] - before)
    client.close()


class Rebinding:
    """A resolver whose answers change from question to question; the last one stays."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host, port):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def two_servers(answer):
    """Two servers at one port: one is open, the other is not."""
    with WebServer(answer, host="127.0.0.2") as open_one:
        with WebServer(host="127.0.0.1", port=open_one.port) as closed:
            yield open_one, closed


async def test_a_name_that_changes_its_mind_is_asked_once_for_each_connection(open_egress, tally):
    seen = tally("S7 rebinding", "http", time.monotonic)

    def again(request):
        target = f"http://rebind.test:{open_one.port}/again"
        return Reply(302, headers={"Location": target, "Connection": "close"})

    async with two_servers(again) as (open_one, closed):
        lookup = Rebinding(["127.0.0.2"], ["127.0.0.1"])
        open_egress(f"127.0.0.2:{open_one.port}", f"*:{open_one.port}", lookup=lookup)
        with seen.attempt():
            said = await refused(by_exchange, f"http://rebind.test:{open_one.port}/")
        assert isinstance(said, EgressDenied)
        assert (len(open_one.requests), lookup.asked) == (1, 2)
        seen.escaped += range(closed.connections)


@pytest.mark.parametrize("door", DRIVERS, ids=lambda door: door.__name__)
async def test_a_driver_does_not_ask_for_the_name_again(door, open_egress, tally):
    seen = tally("S7 rebinding", door.__name__, time.monotonic)
    with WebServer(host="127.0.0.2", hangs_up=True) as open_one:
        with WebServer(host="127.0.0.1", port=open_one.port) as closed:
            lookup = Rebinding(["127.0.0.2"], ["127.0.0.1"])
            open_egress(f"127.0.0.2:{open_one.port}", lookup=lookup)
            with seen.attempt():
                said = await refused(door, f"http://rebind.test:{open_one.port}/")
            assert isinstance(said, NodeFailed) and not isinstance(said, EgressDenied)
            assert (open_one.connections, lookup.asked) == (1, 1)
            seen.escaped += range(closed.connections)


async def test_one_closed_answer_among_others_closes_the_name(open_egress, tally):
    seen = tally("S7 rebinding", "two answers", time.monotonic)
    async with two_servers(lambda request: Reply()) as (open_one, closed):
        for answers in (["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"]):
            open_egress(
                f"127.0.0.2:{open_one.port}", f"*:{open_one.port}", lookup=Rebinding(answers)
            )
            for door in (by_exchange, by_connect, *DRIVERS):
                with seen.attempt():
                    said = await refused(door, f"http://two.test:{open_one.port}/")
                assert isinstance(said, EgressDenied)
        seen.escaped += range(open_one.connections + closed.connections)


@pytest.mark.parametrize(
    "target",
    ["http://169.254.169.254/latest/meta-data/", "//169.254.169.254/", "http://[::1]:6379/",
     "file:///etc/passwd", "gopher://127.0.0.1:6379/_INFO", "ftp://127.0.0.1/", "http://a:b@127.0.0.1/",
     "http+unix://%2Ftmp%2Fredis.sock/", "http://", "http://[", "dict://127.0.0.1:6379/info"],
)  # fmt: skip
async def test_a_redirect_to_what_is_closed_is_not_followed(target, open_egress, tally, tried):
    seen = tally("S7 redirects", "302", time.monotonic)
    with WebServer(lambda request: Reply(302, headers={"Location": target})) as server:
        open_egress(f"127.0.0.1:{server.port}")
        with seen.attempt():
            said = await refused(by_exchange, server.url)
        assert isinstance(said, EgressDenied | EgressFailed), said
        seen.escaped += [place for place in tried if place[1] != server.port]


async def test_a_chain_of_redirects_ends_after_three(open_egress, tally):
    seen = tally("S7 redirects", "chain of 10", time.monotonic)

    def further(request):
        number = int(request.path.strip("/") or 0) + 1
        return Reply(302, headers={"Location": f"/{number}"}) if number <= 10 else Reply()

    with WebServer(further) as server:
        open_egress(f"127.0.0.1:{server.port}")
        with seen.attempt():
            said = await refused(by_exchange, server.url)
        assert "redirects more than 3 times" in str(said)
        assert len(server.requests) == 4


@pytest.mark.parametrize(
    "url",
    ["http://a@b.test/", "http://a:b@127.0.0.1/", "http://127.0.0.1\\@b.test/", "unix:///tmp/x",
     "http+unix://%2Ftmp%2Fx/", "file:///etc/passwd", "http:///etc/passwd", "http://", "//b.test",
     "http://b.test\r\nHost: a/", "http://b.test:99999/", "javascript:alert(1)"],
)  # fmt: skip
async def test_an_address_that_is_more_than_one_is_refused_by_the_form(
    url, open_egress, tally, tried
):
    seen = tally("S7 addresses", "form", time.monotonic)
    with seen.attempt(), pytest.raises((WorkflowInvalid, EgressDenied)):
        await by_request(url)
    with seen.attempt(), pytest.raises((NodeFailed, EgressDenied)):
        await by_template(url)
    seen.escaped += tried


async def test_no_socket_file_is_opened(open_egress, tmp_path):
    path = str(tmp_path / "socket")
    served = []
    server = await asyncio.start_unix_server(lambda *_: served.append(1), path)
    with pytest.raises(EgressDenied):
        await egress.http_client()._transport._pool._network_backend.connect_unix_socket(path)
    server.close()
    assert served == []


async def test_a_proxy_of_the_environment_is_not_asked(open_egress, tally, monkeypatch):
    seen = tally("S7 proxy", "HTTP_PROXY", time.monotonic)
    with WebServer() as proxy, WebServer() as server:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        open_egress(f"127.0.0.1:{server.port}", f"127.0.0.1:{proxy.port}")
        with seen.attempt():
            assert await refused(by_exchange, server.url) is None
        seen.escaped += range(proxy.connections)


CHUNK = b"x" * 65536


async def endless(writer):
    """Send 10 GB, or as much as anybody takes."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n")
    await keep_sending(writer, lambda: CHUNK)


async def endless_chunks(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    await keep_sending(writer, lambda: b"10000\r\n" + CHUNK + b"\r\n")


async def gzip_bomb(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    zeros = b"".join(packer.compress(bytes(2**20)) for _ in range(64))
    await keep_sending(writer, lambda: zeros)


async def many_small_gzips(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
    part = gzip.compress(bytes(2**20)) * 50
    await keep_sending(writer, lambda: part)


async def packed_twice(writer):
    body = gzip.compress(gzip.compress(bytes(2**20)))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, gzip\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


async def slow_body(writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    await keep_sending(writer, lambda: b"x", pause=0.1)


async def slow_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await keep_sending(writer, lambda: b"X-A: b\r\n", pause=0.1)


async def endless_head(writer):
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await keep_sending(writer, lambda: b"X-A: " + CHUNK + b"\r\n")


async def silence(writer):
    await asyncio.sleep(60)


async def keep_sending(writer, make, pause=0.0):
    sent = 0
    while sent < 10 * 2**30:
        part = make()
        writer.write(part)
        await writer.drain()
        sent += len(part)
        if pause:
            await asyncio.sleep(pause)


FLOODS = {
    endless: "longer than",
    endless_chunks: "longer than",
    gzip_bomb: "longer than",
    many_small_gzips: "longer than",
    packed_twice: "not asked for",
    endless_head: "buffer too long",
}
SLOW = dict.fromkeys((slow_body, slow_head, silence), "no answer within 2 s")


def peak():
    """Return the most memory that this process has had since the last call, in MB."""
    status = Path("/proc/self/status").read_text()
    Path("/proc/self/clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


@pytest.mark.parametrize("answer", [*FLOODS, *SLOW], ids=lambda answer: answer.__name__)
async def test_an_answer_without_end_is_ended(answer, open_egress, tally):
    with WebServer(lambda request: answer) as server:
        open_egress(f"127.0.0.1:{server.port}")
        form = {"url": server.url, "timeout": 2 if answer in SLOW else 4}
        seen = tally("S7 answers", answer.__name__, time.monotonic)
        for limit in (1000, 10 * 2**20):
            peak()
            before = peak()
            with seen.attempt():
                async with driven(HttpRequest, {**form, "max_bytes": limit}) as run:
                    with pytest.raises(EgressFailed, match={**FLOODS, **SLOW}[answer]):
                        await run.item({})
            assert peak() - before < 40
    assert seen.slowest < LIMIT
