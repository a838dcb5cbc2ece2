"""The live sockets: who may watch, and what they see."""

import asyncio
import contextlib
import gc

import orjson
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError
from django.test import Client

from config.asgi import application
from orchestrator import consumers
from orchestrator.exceptions import StoreUnavailable
from orchestrator.models import ApiToken
from orchestrator.routing import same_origin
from orchestrator.runtime.queue_watch import QueueWatch
from orchestrator.security.actors import SYSTEM, Actor
from orchestrator.services import live, production, stores, workflows
from tests.sockets import Socket
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)
WORKFLOW, DASHBOARD = "/ws/workflows/hello-loops/", "/ws/dashboard/"


@pytest.fixture
def stored(transactional_db, hello_loops):
    return workflows.create(SYSTEM, hello_loops)


@pytest.fixture
def token(stored, make_user, make_token):
    return make_token(make_user("viewer"))


@pytest.fixture
async def connect(shared_store, token):
    """Open sockets with a token, and leave them all at the end."""
    opened = []

    async def connect(path=WORKFLOW, **headers):
        socket = Socket(application, path, headers or {"Authorization": f"Bearer {token}"})
        await socket.open()
        opened.append(socket)
        return socket

    yield connect
    for socket in opened:
        await socket.leave()


@pytest.fixture
def cookie(stored, make_user):
    client = Client()
    client.force_login(make_user("viewer"))
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    return client, f"{settings.SESSION_COOKIE_NAME}={key}"


def page(cookie, **changes):
    """Headers as a browser sends them from a page of ours."""
    headers = {"Origin": "http://testserver", "Host": "testserver", "Cookie": cookie}
    return {name: value for name, value in {**headers, **changes}.items() if value is not None}


async def publish_until(socket, kind, *events, workflow="hello-loops"):
    """Publish until the socket has got an event: the subscription begins when it begins."""
    feed = stores.shared_store().feed
    received = asyncio.create_task(socket.receive_type(kind))
    while not received.done():
        with contextlib.suppress(StoreUnavailable):
            await feed.publish(workflow, {}, [orjson.dumps(event) for event in events])
        await asyncio.wait([received], timeout=0.05)
    return received.result()


async def test_samples_of_queues_reach_a_socket(connect):
    socket = await connect()
    store = stores.shared_store()
    received = asyncio.create_task(socket.receive_type("queue_stats"))
    while not received.done():  # the subscription begins when it begins
        await QueueWatch(store.queue, store.feed).sample({"hello-loops": ["queue_2_3"]})
        await asyncio.wait([received], timeout=0.05)
    event = received.result()
    assert event["workflow_id"] == "hello-loops"
    assert event["queues"]["queue_2_3"]["depth"] == 0


async def test_the_state_comes_first_and_events_are_numbered(connect):
    socket = await connect()
    first = await socket.receive()
    status = await sync_to_async(production.status)(SYSTEM, "hello-loops")
    status.pop("runners")  # they are not the workflow's, and no socket is told of them
    assert first == {**status, "type": "state_sync", "seq": 0}

    event = {"type": "node_completed", "loop": "1", "slot": 0, "node": "1", "count": 1}
    received = await publish_until(socket, "node_completed", event)
    assert received == {**event, "workflow_id": "hello-loops", "seq": received["seq"]}

    await socket.send({"type": "request_state"})
    numbers = [received["seq"]]
    while (message := await socket.receive())["type"] != "state_sync":
        numbers.append(message["seq"])
    numbers.append(message["seq"])
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_ping(connect):
    socket = await connect()
    await socket.receive()
    await socket.send({"type": "ping"})
    assert await socket.receive() == {"type": "pong"}


async def test_another_workflows_events_are_not_shown(connect):
    watching, everything = await connect(), await connect(DASHBOARD)
    await watching.receive()
    assert (await everything.receive())["type"] == "state_sync"
    await publish_until(everything, "foreign", {"type": "foreign"}, workflow="other")
    received = []
    own = asyncio.create_task(publish_until(watching, "own", {"type": "own"}))
    received.append(await own)
    assert {message["workflow_id"] for message in received} == {"hello-loops"}


async def test_the_dashboard_sees_every_workflow(connect):
    first = await (await connect(DASHBOARD)).receive()
    assert (first["type"], first["seq"], first["runners_alive"]) == ("state_sync", 0, 0)
    assert [w["workflow_id"] for w in first["workflows"]] == ["hello-loops"]


