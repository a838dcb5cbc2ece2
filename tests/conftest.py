"""Fixtures that every kind of test shares."""

import dataclasses
import os

import pytest
from hypothesis import HealthCheck, settings

from orchestrator.exceptions import StoreRefused
from orchestrator.runtime.server_binary import find_server
from orchestrator.security import egress, secret_values
from storage.datastore import open_store
from tests import postgres
from tests.redis_server import RedisServer

# A busy machine is no reason to fail.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def _secrets_of_this_test():
    """Forget the secrets of a test at its end: every text is searched for each that is known."""
    values, forms = set(secret_values._values), secret_values._forms
    yield
    secret_values._values, secret_values._forms = values, forms


@pytest.fixture(scope="session")
def redis_server():
    """A real server of this test process's own; skips without one, fails under REQUIRE_ALL."""
    try:
        binary = find_server().path
    except StoreRefused as refused:
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail(str(refused))
        pytest.skip(str(refused))
    server = RedisServer(binary)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server():
    """A real PostgreSQL of this test process's own; skips without one, fails under REQUIRE_ALL."""
    with postgres.running() as server:
        yield server


@pytest.fixture
def redis_url(redis_server):
    return redis_server.url


@pytest.fixture(params=["memory", "redis"])
async def store(request):
    """An empty store of each kind; tests use the workflows `w` and `other`."""
    url = "memory://" if request.param == "memory" else request.getfixturevalue("redis_url")
    store = open_store(url)
    for workflow in ("w", "other"):
        await store.queue.forget(workflow)
    await store.cache.delete("k")
    for run in ("r", "other"):
        for key in await store.channel(run).keys():
            await store.channel(run).delete(key)
    yield store
    await store.close()


@pytest.fixture
def live_redis(redis_url, settings):
    """Point the project at the test server instead of at nobody."""
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "REDIS_URL": redis_url}
    return redis_url


@pytest.fixture
def open_egress():
    """Open places to nodes for this test: entries of EGRESS_ALLOW, and fields of EgressPolicy."""
    before = egress.policy()

    def install(*entries, own=(), **changes):
        egress.install(dataclasses.replace(egress.EgressPolicy.parse(entries, own), **changes))

    install()
    yield install
    egress.install(before)


@pytest.fixture
def make_user(db):
    """Make a user with a role (or none, or `superuser`), once per name."""
    from django.contrib.auth.models import Group, User

    def make(role=None, name=None):
        name = name or role or "nobody"
        if User.objects.filter(username=name).exists():
            return User.objects.get(username=name)
        if role == "superuser":
            return User.objects.create_superuser(name, password="a-long-password")
        user = User.objects.create_user(name, password="a-long-password")
        if role is not None:
            user.groups.add(Group.objects.get_or_create(name=role)[0])
        return user

    return make


@pytest.fixture
def make_actor(make_user):
    from orchestrator.security.actors import actor_of

    return lambda role=None: actor_of(make_user(role))


@pytest.fixture
def admin_actor(make_actor):
    return make_actor("admin")


@pytest.fixture
def make_token():
    """Make a bearer token for a user and return its text."""
    from orchestrator.security.actors import SYSTEM
    from orchestrator.services import access

    return lambda user, **options: access.create_token(SYSTEM, user.get_username(), **options)


@pytest.fixture
def api(make_user, make_token):
    """Make a client that sends the bearer token of a new user with a role."""
    from rest_framework.test import APIClient

    def make(role="editor"):
        client = APIClient(raise_request_exception=False)
        user = make_user(role)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {make_token(user)}")
        client.default_format = "json"
        client.user = user
        return client

    return make


@pytest.fixture
async def shared_store(live_redis):
    """The store that services share in this event loop; closed at the end, like all they hold."""
    from asgiref.sync import sync_to_async
    from django.db import connections

    from orchestrator.services import lifecycle, stores

    lifecycle.open_process()
    yield stores.shared_store()
    await lifecycle.close_process()
    await sync_to_async(connections.close_all)()


@pytest.fixture
def hello_loops():
    """Counter -> queue -> file: two loops."""
    return {
        "name": "Hello loops",
        "nodes": [
            {"id": "1", "type": "counter", "data": {"form": {"stop": 5}}},
            {"id": "2", "type": "queue-writer", "data": {}},
            {"id": "3", "type": "queue-reader", "data": {}},
            {"id": "4", "type": "file-writer", "data": {"form": {"path": "hello.jsonl"}}},
        ],
        "edges": [
            {"id": "a", "source": "1", "target": "2"},
            {"id": "b", "source": "2", "target": "3"},
            {"id": "c", "source": "3", "target": "4"},
        ],
    }
