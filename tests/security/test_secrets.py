"""S11: a secret that a node gets is nowhere but where it was sent, whatever the node does with it.

The node `leaky` tells it in every way it can; then every place that can be read is searched for
each form of it.
"""

import contextlib
import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from orchestrator.security.secret_values import forms_of
from tests.deployment import PASSWORD, USER, Deployment, descendants_of
from tests.nodes.leaky import WAYS
from tests.security.places import Places
from tests.waiting import eventually

ITEMS = 2 * len(WAYS)
CANARY = f"CANARY+{uuid.uuid4()}/end"
"""What is kept; characters that every encoding writes in another way are in it."""


def node(node_id, kind, form=None, **config):
    return {"id": node_id, "type": kind, "data": {"form": form or {}, "config": config}}


def leaking(url):
    nodes = [
        node("in", "counter", {"stop": ITEMS, "interval": 0.02}),
        node("leaky", "leaky", {"login": "canary"}),
        node("call", "http-request", {"url": url, "credential": "canary"}),
        node("out", "queue-writer", queue_name="leaks"),
        node("back", "queue-reader", queue_name="leaks"),
        node("fails", "faulty", {"value": 0, "action": "raise"}),
        node("file", "file-writer", {"path": "out.jsonl"}),
    ]
    ends = [("in", "leaky"), ("leaky", "call"), ("call", "out"), ("back", "fails")]
    ends.append(("fails", "file"))
    edges = [{"id": f"e{n}", "source": a, "target": b} for n, (a, b) in enumerate(ends)]
    return {"name": "Leaks", "nodes": nodes, "edges": edges}


