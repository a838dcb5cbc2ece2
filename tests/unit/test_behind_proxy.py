"""What is believed of a proxy's headers, and where the site begins."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from orchestrator.api.proxy import BehindProxy, path_inside

TOLD = {
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "flows.example.org",
    "X-Forwarded-For": "198.51.100.1, 203.0.113.9, 10.0.0.7",
}


async def seen(
    path="/", headers=(), *, client=("10.0.0.1", 5000), kind="http", prefix="", trusted=()
):
    """Return the scope behind the proxy, and the one the server keeps."""
    found = []

    async def application(scope, receive, send):
        found.append(scope)

    given = [(name.lower().encode(), value.encode()) for name, value in dict(headers).items()]
    scope = {
        "type": kind,
        "scheme": {"http": "http", "websocket": "ws"}[kind],
        "path": path,
        "headers": [(b"host", b"127.0.0.1:8000"), *given],
        "client": client,
    }
    await BehindProxy(application, prefix=prefix, trusted=trusted)(scope, None, None)
    return found[0], scope


@pytest.mark.parametrize("trusted", [["10.0.0.1", "10.0.0.7"], ["10.0.0.0/8"]])
@pytest.mark.parametrize(("kind", "scheme"), [("http", "https"), ("websocket", "wss")])
async def test_a_trusted_proxy_is_believed(trusted, kind, scheme):
    scope, servers = await seen(headers=TOLD, trusted=trusted, kind=kind)
    assert scope["scheme"] == scheme
    assert [value for name, value in scope["headers"] if name == b"host"] == [b"flows.example.org"]
    assert scope["client"] == servers["client"] == ("203.0.113.9", 0)


@pytest.mark.parametrize("client", [("10.0.0.1", 5000), ("nonsense", 0), None])
@pytest.mark.parametrize("trusted", [[], ["192.0.2.1"]])
async def test_nobody_else_is(client, trusted):
    scope, _ = await seen(headers=TOLD, trusted=trusted, client=client)
    assert scope["scheme"] == "http"
    assert (b"host", b"127.0.0.1:8000") in scope["headers"]
    assert scope["client"] == client


async def test_everybody_may_be_trusted():
    scope, _ = await seen(headers=TOLD, trusted=["*"], client=None)
    assert scope["scheme"] == "https"


async def test_the_last_value_counts():
    told = {"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "evil.example, real.example"}
    scope, _ = await seen(headers=told, trusted=["*"])
    assert scope["scheme"] == "http"
    assert (b"host", b"real.example") in scope["headers"]


@pytest.mark.parametrize(
    ("path", "told", "inside"),
    [
        ("/queues", {}, "/"),
        ("/queues/", {}, "/"),
        ("/queues/runs/", {}, "/runs/"),
        ("/queues/queues/", {}, "/queues/"),
        ("/queues-of-others/", {}, "/queues-of-others/"),
        ("/healthz", {}, "/healthz"),
        ("/queues/", {"X-Forwarded-Prefix": "/queues"}, "/queues/"),
        ("/runs/", {"X-Forwarded-Prefix": "/queues"}, "/runs/"),
    ],
)
async def test_a_prefix_may_be_there_or_taken_away(path, told, inside):
    scope, _ = await seen(path, told, prefix="/queues", trusted=["10.0.0.1"])
    assert scope["path"] == "/queues" + inside
    assert scope["root_path"] == "/queues"
    assert path_inside(scope) == inside


async def test_without_a_prefix_paths_stay():
    scope, _ = await seen("/queues/")
    assert path_inside(scope) == scope["path"] == "/queues/"


def test_what_is_no_network_is_refused():
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_PROXIES: 'proxy'"):
        BehindProxy(None, trusted=["proxy"])
