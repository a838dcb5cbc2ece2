"""Hostile templates at the door where workflows are saved: parsed, and never compiled."""

import re
import time

import pytest
from django.http import QueryDict

from orchestrator.models import Workflow
from tests.security.bombs import S6, S6_LOOPS
from tests.security.escapes import S4, S4_LITERAL
from tests.security.targets import TARGETS, workflow
from tests.security.texts import S5

LOCATED = re.compile(r"(\S+ )?line \d+, column \d+: .+", re.DOTALL)
EVERYTHING = [*S4, *S4_LITERAL, *S6, *S6_LOOPS]


def paths():
    return [f"nodes[{n}].data.form.{target.field}" for n, target in enumerate(TARGETS, 1)]


def check_refusal(answer):
    """Every field is named, each with the place in its text."""
    error = answer.json()["error"]
    assert error["code"] == "invalid_workflow"
    assert [problem["path"] for problem in error["details"]] == paths()
    for problem in error["details"]:
        assert LOCATED.fullmatch(problem["message"]), problem


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("corpus", "sources"),
    [
        ("S4", [*S4, *S4_LITERAL]),
        pytest.param("S6", [*S6, *S6_LOOPS], marks=pytest.mark.long),
    ],
)
def test_the_api_stores_or_refuses_and_computes_nothing(api, renderings, tally, corpus, sources):
    client = api("editor")
    client.post("/workflows/", workflow("seen"))  # what a first request loads is no growth
    seen = tally(corpus, "API, new workflow", time.thread_time)
    statuses = set()
    for source in sources:
        before = Workflow.objects.count()
        with seen.attempt():
            answer = client.post("/workflows/", workflow(source))
        statuses.add(answer.status_code)
        if answer.status_code == 400:
            check_refusal(answer)
            assert Workflow.objects.count() == before
        else:
            assert answer.status_code == 201, (source[:100], answer.content[:300])
    assert statuses == {201, 400}
    assert (renderings.compiled, renderings.rendered) == (0, 0)
    assert seen.growth < 30  # MB, for some hundred workflows of thirty nodes
    assert seen.slowest < 10  # what is computed takes minutes, or all memory


@pytest.mark.django_db
def test_a_new_version_is_checked_like_a_new_workflow(api, renderings, tally):
    client = api("editor")
    created = client.post("/workflows/", workflow("{{ data.name }}"))
    url = f"/workflows/{created.json()['id']}/"
    seen = tally("S4 S6", "API, new version", time.thread_time)
    for source in EVERYTHING[::10]:
        with seen.attempt():
            answer = client.put(url, workflow(source))
        assert answer.status_code in (200, 400), (source[:100], answer.content[:300])
    assert (renderings.compiled, renderings.rendered) == (0, 0)


@pytest.mark.django_db
def test_names_and_texts_are_stored_as_they_are(api, renderings, tally):
    client = api("editor")
    seen = tally("S5", "API, names and labels", time.thread_time)
    for hostile in S5:
        raw = workflow("{{ data.name }}", name=hostile)
        for node in raw["nodes"]:
            node["label"] = node["data"]["label"] = hostile
        [node] = [n for n in raw["nodes"] if n["type"] == "data-transformer"]
        node["data"]["form"]["fields"] = {hostile: 1}
        with seen.attempt():
            answer = client.post("/workflows/", raw)
        assert answer.status_code == 201, answer.content
        found = client.get(f"/workflows/{answer.json()['id']}/").json()
        if found["name"] != hostile or found["definition"] != raw:
            seen.escaped.append(hostile)
    assert (renderings.compiled, renderings.rendered) == (0, 0)


def test_a_posted_form_parses_only(renderings, tally):
    """What the admin does with a form."""
    seen = tally("S4 S5 S6", "form, posted", time.thread_time)
    for source in [*S4, *S4_LITERAL, *S5, *S6[::3], *S6_LOOPS]:
        for target in TARGETS:
            posted = QueryDict(mutable=True)
            for name, value in target.form(source).items():
                posted[name] = source if name == target.field else str(value)
            form = target.node_class.load_form()(posted)
            with seen.attempt():
                errors = form.errors
            if target.field in errors and target.field in form.templated_fields:
                assert all(LOCATED.fullmatch(text) for text in errors[target.field]), errors
    assert (renderings.compiled, renderings.rendered) == (0, 0)
    assert seen.growth < 20
    assert seen.slowest < 10  # what is computed takes minutes, or all memory
