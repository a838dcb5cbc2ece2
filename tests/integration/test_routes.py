"""Every HTTP and WebSocket route, with what it demands of whoever calls it.

A route that is not listed here fails the test: whoever adds one says what it demands.
"""

import pytest
from django.urls import URLPattern, get_resolver

from config.asgi import application
from orchestrator.routing import websocket_urlpatterns
from tests.sockets import Socket

OPEN, LOGIN, API, STAFF = "open", "login", "api", "staff"
HOOK = "webhook"  # no login of ours: what a request has to prove is in the webhook's settings

ROUTES = {
    "": LOGIN,
    "login/": OPEN,
    "logout/": OPEN,  # ends the session of whoever has one; needs the CSRF token
    "^healthz/?$": OPEN,
    "^readyz/?$": OPEN,  # who may not read it is told no reasons
    "^metrics/?$": API,
    "^account/?$": API,
    "^audit/?$": API,
    "^audit/export/?$": API,
    "^ws-tickets/?$": API,
    "^prod/start/?$": API,
    "^prod/stop/?$": API,
    "^prod/pause/?$": API,
    "^prod/resume/?$": API,
    "^prod/drain/?$": API,
    "^prod/status/(?P<workflow_id>[-a-zA-Z0-9_]+)/?$": API,
    "^dev/execute/?$": API,
    "^dev/render/?$": API,
    "^dev/cancel/?$": API,
    "^dev/load/?$": API,
    "^dev/forget/?$": API,
    "^dev/validate/?$": API,
    "^dev/cache/(?P<workflow_id>[-a-zA-Z0-9_]+)/?$": API,
    "^dev/input/(?P<workflow_id>[-a-zA-Z0-9_]+)/(?P<node_id>[^/]+)/?$": API,
    "^dev/cache/(?P<workflow_id>[-a-zA-Z0-9_]+)/(?P<node_id>[^/]+)/?$": API,
    "^dev/taps/(?P<workflow_id>[-a-zA-Z0-9_]+)/(?P<node_id>[^/]+)/?$": API,
    "^workflows/?$": API,
    "^workflows/(?P<workflow_id>[-a-zA-Z0-9_]+)/?$": API,
    "^workflows/(?P<workflow_id>[-a-zA-Z0-9_]+)/versions/?$": API,
    "^workflows/(?P<workflow_id>[-a-zA-Z0-9_]+)/versions/(?P<number>[0-9]{1,15})/?$": API,
    "^credentials/?$": API,
    "^credentials/(?P<name>[-a-zA-Z0-9_]+)/?$": API,
    "^examples/?$": API,
    "^nodes/?$": API,
    "^nodes/(?P<node_type>[-a-zA-Z0-9_]+)/form/?$": API,
    "^nodes/(?P<node_type>[-a-zA-Z0-9_]+)/validate/?$": API,
    "^studio/forms/(?P<node_type>[-a-zA-Z0-9_]+)/?$": API,
    "^queues/?$": API,
    "^queues/(?P<workflow_id>[-a-zA-Z0-9_]+)/(?P<queue>[^/]+)/?$": API,
    "^queues/(?P<workflow_id>[-a-zA-Z0-9_]+)/(?P<queue>[^/]+)/items/?$": API,
    "^queues/(?P<workflow_id>[-a-zA-Z0-9_]+)/(?P<queue>[^/]+)/purge/?$": API,
    "^dead-letters/?$": API,
    "^dead-letters/groups/?$": API,
    "^dead-letters/(?P<dead_letter_id>[0-9]{1,15})/?$": API,
    "^dead-letters/(?P<dead_letter_id>[0-9]{1,15})/replay/?$": API,
    "^dead-letters/(?P<dead_letter_id>[0-9]{1,15})/discard/?$": API,
    "^dead-letters/replay/?$": API,
    "^dead-letters/discard/?$": API,
    "^graph/?$": API,
    "^graph/create/?$": API,
    "^graph/run/?$": API,
    "^graph/runs/?$": API,
    "^graph/state/(?P<run_id>[-a-zA-Z0-9_]+)/?$": API,
    "^graph/(?P<graph_id>[-a-zA-Z0-9_]+)/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/cancel/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/resume/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/retry/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/fork/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/log/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/timeline/?$": API,
    "^graph/runs/(?P<run_id>[-a-zA-Z0-9_]+)/checkpoints/?$": API,
    "^runs/?$": LOGIN,
    "^runs/(?P<run_id>[-a-zA-Z0-9_]+)/?$": LOGIN,
    "^tools/?$": API,
    "^tools/(?P<name>[^/]+)/?$": API,
    "^tools/(?P<name>[^/]+)/call/?$": API,
    "^studio/?$": LOGIN,
    "^studio/(?P<workflow_id>[-a-zA-Z0-9_]+)/?$": LOGIN,
    "^webhooks/(?P<path>[-a-zA-Z0-9_/]{1,200}?)/?$": HOOK,
    "^schema/?$": API,
    "^docs/?$": LOGIN,
}
SOCKETS = {
    "ws/workflows/<slug:workflow_id>/": API,
    "ws/runs/<slug:run_id>/": API,
    "ws/dashboard/": API,
}
METHODS = ("get", "post", "put", "patch", "delete", "options")


def routes(resolver=None, prefix=""):
    """Yield (route, pattern) of everything in the URL configuration."""
    for entry in (resolver or get_resolver()).url_patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLPattern):
            yield route, entry
        else:
            yield from routes(entry, route)


