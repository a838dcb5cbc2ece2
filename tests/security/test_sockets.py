"""Sockets opened by whoever should not (S3), and tickets."""

from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.test import Client
from django.utils import timezone

from config.asgi import application
from orchestrator import consumers
from orchestrator.models import ApiToken, SocketTicket
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.sockets import Socket

pytestmark = pytest.mark.django_db(transaction=True)
PATHS = ("/ws/workflows/hello-loops/", "/ws/runs/x/", "/ws/dashboard/")
ORIGINS = (
    None, "", "null", "http://[", "http://testserver.evil.example", "http://evil.example",
    "http://testserver:81", "https://testserver:80", "http://testserver/", "//testserver",
    "host:abc", "http://x@testserver", "http://testserver:abc", "ftp://testserver", "http://é",
    "http://testserver http://testserver", "file://", "chrome-extension://testserver",
)  # fmt: skip


@pytest.fixture
def stored(transactional_db, hello_loops):
    return workflows.create(SYSTEM, hello_loops)


@pytest.fixture
def session(stored, make_user):
    client = Client()
    client.force_login(make_user("viewer"))
    return client


@pytest.fixture
async def refused(shared_store, stored, tally):
    """Open a socket, and note it unless it is closed with a code before it says a word."""
    doors = {}

    async def refuse(path, headers, *codes):
        door = f"sockets of whoever should not: {', '.join(map(str, codes))}"
        seen = doors.get(door) or doors.setdefault(door, tally("S3", door))
        socket = Socket(application, path, headers)
        with seen.attempt():
            await socket.open()
            said = await socket._app.receive_output(5)
        if said["type"] != "websocket.close" or said["code"] not in codes:
            seen.escaped.append((path, headers, said))

    return refuse


def cookie(client):
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


def page(client, origin="http://testserver"):
    headers = {"Host": "testserver", "Cookie": cookie(client)}
    return headers if origin is None else {**headers, "Origin": origin}


@pytest.mark.parametrize("path", PATHS)
async def test_a_page_of_another_site_gets_nothing(refused, session, path):
    for origin in ORIGINS:
        await refused(path, page(session, origin), 4403)


@pytest.mark.parametrize("path", PATHS)
async def test_who_is_nobody_gets_nothing(refused, session, make_user, make_token, path):
    ours = {"Host": "testserver", "Origin": "http://testserver"}
    await refused(path, {}, 4403)
    await refused(path, ours, 4401)
    await refused(path, {**ours, "Cookie": f"{settings.SESSION_COOKIE_NAME}=made-up"}, 4401)
    await refused(path, {**ours, "Cookie": "\x00=;;;"}, 4401)
    await refused(path, {"Authorization": "Bearer wo_" + "x" * 43}, 4401)
    token = await sync_to_async(lambda: make_token(make_user("viewer")))()
    await refused(f"{path}?token={token}", {}, 4403)  # a token in an address is no login
    await refused(f"{path}?ticket={token}", {}, 4401)
    nobody = await sync_to_async(lambda: make_token(make_user()))()
    await refused(path, {"Authorization": f"Bearer {nobody}"}, 4403)
    short = await sync_to_async(lambda: make_token(make_user("viewer"), scopes=["queue.*"]))()
    await refused(path, {"Authorization": f"Bearer {short}"}, 4403)
    gone = page(session)
    await sync_to_async(session.logout)()
    await refused(path, gone, 4401)


@pytest.fixture
async def opened(shared_store, session, tally):
    """Open a socket that has its first state, and count it below a name of its own."""
    sockets = []

    async def opened(door, path=PATHS[2]):
        seen = tally("S3", door)
        socket = Socket(application, path, page(session))
        with seen.attempt():
            await socket.open()
            assert (await socket.receive())["type"] == "state_sync"
        sockets.append(socket)
        return socket, seen

    yield opened
    for socket in sockets:
        await socket.leave()


