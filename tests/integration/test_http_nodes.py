"""http-poll and http-request where they work: in production, on the bench, in `run_workflow`."""

from contextlib import closing

import pytest

from orchestrator.runtime.own_servers import own_servers
from tests.deployment import Deployment
from tests.local_runs import LocalRuns
from tests.waiting import eventually
from tests.web_server import Reply, WebServer


def shop(request):
    """Orders to poll, and prices to ask for."""
    if request.path == "/orders":
        since = int(request.query.get("since", ["0"])[0])
        return Reply(data={"orders": [{"id": n} for n in (1, 2, 3) if n > since]})
    return Reply(data={"price": 10 * request.json["id"]})


@pytest.fixture
def server():
    with WebServer(shop) as server:
        yield server


def node(number, kind, **form):
    return {"id": number, "type": kind, "data": {"form": form}}


def orders(server, **poll):
    form = {"interval": 0.1, "items_field": "orders", "cursor": "items", "cursor_field": "id"}
    return {
        "name": "Orders",
        "nodes": [
            node("1", "http-poll", url=f"{server.url}/orders", cursor_param="since",
                 **form, **poll),
            node("2", "http-request", url=f"{server.url}/price", method="POST", body="json",
                 json={"id": "{{ data.id }}"}, target="answer"),
            node("3", "data-transformer", fields={"price": "{{ data.answer.body.price }}"}),
            node("4", "file-writer", path="prices.jsonl", columns=["id", "price"]),
        ],
        "edges": [{"source": str(n), "target": str(n + 1)} for n in (1, 2, 3)],
    }  # fmt: skip


PRICED = [{"id": 1, "price": 10}, {"id": 2, "price": 20}, {"id": 3, "price": 30}]


@pytest.fixture
def deployed(tmp_path, server):
    environment = {"EGRESS_ALLOW": "127.0.0.0/8"}
    with closing(Deployment(tmp_path, environment=environment)) as deployed:
        yield deployed


def test_in_production_and_on_the_bench(deployed, server):
    deployed.start_runner()
    workflow_id = deployed.create(orders(server, times=3))
    assert deployed.post("/prod/start", workflow_id).status_code in (200, 202)
    deployed.wait_for(workflow_id, "completed")
    assert deployed.rows("prices.jsonl") == PRICED
    sent = [r.query.get("since") for r in server.requests if r.path == "/orders"]
    assert sent == [None, ["3"], ["3"]]

    polled = deployed.post("/dev/execute", workflow_id, node_id="1").json()
    assert polled["output"] == {"id": 1}
    asked = deployed.post("/dev/execute", workflow_id, node_id="2").json()
    assert asked["output"]["answer"]["body"] == {"price": 10}

    # The network of our own Redis is open, and it is closed all the same.
    redis = f"http://{deployed.redis.url.split('/')[2]}/"
    answer = deployed.post(
        "/dev/execute", workflow_id, node_id="2", form={"url": redis}, input={"id": 1}
    )
    assert answer.status_code == 422, answer.text
    assert "a server of the orchestrator" in answer.json()["error"]["message"]


@pytest.fixture
def runs(tmp_path, redis_url):
    return LocalRuns(tmp_path, redis_url)


def run(runs, workflow):
    edges = [(edge["source"], edge["target"]) for edge in workflow["edges"]]
    assert runs.run("run_workflow", runs.workflow("orders", workflow["nodes"], edges)) == 0, (
        runs.told
    )


def test_in_run_workflow(runs, server):
    runs.environment["EGRESS_ALLOW"] = f"127.0.0.1:{server.port}"
    run(runs, orders(server, times=1))
    assert runs.lines("prices.jsonl") == PRICED


def test_without_an_entry_an_item_is_a_dead_letter_and_nobody_is_connected_to(runs, server):
    runs.environment.pop("EGRESS_ALLOW", None)
    workflow = orders(server)
    workflow["nodes"][0] = node("1", "counter", start=1, stop=3)
    workflow["nodes"][1]["data"]["form"]["json"] = {"id": "{{ data.value }}"}
    run(runs, workflow)
    dead = runs.dead("run-orders")
    assert [letter["item"] for letter in dead] == [{"value": 1}, {"value": 2}]
    assert "closed to nodes" in str(dead[0]) and "EGRESS_ALLOW" in str(dead[0])
    assert server.connections == 0


@pytest.mark.parametrize("entry", ["10.0.0.0/99", "http://host"])
def test_an_entry_that_means_nothing_stops_every_command(runs, entry):
    runs.environment["EGRESS_ALLOW"] = f"10.0.0.0/8, {entry}"
    assert runs.run("check") == 1
    assert f"EGRESS_ALLOW: '{entry}'" in runs.told


def test_where_our_own_servers_listen_is_read_from_the_settings():
    engine = "django.db.backends.postgresql"
    databases = {
        "default": {"ENGINE": engine, "HOST": "db.test", "PORT": 5433},
        "two": {"ENGINE": engine, "HOST": "a.test,b.test", "PORT": "1,2"},
        "socket": {"ENGINE": engine, "HOST": "/run/postgresql"},
        "local": {"ENGINE": engine},
        "file": {"ENGINE": "django.db.backends.sqlite3", "NAME": "x"},
    }
    assert own_servers("rediss://u:p@cache.test/0", databases) == [
        ("cache.test", 6379), ("db.test", 5433), ("a.test", 1), ("b.test", 2), ("localhost", 5432),
    ]  # fmt: skip
    assert own_servers("unix:///tmp/redis.sock", {}) == []


def test_a_poll_goes_on_behind_what_was_committed(deployed, server):
    runner = deployed.start_runner()
    workflow_id = deployed.create(orders(server))
    deployed.post("/prod/start", workflow_id)
    eventually(lambda: deployed.loop(workflow_id, "1")["iterations"] == 3)
    runner.kill_all()
    asked = len(server.requests)
    deployed.start_runner()
    [first, *_] = eventually(lambda: server.requests[asked:], 60)
    assert (first.path, first.query) == ("/orders", {"since": ["3"]})
    assert deployed.rows("prices.jsonl") == PRICED
