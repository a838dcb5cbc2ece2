"""`/metrics` of a web process: who may ask, in which formats, and how much there can be."""

import re
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync
from django.db.models.functions import Now
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from orchestrator.models import (
    DeadLetter,
    Graph,
    LoopSlot,
    Run,
    Runner,
    WorkerSlot,
    Workflow,
)
from orchestrator.runtime import leases
from orchestrator.runtime.leases import RunnerEntry
from orchestrator.runtime.measures import Measures
from orchestrator.security.actors import SYSTEM
from orchestrator.services import metric_families, production, workflows
from orchestrator.services.metric_names import REQUESTS
from orchestrator.services.metric_names import SYSTEM as NAMES
from storage.datastore import open_store
from storage.tasks import Task, TaskQueue
from tests.integration.test_measures import counts, slot
from tests.scrape import Scrape, scrape

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = Path(__file__).parents[2] / "docs/metrics.md"
MANY = 700


@pytest.fixture
def started(live_redis, hello_loops):
    workflow = workflows.create(SYSTEM, hello_loops).workflow_id
    production.start(SYSTEM, workflow)
    return workflow


def publish(url, runner_id, *rows):
    """Have a runner publish rows of (slot, token, counts)."""

    async def put():
        store = open_store(url)
        measures = Measures(runner_id, store.cache)
        for row in rows:
            measures.take(*row)
        await measures.publish(())
        await store.close()

    async_to_sync(put)()


def test_a_token_may_be_good_for_nothing_else(started, client, make_user, make_token):
    token = make_token(make_user("viewer"), scopes=["metrics.read"])
    headers = {"Authorization": f"Bearer {token}"}
    assert scrape(client, **headers).value("workflow_redis_up") == 1
    assert client.get("/workflows/", headers=headers).status_code == 403
    assert client.get("/metrics").status_code == 401


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        ("text/html", "text/plain; version=0.0.4"),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics"),
    ],
    ids=["nothing", "anything", "browser", "openmetrics"],
)
def test_two_formats_and_no_other(started, api, accept, kind):
    answer = api("viewer").get("/metrics", headers={"Accept": accept})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith(kind)
    text = answer.content.decode()
    read = {f.name for f in openmetrics(text)} if "openmetrics" in kind else Scrape(text).families
    assert {"workflow_loop_slots", "workflow_queue_items"} <= set(read)


def test_names_labels_and_kinds_are_those_of_the_page():
    rows = {}
    for line in PAGE.read_text().splitlines():
        if line.startswith("| `workflow_"):
            names, kind, labels, _ = (cell.strip() for cell in line.strip("|").split("|"))
            for name in re.findall(r"`(\w+)`", names):
                rows[name] = kind, tuple(re.findall(r"`(\w+)`", labels))
    known = {name: (m.kind, m.labels) for name, m in {**NAMES, **REQUESTS}.items()}
    assert rows == known


def test_a_workflow_that_was_never_started_has_no_rows(started, api, hello_loops):
    other = workflows.create(SYSTEM, {**hello_loops, "name": "Never"}).workflow_id
    seen = scrape(api("viewer"))
    named = {s.labels["workflow"] for s in seen.samples if "workflow" in s.labels}
    assert started in named
    assert other not in named


def test_what_is_reported_of_a_slot_that_is_gone_is_left_out(started, api, live_redis):
    Runner.objects.create(pk="r", host="h", pid=1, expires_at=Now())
    leases.heartbeat(RunnerEntry(id="r", host="h", pid=1), 0, 30)
    publish(
        live_redis, "r", (slot("1", workflow=started), 1, counts()), (slot("gone"), 1, counts())
    )
    seen = scrape(api("viewer"))
    found = seen.all("workflow_loop_iterations_total")
    assert [(s.labels["workflow"], s.labels["loop"]) for s in found] == [(started, "1")]
    assert seen.value("workflow_node_items_total") == 3


def test_a_reason_is_one_of_few(started, api):
    LoopSlot.objects.filter(loop="1").update(state="failed", reason="no such file: /etc/x")
    LoopSlot.objects.filter(loop="3").update(state="degraded", reason="redis_down")
    seen = scrape(api("viewer"))
    told = {
        s.labels["loop"]: (s.labels["state"], s.labels["reason"])
        for s in seen.all("workflow_loop_state")
    }
    assert told == {"1": ("failed", "other"), "3": ("degraded", "redis_down")}


def test_paused_is_wanted_and_stopped_is_not(started, api):
    viewer = api("viewer")
    for change, wanted in ((production.pause, 1), (production.stop, 0)):
        change(SYSTEM, started)
        seen = scrape(viewer)
        assert seen.value("workflow_loop_slots", loop="1") == wanted
        assert seen.value("workflow_loop_slots_held", loop="1") == 0


