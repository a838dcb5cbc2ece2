"""for-each, aggregate, merge, rate-limit, filter and sub-workflow where they work: in loops."""

import json
import os
from contextlib import closing

import pytest
import redis

from tests.deployment import Deployment
from tests.local_runs import LocalRuns
from tests.mail_server import MailServer
from tests.postgres import PASSWORD, Postgres, find_programs
from tests.waiting import eventually


def node(number, kind, config=None, /, **form):
    return {"id": number, "type": kind, "data": {"form": form, "config": config or {}}}


def edge(source, target, port=None):
    return {"source": source, "target": target, "sourceHandle": port}


@pytest.fixture
def runs(tmp_path, redis_url):
    return LocalRuns(tmp_path, redis_url)


def run(runs, name, nodes, edges):
    path = runs.workflow(name, nodes, [])
    path.write_text(json.dumps({"nodes": nodes, "edges": edges}))
    assert runs.run("run_workflow", path) == 0, runs.told


def test_for_each_goes_round_and_a_failed_element_fails_its_item_alone(runs):
    nodes = [
        node("1", "counter", start=1, stop=4),
        node("2", "data-transformer", fields={"list": "{{ [data.value, 10 * data.value, 5] }}"}),
        node("3", "for-each", field="list"),
        node("4", "filter", field="value", operator="not_equals", value=20),
        node("5", "data-transformer", fields={"half": "{{ 100 / (30 - data.value) }}"}),
        node("6", "file-writer", path="each.jsonl", columns=["value"]),
        node("7", "data-transformer", fields={"halves": "{{ data.results | length }}"}),
        node("8", "file-writer", path="done.jsonl", columns=["value", "halves"]),
    ]
    edges = [
        edge("1", "2"), edge("2", "3"), edge("3", "4", "each"), edge("4", "5"), edge("5", "3"),
        edge("5", "6"), edge("3", "7", "done"), edge("7", "8"),
    ]  # fmt: skip
    run(runs, "each", nodes, edges)
    assert runs.lines("done.jsonl") == [{"value": 1, "halves": 3}, {"value": 2, "halves": 2}]
    # The third item fails at its second element: nothing of it is written.
    assert [row["value"] for row in runs.lines("each.jsonl")] == [1, 10, 5, 2, 5]
    [letter] = runs.dead("run-each")
    assert (letter["node_id"], letter["node_input"]) == ("5", {"value": 30})
    assert letter["item"] == {"value": 3}


def test_what_is_held_for_many_keys_comes_one_by_one_at_the_end(runs):
    nodes = [
        node("1", "counter", start=1, stop=11),
        node("2", "rate-limit", limit=1000, seconds=1),
        node("3", "aggregate", key="{{ data.value % 3 }}", figures={"sum": "sum(value)"}),
        node("4", "file-writer", path="sums.jsonl"),
        node("5", "merge", key="{{ data.value // 2 }}", part="{{ data.value % 2 }}"),
        node("6", "file-writer", path="pairs.jsonl"),
    ]
    edges = [edge("1", "2"), edge("2", "3"), edge("3", "4"), edge("2", "5"), edge("5", "6")]
    run(runs, "held", nodes, edges)
    assert runs.lines("sums.jsonl") == [
        {"key": 1, "count": 4, "sum": 22},
        {"key": 2, "count": 3, "sum": 15},
        {"key": 0, "count": 3, "sum": 18},
    ]
    pairs = runs.lines("pairs.jsonl")
    assert pairs[:4] == [{"0": {"value": n}, "1": {"value": n + 1}} for n in (2, 4, 6, 8)]
    assert pairs[4:] == [
        {"1": {"value": 1}, "incomplete": True},
        {"0": {"value": 10}, "incomplete": True},
    ]


def callee(**answer):
    return {
        "name": "Prices",
        "nodes": [
            node("1", "queue-reader", queue_name="asked"),
            node("2", "data-transformer", fields={"price": "{{ data.value * 10 }}"}),
            node("3", "http-response", body={"price": "{{ data.price }}"}, **answer),
            node("4", "file-writer", path="asked.jsonl", columns=["value"]),
        ],
        "edges": [edge("1", "2"), edge("2", "3"), edge("3", "4")],
    }


def caller(prices, **form):
    return {
        "name": "Orders",
        "nodes": [
            node("1", "counter", start=1, stop=41, interval=0.02),
            node("2", "sub-workflow", workflow=prices, queue="asked", **form),
            node("3", "file-writer", path="orders.jsonl"),
        ],
        "edges": [edge("1", "2"), edge("2", "3")],
    }


@pytest.fixture
def deployed(tmp_path):
    with closing(Deployment(tmp_path)) as deployed:
        yield deployed


def test_another_workflow_answers(deployed):
    deployed.start_runner()
    prices = deployed.create(callee())
    orders = deployed.create(caller(prices, wait=True, target="price"))
    for workflow_id in (prices, orders):
        assert deployed.post("/prod/start", workflow_id).status_code in (200, 202)
    deployed.wait_for(orders, "completed")
    rows = deployed.rows("orders.jsonl")
    assert [row["value"] for row in rows] == list(range(1, 41))
    assert [row["price"]["body"]["price"] for row in rows] == [10 * n for n in range(1, 41)]

    shown = deployed.post("/dev/execute", orders, node_id="2", input={"value": 7}).json()
    assert shown["emitted"][0]["queue"] == f"{prices}/asked"
    assert shown["output"] == {"value": 7}