async def test_the_dashboard_sees_the_system_and_what_changes_of_it(connect):
    socket, queue = await connect(DASHBOARD), stores.shared_store().queue
    first = await socket.receive()
    before = first["system"].pop("workflows")
    assert first["system"].pop("queued") == sum(counts["queued"] for counts in before.values())
    ok = {"runners": 0, "redis": "ok", "database": "ok", "dead_letters": 0}
    assert first["system"] == ok
    assert first["rates"] == {"every": live.EVERY, "workflows": {}}
    await queue.put("hello-loops", "queue_2_3", b'{"v": 1}')
    event = await socket.receive_type("system")
    waiting = before.get("hello-loops", {"queued": 0})["queued"]
    assert event["workflows"]["hello-loops"] == {"queued": waiting + 1, "dead_letters": 0}
    assert event["seq"] > 0


async def test_rates_are_kept_from_before_anybody_looks(connect, monkeypatch):
    feed = stores.shared_store().feed
    stats = {"type": "node_stats", "loop": "1", "slot": 0, "failures": 0, "in_flight": 0}
    hub = live.feed_hub()

    async def counted():
        """Publish until something was heard: the subscription begins when it begins."""
        counted.n = getattr(counted, "n", 0) + 10
        event = {**stats, "iterations": counted.n, "nodes": {}}
        await feed.publish("hello-loops", {}, [orjson.dumps(event)])
        hub.rates.tick()
        return any(hub.rates.last().values())

    await until(counted)
    first = await (await connect(DASHBOARD)).receive()
    assert any(first["rates"]["workflows"]["hello-loops"])


@pytest.mark.parametrize("path", [WORKFLOW, DASHBOARD])
async def test_less_detail_is_sent_when_it_is_asked_for(connect, path):
    socket = await connect(f"{path}?detail=loops")
    await socket.receive()
    node = {"type": "node_completed", "loop": "1", "slot": 0, "node": "1", "count": 1}
    stats = {"type": "node_stats", "iterations": 1, "nodes": {"1": {}}}
    told = await publish_until(socket, "node_stats", node, stats)
    assert "nodes" not in told
    assert (await publish_until(socket, "own", node, {"type": "own"}))["workflow_id"]


async def test_a_detail_that_there_is_not(connect):
    assert await (await connect(f"{DASHBOARD}?detail=everything")).closed() == 1008


async def test_many_who_ask_at_once_are_answered_from_one_read(connect, monkeypatch):
    reads = []
    read = live.workflow_state
    monkeypatch.setattr(live, "workflow_state", lambda *given: reads.append(1) or read(*given))
    sockets = [await connect() for _ in range(5)]
    for socket in sockets:
        await socket.receive()
    before = len(reads)
    for socket in sockets:
        await socket.send({"type": "request_state"})
    for socket in sockets:
        assert (await socket.receive_type("state_sync"))["seq"] == 1
    assert len(reads) - before <= 2


def living_consumers():
    return [found for found in gc.get_objects() if type(found) is consumers.WorkflowConsumer]


async def test_what_is_read_for_all_is_told_only_to_who_may_see_it(connect, make_user, monkeypatch):
    others = living_consumers()  # that tests before this one left
    watching, removed = await connect(), await connect()
    for socket in (watching, removed):
        await socket.receive()
    # As after the next look at the credential, which one of them has not passed.
    consumer = next(c for c in living_consumers() if all(c is not other for other in others))
    consumer._actor = Actor(id=consumer._actor.id, name="nobody")
    for socket in (watching, removed):
        await socket.send({"type": "request_state"})
    outputs = [await socket._app.receive_output(5) for socket in (watching, removed)]
    assert sorted(o["type"] for o in outputs) == ["websocket.close", "websocket.send"]


async def test_a_database_that_is_away_ends_the_socket_for_now(connect, monkeypatch):
    socket = await connect()
    await socket.receive()

    def away(*given):
        raise DatabaseError

    monkeypatch.setattr(live, "workflow_state", away)
    await socket.send({"type": "request_state"})
    assert await socket.closed() == 1013


async def test_a_session_of_a_page_of_ours_is_let_in(connect, cookie):
    socket = await connect(**page(cookie[1]))
    assert (await socket.receive())["type"] == "state_sync"


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "http://evil.example",
        "http://testserver.evil.example",
        "http://testserver:8001",
        "https://testserver:80x",
        "http://[",
        "http://host:abc",
        "testserver",
        "file://testserver",
        "http://testserver@evil.example",
    ],
)
async def test_a_session_of_another_page_is_not(connect, cookie, origin):
    socket = await connect(**page(cookie[1], Origin=origin))
    assert await socket.closed() == 4403


async def test_a_host_that_is_not_ours_is_not_let_in(connect, cookie):
    headers = page(cookie[1], Origin="http://evil.example", Host="evil.example")
    assert await (await connect(**headers)).closed() == 4403


@pytest.mark.parametrize("value", ["{name}=", "{name}=x", "other=1", "{name}=" + "a" * 32])
async def test_a_session_that_is_none(connect, value):
    cookie = value.format(name=settings.SESSION_COOKIE_NAME)
    assert await (await connect(**page(cookie))).closed() == 4401