@pytest.mark.parametrize(
    ("state", "wanted"), [("running", 1), ("stopped", 0), ("completed", 0), ("failed", 0)]
)
def test_a_slot_is_wanted_while_it_drains_until_it_is_at_rest(started, api, state, wanted):
    production.drain(SYSTEM, started)
    LoopSlot.objects.filter(loop="1").update(state=state)
    assert scrape(api("viewer")).value("workflow_loop_slots", loop="1") == wanted


def test_with_very_many_loops_and_nodes_there_are_so_many_samples(started, api, live_redis):
    """700 loops with 20 nodes each beside the other, and one with 2,000 (a runner folds those).

    What is not told apart is in the sums.
    """
    nodes = [f"n{number}" for number in range(20)]
    workflow = Workflow.objects.get(pk=started)
    leases.heartbeat(RunnerEntry(id="r", host="h", pid=1), 0, 30)
    LoopSlot.objects.bulk_create(
        LoopSlot(
            workflow=workflow, loop=f"many-{number:03}", activation=workflow.activation, version=1,
            owner_id="r", state="running",
        )
        for number in range(MANY)
    )  # fmt: skip
    rows = [
        (slot(f"many-{number:03}", workflow=started), 1, counts(iterations=2, nodes=nodes))
        for number in range(MANY)
    ]
    publish(live_redis, "r", *rows)
    letters = [(f"w{number:04}", "dead", 1) for number in range(1500)]
    Workflow.objects.bulk_create(Workflow(pk=name, name=name) for name, _, _ in letters)
    DeadLetter.objects.bulk_create(
        DeadLetter(
            workflow_id=name, entry_id="1-0", version=1, activation=1, loop="1", node_id="1",
            node_type="x", item_id="x", reason="x", dead_at=workflow.created_at,
        )
        for name, _, _ in letters
    )  # fmt: skip
    seen = scrape(api("viewer"))
    loops = seen.all("workflow_loop_iterations_total")
    assert len(loops) == metric_families.MAX_SLOTS + 1
    assert sum(s.value for s in loops) == 2 * MANY
    other = {"workflow": "other", "loop": "other", "slot": "other"}
    assert seen.value("workflow_loop_iterations_total", **other) == 2 * (MANY - 500)
    told = seen.all("workflow_node_items_total")
    assert len(told) == metric_families.MAX_NODES + 1
    assert sum(s.value for s in told) == 3 * MANY * len(nodes)
    states = seen.all("workflow_loop_state", **other)
    assert sum(s.value for s in states) == MANY + 2 - 500
    assert {s.labels["state"] for s in states} == {"running"}
    dead = seen.all("workflow_dead_letters")
    assert len(dead) == metric_families.MAX_WORKFLOWS + 1
    assert sum(s.value for s in dead) == len(letters)
    assert seen.value("workflow_metrics_omitted", kind="slots") == MANY - 500
    assert len(seen.samples) < 60_000


def test_tasks_that_ask_for_labels_wait_as_well(started, api, live_redis):
    """Also those of which no worker has the labels."""

    async def put():
        store = open_store(live_redis)
        for labels in ((), ("gpu",), ("eu", "gpu"), ("eu", "moon")):
            task = Task(type="task", arguments={"name": "f", "arguments": {}}, runs_on=labels)
            await TaskQueue(store.queue).put(task)
        await store.close()

    async_to_sync(put)()
    assert scrape(api("viewer")).value("workflow_tasks_waiting") == 1
    WorkerSlot.objects.create(slot=0, labels=["eu", "gpu"])
    assert scrape(api("viewer")).value("workflow_tasks_waiting") == 3
    graph = Graph.objects.create(pk="g", name="g", definition={}, digest="d")
    Run.objects.create(
        pk="r", graph=graph, digest="d", entry="a", max_steps=1, initial_state={},
        runs_on=["eu", "moon"],
    )  # fmt: skip
    assert scrape(api("viewer")).value("workflow_tasks_waiting") == 4


def test_runners_that_died_long_ago_are_forgotten(started, api):
    for name, ago in (("lives", -20), ("died", 300), ("forgotten", 900)):
        leases.heartbeat(RunnerEntry(id=name, host="h", pid=1), 0, 30)
        Runner.objects.filter(pk=name).update(expires_at=leases._after(-ago))
    LoopSlot.objects.filter(loop="1").update(owner="lives")
    seen = scrape(api("viewer"))
    ages = {s.labels["runner"]: s.value for s in seen.all("workflow_runner_lease_age_seconds")}
    assert ages.keys() == {"lives", "died"}
    assert 10 <= ages["lives"] < 20
    assert 330 <= ages["died"] < 340
    assert seen.value("workflow_runners_alive") == 1
    assert seen.value("workflow_runner_slots", runner="lives") == 1
    assert seen.value("workflow_loop_slots_held", loop="1") == 1
