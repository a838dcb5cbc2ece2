"""Graphs and runs in the admin: everything can be looked at, and nothing changed."""

import pytest
from django.urls import reverse
from django.utils import timezone

from orchestrator.admin import runs as pages
from orchestrator.models import Graph, Run, RunCheckpoint, RunStep

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff(client, make_user):
    client.force_login(make_user("superuser"))
    graph = Graph.objects.create(id="g", name="Quality", digest="d", definition={"nodes": ["<b>"]})
    run = Run.objects.create(
        id="r", graph=graph, digest="d", entry="a", initial_state={"x": 1}, max_steps=9, logged=1,
        status="failed", error={"code": "node_failed", "message": "<script>no</script>"},
    )  # fmt: skip
    RunStep.objects.create(
        run=run, position=1, number=1, node="profile", started_at=timezone.now(), seconds=0.5,
        changes=[{"path": "score", "op": "add", "after": 0.75}],
    )  # fmt: skip
    RunCheckpoint.objects.create(
        run=run, number=1, steps=1, attempt=1, body=b"body", checksum="c" * 64
    )
    return client


def url(model, view, *args):
    return reverse(f"admin:orchestrator_{model._meta.model_name}_{view}", args=args)


@pytest.mark.parametrize("model", [Graph, Run, RunStep, RunCheckpoint])
def test_rows_are_shown_and_cannot_be_changed(staff, model):
    page = url(model, "change", model.objects.get().pk)
    assert staff.get(url(model, "changelist")).status_code == 200
    assert staff.get(page).status_code == 200
    assert staff.get(url(model, "add")).status_code == 403
    assert staff.post(page, {}).status_code == 403
    assert staff.post(url(model, "delete", model.objects.get().pk)).status_code == 403
    assert model.objects.count() == 1


def test_a_run_shows_its_log(staff):
    text = staff.get(url(Run, "change", "r")).content.decode()
    assert "profile" in text and "0.75" in text
    assert "&lt;script&gt;no" in text and "<script>no" not in text


def test_a_log_that_is_too_long_for_a_page_is_left_out(staff, monkeypatch):
    monkeypatch.setattr(pages, "LONGEST_LOG", 0)
    assert "profile" not in staff.get(url(Run, "change", "r")).content.decode()
