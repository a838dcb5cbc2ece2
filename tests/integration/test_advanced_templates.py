"""Templates with loops, from the save to the file that a loop writes."""

import pytest

from nodes.contract import NodeConfig, NodeOptions
from orchestrator.exceptions import NotAllowed
from orchestrator.flow.schema import digest
from orchestrator.models import WorkflowVersion
from orchestrator.services.workflows import require_template_rights
from storage.datastore import open_store
from tests.integration.loops import House, line, part, sink

SOURCE = "{% for n in range(data.value) %}{{ n }}{% if not loop.last %}, {% endif %}{% endfor %}"


def workflow(source=SOURCE, **config):
    config = config or {"advanced_templates": True, "pool": "process"}
    transformer = part("list", "data-transformer", {"fields": {"numbers": source}}, **config)
    return line(part("in", "counter", {"stop": 4}), transformer, sink())


def problems(answer):
    return [(each["path"], each["message"]) for each in answer.json()["error"]["details"]]


@pytest.mark.django_db
def test_only_an_admin_saves_them(api):
    refused = api("editor").post("/workflows/", workflow())
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
    assert not WorkflowVersion.objects.exists()
    admin = api("admin")
    assert admin.post("/workflows/", workflow()).status_code == 201
    changed = workflow(SOURCE + "!")
    assert api("editor").put("/workflows/w/", changed).status_code == 403
    assert admin.put("/workflows/w/", changed).status_code == 200
    assert (
        api("editor").put("/workflows/w/", workflow("{{ 1 }}", pool="process")).status_code == 200
    )


@pytest.mark.django_db
def test_they_are_told_what_they_need(api):
    admin = api("admin")
    plain = admin.post("/workflows/", workflow(pool="process"))
    [(path, message)] = problems(plain)
    assert path == "nodes[1].data.form.fields"
    assert message.startswith("numbers line 1, column 4: loops are not allowed here")
    for pool in ({}, {"pool": "thread"}):
        answer = admin.post("/workflows/", workflow(advanced_templates=True, **pool))
        assert problems(answer) == [
            (
                "nodes[1].data.config.advanced_templates",
                "needs the pool 'process': set data.config.pool",
            )
        ]
    answer = admin.post("/workflows/", workflow(advanced_templates="yes", pool="process"))
    assert [path for path, _ in problems(answer)] == ["nodes[1].data.config.advanced_templates"]
    answer = admin.post("/workflows/", workflow("{% for x in data %}{{ y }}{% endfor %}"))
    [(path, message)] = problems(answer)
    assert (path, message[:26]) == ("nodes[1].data.form.fields", "numbers line 1, column 23:")


def test_the_option_changes_the_digest():
    config = {"pool": "process"}
    plain = workflow("{{ 1 }}", **config)
    assert digest(plain) == digest(workflow("{{ 1 }}", **config, advanced_templates=False))
    assert digest(plain) != digest(workflow("{{ 1 }}", **config, advanced_templates=True))


@pytest.mark.django_db
def test_the_right_is_asked_for_such_nodes_only(make_actor):
    plain = NodeConfig(id="1", type="debug")
    advanced = NodeConfig(id="2", type="debug", options=NodeOptions(advanced_templates=True))
    require_template_rights(make_actor("editor"), [plain])
    require_template_rights(make_actor("admin"), [plain, advanced])
    with pytest.raises(NotAllowed, match=r"template\.advanced needs the role admin"):
        require_template_rights(make_actor("editor"), [plain, advanced])


async def test_a_loop_renders_them(tmp_path):
    house = House(open_store("memory://"), tmp_path)
    await house.run(workflow())
    assert [row["numbers"] for row in house.rows()] == ["", "0", "0, 1", "0, 1, 2"]
    await house.close()
