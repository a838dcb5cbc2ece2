"""S11: a server that tells everybody the password which it was given tells it to nobody.

It stands in errors and in answers, in every form, and where a text is cut: half of it is looked
for as well.
"""

import contextlib
import uuid
from urllib.parse import quote

import pytest

from nodes import files
from nodes.builtin.sql import SqlPoll
from nodes.testing import driven
from orchestrator.exceptions import NodeFailed
from orchestrator.security import secret_values
from orchestrator.security.secret_values import forms_of
from tests.deployment import Deployment
from tests.security.echoes import WRITTEN, MailEcho, PostgresEcho, RedisEcho
from tests.security.places import Places
from tests.security.test_secrets import (
    listen,
    look_at_admin,
    look_at_files,
    look_at_processes,
    node,
)
from tests.waiting import eventually

CANARY = f"CANARY+{uuid.uuid4()}/end"
HALVES = (CANARY[:16], CANARY[-16:])
QUOTED = quote(CANARY, safe="")
ITEMS = 10 * len(WRITTEN)
SQL = "select :x"
ROWS = "select id, told from secrets where id > :cursor"
MAIL = {"sender": "a@b.test", "to": "c@d.test", "subject": "x", "text": "x", "timeout": 10}
NODES = {
    "sql": ("sql-query", {"credential": "shop", "sql": SQL, "values": {"x": 1}}),
    "mail": ("send-email", {"credential": "mail", **MAIL}),
    "publish": (
        "redis-publish", {"credential": "news", "name": "a", "message": "b", "target": "told"},
    ),
    "option": ("sql-query", {"credential": "option", "sql": SQL, "values": {"x": 1}}),
    "account": ("sql-query", {"credential": "account", "sql": SQL, "values": {"x": 1}}),
    "outside": ("sql-query", {"credential": "outside", "sql": SQL, "values": {"x": 1}}),
}  # fmt: skip
POLL = {"credential": "shop", "sql": ROWS, "interval": 0.05}
SERVERS = ("sql", "mail", "publish")


@pytest.fixture
def servers():
    with PostgresEcho() as sql, MailEcho() as mail, RedisEcho() as publish:
        yield {"sql": sql, "mail": mail, "publish": publish}


@pytest.fixture
def deployment(tmp_path, servers):
    opened = {"EGRESS_ALLOW": "127.0.0.1/32", "LOG_LEVEL": "DEBUG"}
    with contextlib.closing(Deployment(tmp_path, environment=opened)) as deployed:
        yield deployed


def credentials(servers):
    place = f"ada:{QUOTED}@127.0.0.1"
    mail = {"host": "127.0.0.1", "port": str(servers["mail"].port), "security": "none"}
    return {
        "shop": ("database-url", {
            "url": f"postgresql://{place}:{servers['sql'].port}/a?sslmode=disable"
        }),
        "news": ("database-url", {"url": f"redis://{place}:{servers['publish'].port}/0"}),
        "mail": ("smtp", {**mail, "username": "ada", "password": CANARY}),
        "option": ("database-url", {"url": f"sqlite:///a.db?key={CANARY}"}),
        "account": ("database-url", {"url": f"sqlite://{place}/a.db"}),
        "outside": ("database-url", {"url": f"sqlite:///../{CANARY}"}),
    }  # fmt: skip


def echoing():
    """Return a workflow with a loop for each server, and one that polls."""
    nodes = [node("poll", "sql-poll", POLL), node("polled", "debug", {"message": "x"})]
    ends = [("poll", "polled")]
    for name in SERVERS:
        kind, form = NODES[name]
        nodes.append(node(f"in-{name}", "counter", {"stop": ITEMS}))
        nodes.append(node(name, kind, form))
        nodes.append(node(f"log-{name}", "debug", {"message": "{{ data }}"}))
        nodes.append(node(f"out-{name}", "queue-writer", queue_name=f"q-{name}"))
        ends += [(f"in-{name}", name), (name, f"log-{name}"), (f"log-{name}", f"out-{name}")]
    edges = [{"id": f"e{n}", "source": a, "target": b} for n, (a, b) in enumerate(ends)]
    return {"name": "Echoes", "nodes": nodes, "edges": edges}