def test_each_item_enters_the_other_workflow_once_whatever_dies(deployed):
    runner = deployed.start_runner()
    prices = deployed.create(callee())
    orders = deployed.create(caller(prices))
    deployed.post("/prod/start", orders)  # the other is not running: what it gets waits for it
    eventually(lambda: deployed.loop(orders, "1")["iterations"] > 10)
    runner.kill_all()
    deployed.start_runner()
    deployed.wait_for(orders, "completed")
    deployed.post("/prod/start", prices)
    eventually(lambda: len(deployed.rows("asked.jsonl")) >= 40)
    assert sorted(row["value"] for row in deployed.rows("asked.jsonl")) == list(range(1, 41))


def test_a_workflow_that_is_not_there_is_found_out_when_it_is_saved(deployed):
    prices = deployed.create(callee())
    for change, field in (({"workflow": "none"}, "workflow"), ({"queue": "none"}, "queue")):
        wrong = caller(prices)
        wrong["nodes"][1]["data"]["form"] |= change
        answer = deployed.client.post("/workflows/", json=wrong)
        assert answer.status_code == 400, answer.text
        [path] = {problem["path"] for problem in answer.json()["error"]["details"]} - {
            "nodes[1].data.form.queue" if field == "workflow" else ""
        }
        assert path == f"nodes[1].data.form.{field}"


@pytest.fixture
def postgres():
    programs = find_programs()
    if programs is None:
        if os.environ.get("REQUIRE_ALL"):
            pytest.fail("there is no PostgreSQL")
        pytest.skip("there is no PostgreSQL")
    server = Postgres(programs)
    server.start()
    yield server
    server.stop()


def test_databases_mail_and_redis_with_credentials(tmp_path, postgres, redis_server):
    postgres.run("create table orders (id serial primary key, email text, total numeric(9, 2))")
    postgres.run("create table sent (id integer primary key, key text)")
    postgres.run("insert into orders (email, total) values ('a@b.test', 12.50), ('c@d.test', 3)")
    workflow = {
        "name": "Confirmations",
        "nodes": [
            node("1", "sql-poll", credential="shop", times=1, interval=0.1,
                 sql="select * from orders where id > :cursor order by id"),
            node("2", "send-email", credential="mail", sender="shop@example.test",
                 to="{{ data.email }}", subject="Order {{ data.id }}", text="{{ data.total }} EUR"),
            node("3", "sql-query", credential="shop", values={"id": "{{ data.id }}"},
                 sql="insert into sent values (:id, :idempotency_key)"),
            node("4", "redis-publish", credential="news", kind="stream", name="sent",
                 message={"id": "{{ data.id }}"}),
            node("5", "file-writer", path="sent.jsonl", columns=["id", "total"]),
        ],
        "edges": [edge(str(n), str(n + 1)) for n in (1, 2, 3, 4)],
    }  # fmt: skip
    with MailServer() as mail:
        ports = (postgres.port, redis_server.port, mail.port)
        opened = {"EGRESS_ALLOW": ",".join(f"127.0.0.1:{port}" for port in ports)}
        with closing(Deployment(tmp_path, environment=opened)) as deployed:
            place = {"host": "127.0.0.1", "port": str(mail.port), "security": "none"}
            for name, kind, values in (
                ("shop", "database-url", {"url": postgres.url}),
                ("mail", "smtp", place),
                ("news", "database-url", {"url": redis_server.url}),
            ):
                made = {"name": name, "kind": kind, "values": values}
                answer = deployed.client.post("/credentials/", json=made)
                assert answer.status_code == 201, answer.text
            deployed.start_runner()
            workflow_id = deployed.create(workflow)
            deployed.post("/prod/start", workflow_id)
            deployed.wait_for(workflow_id, "completed")
            assert deployed.rows("sent.jsonl") == [{"id": 1, "total": 12.5}, {"id": 2, "total": 3}]
            assert [m.get_content().strip() for _, _, m in mail.mails] == ["12.5 EUR", "3 EUR"]
            assert len(postgres.run("select distinct key from sent")) == 2
            with redis.Redis.from_url(redis_server.url) as client:
                assert [f[b"message"] for _, f in client.xrange("sent")] == [
                    b'{"id":1}',
                    b'{"id":2}',
                ]
                client.delete("sent")

            polled = deployed.post("/dev/execute", workflow_id, node_id="1").json()
            assert polled["output"] == {"id": 1, "email": "a@b.test", "total": 12.5}
            shown = deployed.post("/dev/execute", workflow_id, node_id="2").json()
            assert shown["output"]["id"] == 1 and len(mail.mails) == 3
            again = deployed.post("/dev/execute", workflow_id, node_id="3")
            assert again.status_code == 422 and "duplicate key" in again.text
            assert PASSWORD not in again.text