@pytest.mark.parametrize("size", [4097, 65_536, 1_000_000], ids=str)
async def test_a_frame_that_is_too_large_ends_the_socket(opened, size):
    socket, seen = await opened("frame beyond 4 KB: 1009")
    await socket.send("x" * size)
    seen.escaped += [code for code in [await socket.closed()] if code != 1009]
    socket, seen = await opened("frame of bytes beyond 4 KB: 1009")
    await socket.send_bytes(b"\xff" * size)
    seen.escaped += [code for code in [await socket.closed()] if code != 1009]


async def test_a_thousand_frames_at_once_end_the_socket(opened):
    socket, seen = await opened("1,000 frames at once: 1008")
    for _ in range(1000):
        await socket.send({"type": "ping"})
    answers = 0
    while (said := await socket._app.receive_output(5))["type"] == "websocket.send":
        answers += 1
    seen.tried = 1000
    seen.escaped += [] if said["code"] == 1008 and answers <= 20 else [(answers, said)]


async def test_five_hundred_sockets_of_one_person_are_ten(shared_store, session, tally):
    seen = tally("S3", "500 sockets of one user: 10, then 4429")
    sockets, codes = [], []
    for _ in range(500):
        socket = Socket(application, PATHS[0], page(session))
        sockets.append(socket)
        with seen.attempt():
            await socket.open()
            said = await socket._app.receive_output(5)
        codes.append(said.get("code", "open"))
    assert set(codes[:10]) == {"open"}
    seen.escaped += [code for code in codes[10:] if code != 4429]
    for socket in sockets[:10]:
        await socket.leave()
    again = Socket(application, PATHS[0], page(session))
    await again.open()
    assert (await again.receive())["type"] == "state_sync"
    await again.leave()


async def test_what_there_is_not_ends_the_socket(shared_store, session, tally):
    seen = tally("S3", "workflow or run that there is not: 4404")
    for path in ("/ws/workflows/foreign/", "/ws/runs/foreign/"):
        with seen.attempt():
            socket = Socket(application, path, page(session))
            await socket.open()
            said = await socket._app.receive_output(5)
        if (said["type"], said.get("code")) != ("websocket.close", 4404):
            seen.escaped.append((path, said))


@pytest.fixture
def ticket(api):
    """Ask for a ticket with a token."""

    async def ask():
        answer = await sync_to_async(lambda: api("viewer").post("/ws-tickets/"))()
        assert answer.status_code == 201 and answer.json()["expires_in"] == 30
        return answer.json()["ticket"]

    return ask


async def test_a_ticket_opens_one_socket(refused, ticket):
    path = f"/ws/workflows/hello-loops/?ticket={await ticket()}"
    socket = Socket(application, path, {"Origin": "http://elsewhere.example"})
    await socket.open()
    assert (await socket.receive())["type"] == "state_sync"
    await refused(path, {}, 4401)
    await socket.leave()


async def test_a_ticket_ends(refused, ticket):
    path = f"/ws/dashboard/?ticket={await ticket()}"
    ended = timezone.now() - timedelta(seconds=1)
    await sync_to_async(SocketTicket.objects.update)(expires_at=ended)
    await refused(path, {}, 4401)


async def test_of_a_ticket_only_a_digest_is_kept(shared_store, stored, ticket):
    raw = await ticket()
    [row] = await sync_to_async(lambda: list(SocketTicket.objects.values()))()
    assert raw not in str(row)


async def test_a_socket_of_a_ticket_ends_with_its_token(shared_store, stored, ticket, monkeypatch):
    monkeypatch.setattr(consumers, "CHECK_EVERY", 0.01)
    socket = Socket(application, f"/ws/dashboard/?ticket={await ticket()}")
    await socket.open()
    await socket.receive()
    await sync_to_async(ApiToken.objects.all().delete)()
    assert await socket.closed() == 4401


async def test_a_socket_of_a_ticket_ends_with_its_session(shared_store, session, monkeypatch):
    monkeypatch.setattr(consumers, "CHECK_EVERY", 0.01)
    answer = await sync_to_async(lambda: session.post("/ws-tickets/"))()
    socket = Socket(application, f"/ws/dashboard/?ticket={answer.json()['ticket']}")
    await socket.open()
    await socket.receive()
    await sync_to_async(session.logout)()
    assert await socket.closed() == 4401