def run_on_the_bench(deployment, places):
    nodes = [node("poll", "sql-poll", POLL)]
    nodes += [node(name, kind, form) for name, (kind, form) in NODES.items()]
    workflow = {"name": "Bench", "nodes": nodes, "edges": []}
    for name in ("poll", *NODES):
        for _ in range(6 if name in SERVERS else 2):
            answer = deployment.client.post(
                "/dev/execute", json={"workflow": workflow, "node_id": name, "input": {}}
            )
            assert answer.status_code in (200, 422), answer.text
            assert name in (*SERVERS, "poll") or "CredentialRefused" in answer.text
            places.add("bench", answer.text)


def run_graphs(deployment, places):
    for name, (kind, form) in NODES.items():
        graph = {
            "name": name, "nodes": [node(name, kind, form)], "edges": [], "entry_point": name,
        }  # fmt: skip
        made = deployment.client.post("/graph/create", json=graph)
        assert made.status_code == 201, made.text
        body = {"graph_id": made.json()["graph_id"], "initial_state": {"x": 1}, "wait": True}
        ran = deployment.client.post("/graph/run", json=body)
        places.add("run", ran.text)
        run_id = ran.json().get("run_id") or ran.json()["error"]["run_id"]
        for rest in ("", "/log", "/timeline", "/checkpoints"):
            places.add("run", deployment.client.get(f"/graph/runs/{run_id}{rest}").text)


def look_at_production(deployment, places):
    client = deployment.client
    for node_id in ("polled", *SERVERS, *(f"log-{name}" for name in SERVERS)):
        places.add("taps", client.get(f"/dev/taps/echoes/{node_id}").text)
    for letter in deployment.dead_letters("echoes"):
        places.add("dead letters", str(letter))
    for name in SERVERS:
        places.add("queues", client.get(f"/queues/echoes/q-{name}/items").text)
    paths = ("/prod/status/echoes", "/queues/", "/credentials/", "/credentials/shop/")
    for path in (*paths, "/dead-letters/groups", "/audit/"):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        places.add("API", answer.text)


def test_what_a_server_echoes_is_nowhere(deployment, servers, section):
    for name, (kind, values) in credentials(servers).items():
        body = {"name": name, "kind": kind, "values": values}
        deployment.client.post("/credentials/", json=body).raise_for_status()
    assert deployment.create(echoing()) == "echoes"
    places = Places({form for text in (CANARY, QUOTED, *HALVES) for form in forms_of(text)})
    frames = []
    with contextlib.closing(listen(deployment, "/ws/workflows/echoes/", frames)):
        deployment.start_runner()
        deployment.start_worker()
        eventually(deployment.workers)
        deployment.post("/prod/start", "echoes")
        run_on_the_bench(deployment, places)
        run_graphs(deployment, places)
        every = 3 * len(WRITTEN)  # login refused, command refused, command taken
        eventually(lambda: all(len(server.told) >= every for server in servers.values()), 60)
        look_at_production(deployment, places)
        look_at_admin(deployment, places, most=20)
        look_at_processes(deployment, places)
    for frame in frames:
        places.add("WebSocket", frame)
    look_at_files(deployment, places)

    section("S11: where what a server echoes was looked for", places.table())
    assert all(server.got == {CANARY} for server in servers.values())
    for place in ("logs", "dead letters", "taps", "queues", "bench", "run", "WebSocket"):
        assert places.redacted(place), place
    assert places.redacted("Redis, all that was ever written")
    assert not places.found(), places.found()[:5]


async def test_an_error_shows_no_half_of_a_secret(tmp_path):
    """What sql-poll shows of two rows that do not rise."""
    files.configure(tmp_path)
    secret_values.register([CANARY])
    sql = f"select '{'x' * 26}{CANARY}' as id, :cursor as x union all select 'a', :cursor"
    async with driven(SqlPoll, {"file": "a.db", "sql": sql, "times": 1}) as run:
        with pytest.raises(NodeFailed, match="must rise") as failed:
            await run.item()
    assert CANARY[:8] not in failed.value.message
