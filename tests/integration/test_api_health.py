"""`/healthz` answers always; `/readyz` says what is away."""

import pytest

pytestmark = pytest.mark.django_db


def test_health_needs_nothing(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_ready_with_everything(api, live_redis):
    answer = api("viewer").get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "checks": {"database": "ok", "redis": "ok"},
        "runners_alive": 0,
        "workers_alive": 0,
    }


def test_not_ready_without_redis(api):
    answer = api("viewer").get("/readyz")
    assert answer.status_code == 503
    body = answer.json()
    assert body["ready"] is False and body["checks"]["redis"] != "ok"
