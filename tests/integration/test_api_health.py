"""`/healthz` answers always; `/readyz` says what is away, or wrong, and whom it tells why."""

import threading
from contextlib import closing

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from orchestrator.runtime.server_binary import find_server
from orchestrator.services import credential_keys, health
from tests.deployment import Deployment
from tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db(transaction=True)
ALL = {"database", "migrations", "keys", "redis"}


def failed(answer):
    """Return the checks that have failed, with what is told of them."""
    assert answer.json()["ready"] is (answer.status_code == 200)
    return {name: told for name, told in answer.json()["checks"].items() if told != "ok"}


def test_health_needs_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_ready_with_everything(api, live_redis):
    answer = api("viewer").get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": dict.fromkeys(("database", "migrations", "keys", "redis"), "ok"),
        "runners_alive": 0,
        "workers_alive": 0,
    }


def test_a_person_is_told_who_is_alive_as_a_program_is(client, make_user, live_redis):
    client.force_login(make_user("viewer"))
    assert client.get("/readyz").json()["workers_alive"] == 0


def test_a_probe_needs_no_login(client, live_redis):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": dict.fromkeys(ALL, "ok")}


def test_without_a_right_nobody_is_told_why(client, make_user, make_token):
    """Nor with a token that is none, which keeps nobody from the short answer."""
    short = {"ready": False, "checks": {**dict.fromkeys(ALL, "ok"), "redis": "failed"}}
    wrong = {"Authorization": "Bearer wo_" + "x" * 43}
    none = {"Authorization": f"Bearer {make_token(make_user(None))}"}
    for headers in ({}, wrong, none):
        answer = client.get("/readyz", headers=headers)
        assert (answer.status_code, answer.json()) == (503, short)


def test_redis_is_away(api):
    answer = api("viewer").get("/readyz")
    assert answer.status_code == 503
    assert failed(answer).keys() == {"redis"}
    assert "Redis is away" in failed(answer)["redis"]


@pytest.fixture
def own_redis(redis_server, settings):
    server = RedisServer(find_server().path)
    server.start()
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "REDIS_URL": server.url}
    yield server
    server.stop()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (("CONFIG", "SET", "maxmemory-policy", "allkeys-lru"), "set noeviction"),
        (("CONFIG", "SET", "appendonly", "no"), "appendonly is no"),
        (("CONFIG", "SET", "maxmemory", "1"), "Redis is not ready"),
        (("REPLICAOF", "127.0.0.1", "1"), "give REDIS_URL the address of the primary"),
    ],
    ids=["evicts", "forgets", "is-full", "is-a-replica"],
)
def test_redis_is_there_and_not_fit(api, own_redis, wrong, told):
    viewer = api("viewer")
    assert viewer.get("/readyz").status_code == 200
    assert own_redis.ask(*wrong) == b"+OK\r\n"
    answer = viewer.get("/readyz")
    assert answer.status_code == 503
    assert failed(answer).keys() == {"redis"}
    assert told in failed(answer)["redis"]


def test_migrations_are_pending(api, live_redis):
    recorder = MigrationRecorder(connection)
    applied = recorder.migration_qs.get(app="orchestrator", name="0009_access")
    applied.delete()
    try:
        answer = api("viewer").get("/readyz")
        assert answer.status_code == 503
        assert failed(answer) == {
            "migrations": "pending: orchestrator.0009_access; run manage.py migrate",
            "keys": "not known before the migrations",
        }
    finally:
        recorder.record_applied("orchestrator", "0009_access")


def test_a_database_that_a_newer_release_has_migrated_will_do(api, live_redis):
    recorder = MigrationRecorder(connection)
    recorder.record_applied("orchestrator", "9999_later")
    try:
        assert api("viewer").get("/readyz").status_code == 200
    finally:
        recorder.record_unapplied("orchestrator", "9999_later")


@pytest.mark.parametrize(
    "keys", [[], ["short"], [Fernet.generate_key().decode()]], ids=["none", "no-key", "another"]
)
def test_the_keys_are_wrong(api, live_redis, settings, keys):
    credential_keys.keep_canary()
    viewer = api("viewer")
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "CREDENTIAL_KEYS": keys}
    answer = viewer.get("/readyz")
    assert answer.status_code == 503
    assert failed(answer).keys() == {"keys"}
    assert "ORCHESTRATOR_CREDENTIAL_KEYS" in failed(answer)["keys"]
    assert not any(key in answer.content.decode() for key in keys)


def test_the_database_is_away(tmp_path, redis_server):
    """With the token of somebody who may know more: nobody can be asked for it."""
    with closing(Deployment(tmp_path, web=False)) as deployed:
        deployed.environment["DATABASE_URL"] = "postgres://shop:secret@127.0.0.1:1/none"
        deployed.start_web()
        answer = deployed.client.get("/readyz")
        assert answer.status_code == 503
        assert failed(answer) == dict.fromkeys(("database", "migrations", "keys"), "failed")


def test_a_database_that_hangs_holds_nobody_up_and_one_thread(client, live_redis, monkeypatch):
    hanging = threading.Event()
    looks = []

    def hang():
        looks.append(1)
        hanging.wait(30)
        return {"database": "ok", "migrations": "ok", "keys": "ok"}

    monkeypatch.setattr(health, "_database", hang)
    monkeypatch.setattr(health, "PATIENCE", 0.05)
    try:
        for _ in range(3):
            assert client.get("/readyz").status_code == 503
        assert health.checks()["database"] == "does not answer within 0.05 s"
        assert len(looks) == 1
    finally:
        hanging.set()