@pytest.fixture
def receiver():
    """A server that is called with the secret; what it got is where the secret may be."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            got.append(self.headers.get("Authorization", ""))
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(self.headers.get("Authorization", "").encode())  # an echo

        def log_message(self, *args):
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    server.got = got
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def deployment(tmp_path, redis_server, receiver):
    deployed = Deployment(
        tmp_path, environment={"EGRESS_ALLOW": "127.0.0.1/32", "LOG_LEVEL": "DEBUG"}
    )
    yield deployed
    deployed.close()


def listen(deployment, path, into):
    """Take everything that a socket is sent, in a thread of its own."""
    url = deployment.url.replace("http", "ws") + path
    socket = connect(url, additional_headers={"Authorization": f"Bearer {deployment.token}"})

    def take():
        with contextlib.suppress(ConnectionClosed, OSError):
            for text in socket:
                into.append(text)

    threading.Thread(target=take, daemon=True).start()
    return socket


def run_on_the_bench(deployment, places):
    for way in WAYS:
        answer = deployment.client.post(
            "/dev/execute",
            json={
                "workflow_id": "leaks", "node_id": "leaky", "input": {"value": 1},
                "form": {"login": "canary", "way": way},
            },
        )  # fmt: skip
        assert answer.status_code == (422 if way in FAILING else 200), answer.text
        places.add("bench", answer.text)
    for path in ("/dev/cache/leaks", "/dev/cache/leaks/leaky"):
        places.add("bench", deployment.client.get(path).text)


FAILING = ("raise", "raise_encoded", "die_with_log", "cut")


def run_graphs(deployment, places):
    for way in WAYS:
        graph = {
            "name": f"Leak {way}",
            "nodes": [node("leaky", "leaky-once", {"login": "canary", "way": way})],
            "edges": [],
            "entry_point": "leaky",
        }
        made = deployment.client.post("/graph/create", json=graph)
        assert made.status_code == 201, made.text
        body = {"graph_id": made.json()["graph_id"], "initial_state": {"value": 1}, "wait": True}
        ran = deployment.client.post("/graph/run", json=body)
        places.add("run", ran.text)
        run_id = ran.json().get("run_id") or ran.json()["error"]["run_id"]

        def ended(run_id=run_id):
            found = deployment.client.get(f"/graph/runs/{run_id}").json()
            return found["status"] in ("completed", "failed")

        eventually(ended)
        for rest in ("", "/log", "/timeline", "/checkpoints"):
            places.add("run", deployment.client.get(f"/graph/runs/{run_id}{rest}").text)


def look_at_production(deployment, places):
    client = deployment.client
    status = client.get("/prod/status/leaks")
    places.add("status", status.text)
    for node_id in ("leaky", "call", "fails"):
        taps = client.get(f"/dev/taps/leaks/{node_id}")
        assert taps.json()["samples"], node_id
        places.add("taps", taps.text)
    for letter in deployment.dead_letters("leaks"):
        places.add("dead letters", str(letter))
    paths = ("/queues/", "/queues/leaks/leaks/items", "/workflows/leaks/", "/nodes/leaky/form")
    for path in (*paths, "/credentials/", "/credentials/canary/", "/dead-letters/groups"):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        places.add("API", answer.text)
    wrong = {"name": "canary", "kind": "bearer", "values": {"token": CANARY}}
    for body in (wrong, {**wrong, "kind": "smtp"}, {**wrong, "name": "a b"}):
        answer = client.post("/credentials/", json=body)
        assert answer.status_code in (400, 409)
        places.add("API", answer.text)


def look_at_admin(deployment, places, most=100):
    """Look at every list, and at so many rows of each."""
    with httpx.Client(base_url=deployment.url, follow_redirects=True, timeout=30) as browser:
        page = browser.get("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)[1]
        form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": token}
        browser.post("/login/", data=form, headers={"Referer": deployment.url})
        seen = 0
        for name in ("credential", "deadletter", "run", "runstep", "checkpoint", "loopslot"):
            page = browser.get(f"/admin/orchestrator/{name}/")
            if page.status_code != 200:
                continue
            places.add("admin", page.text)
            rows = re.findall(rf'href="(/admin/orchestrator/{name}/[^"/]+/change/)', page.text)
            for path in rows[:most]:
                places.add("admin", browser.get(path).text)
                seen += 1
        assert seen > 5


def look_at_processes(deployment, places):
    for process in deployment._processes:
        for pid in (process.pid, *descendants_of(process.pid)):
            for file in ("environ", "cmdline"):
                with contextlib.suppress(OSError):
                    places.add("ps e", Path(f"/proc/{pid}/{file}").read_bytes())


def look_at_files(deployment, places):
    for file in sorted(deployment.folder.rglob("*")):
        if not file.is_file():
            continue
        place = "logs" if file.suffix == ".log" else "data folder"
        places.add(place, file.read_bytes())
    places.add("database", deployment.database.content())
    for file in sorted(deployment.redis.folder.rglob("*")):
        if file.is_file():
            places.add("Redis, all that was ever written", file.read_bytes())


def test_the_canary_is_nowhere(deployment, receiver, section):
    deployment.client.post(
        "/credentials/", json={"name": "canary", "kind": "bearer", "values": {"token": CANARY}}
    ).raise_for_status()
    url = f"http://127.0.0.1:{receiver.server_address[1]}/"
    assert deployment.create(leaking(url)) == "leaks"
    places, frames = Places(forms_of(CANARY)), []
    with contextlib.closing(listen(deployment, "/ws/workflows/leaks/", frames)):
        with contextlib.closing(listen(deployment, "/ws/dashboard/", frames)):
            deployment.start_runner()
            deployment.start_worker()
            eventually(deployment.workers)
            deployment.post("/prod/start", "leaks")
            deployment.wait_for("leaks", "completed")
            eventually(lambda: len(deployment.dead_letters("leaks")) > 2 * len(FAILING))
            eventually(lambda: len(frames) > 5)
            run_on_the_bench(deployment, places)
            run_graphs(deployment, places)
            look_at_production(deployment, places)
            look_at_admin(deployment, places)
            look_at_processes(deployment, places)
    for frame in frames:
        places.add("WebSocket", frame)
    look_at_files(deployment, places)

    # It was really there, and used: the receiver has it, and what told of it is redacted.
    assert receiver.got and set(receiver.got) == {f"Bearer {CANARY}"}
    assert places.redacted("logs") and places.redacted("dead letters") and places.redacted("taps")
    assert places.redacted("bench") and places.redacted("run")
    assert places.redacted("Redis, all that was ever written")
    section("S11: where a secret was looked for", places.table())
    assert not places.found(), places.found()[:5]
