"""Hostile templates in the admin's form of a node: shown as text, parsed, and never compiled."""

import itertools
import json
import time

import pytest
from django.contrib.auth.models import Permission
from django.urls import reverse

from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from tests.integration.pages import Form
from tests.security.bombs import S6, S6_LOOPS
from tests.security.escapes import S4, S4_LITERAL
from tests.security.targets import TARGETS, taken, workflow
from tests.security.test_nodes import is_refused
from tests.security.texts import S5, SECRET

pytestmark = pytest.mark.django_db
PLACEHOLDER = "{{ data.name }}"


@pytest.fixture
def editor(client, make_user):
    user = make_user("editor")
    user.is_staff = True
    user.save()
    user.user_permissions.add(Permission.objects.get(codename="view_workflow"))
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ("corpus", "sources"),
    [("S4", [*S4[::3], *S4_LITERAL]), ("S5", S5), ("S6", [*S6[::3], *S6_LOOPS[::3]])],
)
def test_a_posted_page_is_refused_or_stored_as_it_is(editor, renderings, tally, corpus, sources):
    """Each payload in one field, the next in the next field."""
    workflows.create(SYSTEM, workflow(PLACEHOLDER))
    for index in range(len(TARGETS)):  # what a first page loads is no growth
        editor.get(reverse("admin:orchestrator_workflow_node", args=["hostile", f"n{index}"]))
    seen = tally(corpus, "admin, form of a node", time.thread_time)
    places = itertools.cycle(enumerate(TARGETS))
    for source in sources:
        index, target = next(places)
        url = reverse("admin:orchestrator_workflow_node", args=["hostile", f"n{index}"])
        with seen.attempt():
            page = editor.get(url).content.decode()
            data = Form(page, "node-form").data()
            [(held, text)] = [
                (name, text)
                for name, texts in data.items()
                for text in texts
                if PLACEHOLDER in text
            ]
            # Inside of JSON it is a text of JSON.
            inside = source if text == PLACEHOLDER else json.dumps(source)[1:-1]
            answer = editor.post(url, {**data, held: [text.replace(PLACEHOLDER, inside)]})
        assert answer.status_code in (302, 422), (source[:100], answer.status_code)
        if is_refused(source):
            assert answer.status_code == 422, source[:100]
        if answer.status_code == 302:
            form = workflows.get(SYSTEM, "hostile").definition["nodes"][index + 1]["data"]["form"]
            kept = taken(form[target.field])
            if str(kept).strip() != source.strip():
                seen.escaped.append((source, kept))
            workflows.save(SYSTEM, "hostile", workflow(PLACEHOLDER))
        elif SECRET in answer.content.decode():
            seen.escaped.append((source, answer.content))
    assert (renderings.compiled, renderings.rendered) == (0, 0)
    assert seen.growth < 20