def path_of(route):
    """Return a path that a route matches."""
    path = route.lstrip("^").removesuffix("/?$")
    for group, value in {
        "(?P<workflow_id>[-a-zA-Z0-9_]+)": "some-workflow",
        "(?P<node_type>[-a-zA-Z0-9_]+)": "counter",
        "(?P<node_id>[^/]+)": "1",
        "(?P<queue>[^/]+)": "some-queue",
        "(?P<number>[0-9]{1,15})": "1",
        "(?P<dead_letter_id>[0-9]{1,15})": "1",
        "(?P<graph_id>[-a-zA-Z0-9_]+)": "some-graph",
        "(?P<run_id>[-a-zA-Z0-9_]+)": "some-run",
        "(?P<name>[^/]+)": "some.tool",
        "(?P<path>[-a-zA-Z0-9_/]{1,200}?)": "some/hook",
        "(?P<name>[-a-zA-Z0-9_]+)": "some-credential",
    }.items():
        path = path.replace(group, value)
    return f"/{path}"


def test_every_route_is_classified():
    found = {route for route, _ in routes() if not route.startswith("admin/")}
    assert found == set(ROUTES)
    assert {str(entry.pattern) for entry in websocket_urlpatterns} == set(SOCKETS)


def test_no_path_is_left_to_guess():
    for route in ROUTES:
        assert not set(path_of(route)) & set("^$?()[]<>"), route


@pytest.mark.django_db
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("route", [r for r, demand in ROUTES.items() if demand == API])
def test_the_api_demands_a_login(client, route, method, slash):
    answer = getattr(client, method)(path_of(route) + slash, content_type="application/json")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json()["error"]["code"] == "not_authenticated"


@pytest.mark.django_db
@pytest.mark.parametrize("route", [r for r, demand in ROUTES.items() if demand == API])
def test_a_wrong_token_is_no_login(client, route):
    headers = {"Authorization": "Bearer wo_" + "x" * 43}
    assert client.get(path_of(route), headers=headers).status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("route", [r for r, demand in ROUTES.items() if demand == LOGIN])
def test_pages_lead_to_the_login(client, route):
    answer = client.get(path_of(route))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login/")


@pytest.mark.django_db
def test_the_admin_demands_a_staff_login(client, make_user):
    client.force_login(make_user("admin"))
    for route, entry in routes():
        if not route.startswith("admin/") or "<" in route or "(?P" in route:
            continue
        if entry.name in ("login", "logout"):
            continue
        answer = client.get(f"/{route}")
        assert answer.status_code == 302, route
        assert answer.headers["Location"].startswith("/admin/login/"), route


@pytest.mark.django_db
def test_what_is_open_is_open(client):
    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/healthz/").status_code == 200


@pytest.mark.django_db
def test_logging_out_needs_the_csrf_token(make_user):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("viewer"))
    assert client.post("/logout/").status_code == 403


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("role", "method", "path", "allowed"),
    [
        (None, "get", "/workflows/", False),
        (None, "get", "/metrics", False),
        ("viewer", "get", "/metrics", True),
        (None, "get", "/nodes/", False),
        (None, "get", "/dead-letters/", False),
        (None, "get", "/queues/", False),
        (None, "get", "/queues/x/q/items", False),
        (None, "get", "/dev/taps/x/1", False),
        ("viewer", "get", "/dev/taps/x/1", True),
        ("viewer", "get", "/queues/x/q/items", True),
        ("viewer", "post", "/queues/x/q/purge", False),
        ("operator", "post", "/queues/x/q/purge", True),
        ("viewer", "get", "/workflows/", True),
        ("viewer", "post", "/workflows/", False),
        ("viewer", "put", "/workflows/x/", False),
        ("viewer", "delete", "/workflows/x/", False),
        ("viewer", "post", "/prod/start", False),
        ("viewer", "post", "/prod/stop", False),
        ("viewer", "post", "/prod/pause", False),
        ("viewer", "post", "/prod/resume", False),
        ("viewer", "get", "/prod/status/x", True),
        ("operator", "post", "/prod/start", True),
        ("operator", "post", "/workflows/", False),
        ("operator", "post", "/examples/", False),
        ("operator", "put", "/dev/cache/x/1", False),
        ("editor", "post", "/workflows/", True),
        (None, "get", "/graph/", False),
        (None, "get", "/graph/runs/x", False),
        (None, "get", "/tools/", False),
        ("viewer", "get", "/graph/", True),
        ("viewer", "get", "/graph/x", True),
        ("viewer", "get", "/graph/state/x", True),
        ("viewer", "get", "/tools/", True),
        ("viewer", "post", "/graph/create", False),
        ("viewer", "post", "/graph/runs/x/cancel", False),
        ("viewer", "post", "/graph/runs/x/resume", False),
        ("operator", "post", "/graph/runs/x/cancel", True),
        ("operator", "post", "/graph/runs/x/resume", True),
        ("operator", "post", "/graph/create", False),
        ("operator", "delete", "/graph/x", False),
        ("operator", "delete", "/graph/runs/x", False),
        ("editor", "post", "/graph/create", True),
        ("editor", "delete", "/graph/x", True),
        ("editor", "delete", "/graph/runs/x", True),
    ],
)
def test_a_role_decides(api, role, method, path, allowed):
    body = {"workflow_id": "x", "data": {}, "confirm": "q"} if method in ("post", "put") else None
    answer = getattr(api(role), method)(path, body)
    assert (answer.status_code != 403) is allowed


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "path", ["/ws/workflows/x/", "/ws/runs/x/", "/ws/dashboard/", "/ws/nothing/", "/", "/x"]
)
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 4403),
        ({"Authorization": "Bearer wrong"}, 4401),
        ({"Origin": "http://testserver", "Host": "testserver"}, 4401),
    ],
)
async def test_sockets_demand_a_login(path, headers, code):
    socket = Socket(application, path, headers)
    await socket.open()
    assert await socket.closed() == code