async def test_a_token_in_the_address_is_no_token(connect, token):
    headers = page("x=1")
    assert await (await connect(f"{WORKFLOW}?token={token}", **headers)).closed() == 4401


@pytest.mark.parametrize(
    ("path", "code"), [("/ws/workflows/nothing/", 4404), ("/ws/x/", 4404), ("/", 4404)]
)
async def test_what_is_not_there(connect, path, code):
    assert await (await connect(path)).closed() == code


async def test_without_a_role_nobody_watches(connect, make_user, make_token):
    raw = await sync_to_async(lambda: make_token(make_user(None)))()
    assert await (await connect(Authorization=f"Bearer {raw}")).closed() == 4403


async def test_a_token_taken_away_ends_the_socket(connect, monkeypatch):
    monkeypatch.setattr(consumers, "CHECK_EVERY", 0.01)
    socket = await connect()
    await socket.receive()
    await sync_to_async(ApiToken.objects.all().delete)()
    assert await socket.closed() == 4401


async def test_logging_out_ends_the_socket(connect, cookie, monkeypatch):
    monkeypatch.setattr(consumers, "CHECK_EVERY", 0.01)
    client, value = cookie
    socket = await connect(**page(value))
    await socket.receive()
    await sync_to_async(client.logout)()
    assert await socket.closed() == 4401


async def test_a_role_taken_away_ends_the_socket(connect, make_user, monkeypatch):
    monkeypatch.setattr(consumers, "CHECK_EVERY", 0.01)
    socket = await connect()
    await socket.receive()
    await sync_to_async(lambda: make_user("viewer").groups.clear())()
    assert await socket.closed() == 4403


@pytest.mark.parametrize(
    ("text", "code"),
    [("{", 1003), ("x" * 5000, 1009), ("[" * 3000, 1003), ("", 1003), ("é" * 2500, 1009)],
)
async def test_bad_messages_end_the_socket(connect, text, code):
    socket = await connect()
    await socket.send(text)
    assert await socket.closed() == code


async def test_binary_messages_end_the_socket(connect):
    socket = await connect()
    await socket.send_bytes(b"\x00" * 10)
    assert await socket.closed() == 1003


@pytest.mark.parametrize("message", [{}, {"type": "x"}, {"type": None}, [], 5, None])
async def test_an_unknown_message_is_told(connect, message):
    socket = await connect()
    await socket.receive()
    await socket.send(message)
    assert (await socket.receive())["type"] == "error"


async def test_a_flood_ends_the_socket(connect):
    socket = await connect()
    for _ in range(consumers.MAX_PER_SECOND + 1):
        await socket.send({"type": "ping"})
    assert await socket.closed() == 1008


async def test_a_user_has_so_many_sockets(connect):
    sockets = [await connect() for _ in range(consumers.MAX_SOCKETS)]
    for socket in sockets:
        await socket.receive()
    assert await (await connect()).closed() == 4429
    await sockets[0].leave()
    assert (await (await connect()).receive())["type"] == "state_sync"


async def test_redis_may_go_and_come_back(connect, redis_server):
    socket = await connect()
    await socket.receive()
    await publish_until(socket, "before", {"type": "before"})
    redis_server.kill()
    try:
        assert (await socket.receive_type("gap"))["seq"]
        await socket.send({"type": "request_state"})
        assert (await socket.receive_type("state_sync"))["workflow_id"] == "hello-loops"
    finally:
        redis_server.start()
    assert (await publish_until(socket, "after", {"type": "after"}))["seq"]


async def test_a_dashboard_says_that_redis_is_away(connect, redis_server):
    socket = await connect(DASHBOARD)
    assert (await socket.receive())["system"]["redis"] == "ok"
    redis_server.kill()
    try:
        event = await socket.receive_type("system")
        while event["redis"] == "ok":
            event = await socket.receive_type("system")
        assert (event["queued"], event["dead_letters"], event["database"]) == (None, 0, "ok")
        await socket.send({"type": "request_state"})
        state = await socket.receive_type("state_sync")
        assert state["system"]["redis"] == event["redis"]
    finally:
        redis_server.start()
    while (event := await socket.receive_type("system"))["redis"] != "ok":
        pass
    assert event["queued"] is not None


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://a:8000", "a:8000", True),
        ("http://a", "a", True),
        ("http://a", "a:80", True),
        ("https://a", "a", True),
        ("https://a:443", "a", True),
        ("http://A", "a", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("http://a:8000", "a", False),
        ("http://a", "b", False),
        ("ftp://a", "a", False),
        ("http://a", None, False),
    ],
)
def test_the_same_origin(origin, host, same):
    assert same_origin(origin, host) is same
