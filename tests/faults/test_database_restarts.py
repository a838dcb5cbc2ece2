"""R17, of PostgreSQL below a running system: restarted, away for long, read-only, its connections
ended. Everything comes back by itself."""

import contextlib

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.databases import PostgresDatabase
from tests.deployment import PASSWORD, USER, Deployment
from tests.faults.checker import Checker
from tests.faults.test_runs import LAST, TRAIL, begin, effects, ended, hold
from tests.faults.workflows import ITEMS, PATIENCE, pipeline
from tests.waiting import eventually

pytestmark = pytest.mark.fault
LEASE_TTL = 3
MOST_CONNECTIONS = 40
"""Of a web process, two runners and a worker; each thread that uses the database has one."""


@pytest.fixture
def deployment(tmp_path, redis_server, postgres_server):
    database = PostgresDatabase(postgres_server.url)
    with contextlib.closing(Deployment(tmp_path, database=database)) as deployed:
        yield deployed


@pytest.fixture
def checker(deployment):
    """Two runners that move items; gives what knows where they are."""
    for _ in range(2):
        deployment.start_runner()
    workflow = deployment.create(pipeline(name="Restarted"))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=("record-0", "record-1"))
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 20)
    return checker


def end_connections(database):
    database.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()"
    )


def connections(database):
    """Return the state of every connection but our own."""
    rows = database.rows(
        "SELECT state FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid != pg_backend_pid()"
    )
    return [row["state"] for row in rows]


def socket_to(deployment, path):
    headers = {"Authorization": f"Bearer {deployment.token}"}
    return connect(deployment.url.replace("http", "ws") + path, additional_headers=headers)


def logged_in(deployment):
    """Return a browser's client, which has a session."""
    browser = httpx.Client(base_url=deployment.url, follow_redirects=True, timeout=20)
    browser.get("/login/")
    token = browser.cookies["orchestrator_csrftoken"]
    form = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": token}
    assert browser.post("/login/", data=form).status_code == 200
    return browser


def check_outage(deployment, browser):
    """Every door says that the database is away, and none hangs."""
    for client, path in ((deployment.client, "/workflows/"), (browser, "/"), (browser, "/runs/")):
        answer = client.get(path)
        assert answer.status_code == 503, (path, answer.text)
    refused = deployment.post("/prod/stop", "restarted")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "database_unavailable")
    assert deployment.client.get("/healthz").status_code == 200
    assert deployment.client.get("/readyz").status_code == 503
    with socket_to(deployment, "/ws/dashboard/") as late, pytest.raises(ConnectionClosed) as closed:
        late.recv(timeout=10)
    assert closed.value.rcvd.code == 1013


def test_r17_postgresql_is_restarted(deployment, postgres_server, checker, nemesis, row):
    deployment.start_worker()
    hold(deployment, "a:6")
    run_id = begin(deployment)
    browser = logged_in(deployment)
    with socket_to(deployment, "/ws/dashboard/") as early:
        eventually(lambda: "a:6" in effects(deployment))
        postgres_server.kill()
        postgres_server.start()
        nemesis.note()
        hold(deployment, "b:13")
        eventually(lambda: "b:13" in effects(deployment))
        postgres_server.kill()
        check_outage(deployment, browser)
        nemesis.wait(2 * LEASE_TTL, 2 * LEASE_TTL)  # no lease is valid any more
        postgres_server.start()
        nemesis.note()
        hold(deployment, "never")
        early.send('{"type": "ping"}')
        deployment.wait_for("restarted", "completed", PATIENCE)
        received = [early.recv(timeout=10) for _ in range(3)]
    assert '"state_sync"' in received[0]
    assert browser.get("/").status_code == 200
    row.add("R17 PostgreSQL restarted", checker.verdict(nemesis))
    run = ended(deployment, run_id)
    assert (run["status"], run["state"]) == ("completed", {"n": LAST + 1, "trail": TRAIL})
    states = connections(deployment.database)
    assert len(states) < MOST_CONNECTIONS and "idle in transaction" not in states
    assert "Traceback" not in deployment.log("web") + deployment.log() + deployment.log("worker")


def test_r17_connections_end_and_no_loop_is_restarted(deployment, checker, nemesis, row):
    deployment.wait_for("restarted", "running")
    tokens = deployment.tokens("restarted")
    while not checker.completed():
        end_connections(deployment.database)
        nemesis.wait(0.3, 1.0)
    assert deployment.tokens("restarted") == tokens
    row.add("R17 PostgreSQL connections ended", checker.verdict(nemesis))


ENDING = """
CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF nextval('cuts') %% 2 = 1 THEN
        PERFORM pg_terminate_backend(pg_backend_pid());
    END IF;
    RETURN NEW;
END $$
"""
"""Ends each connection but every other that is about to note that a loop has completed."""


def test_a_connection_ends_while_it_is_noted_that_a_loop_has_completed(deployment):
    deployment.database.rows("CREATE SEQUENCE cuts")
    deployment.database.rows(ENDING)
    deployment.database.rows(
        "CREATE TRIGGER cut BEFORE UPDATE ON orchestrator_loopslot FOR EACH ROW"
        " WHEN (NEW.state = 'completed') EXECUTE FUNCTION cut()"
    )
    deployment.start_runner()
    workflow = deployment.create(pipeline(name="Ended", items=10))
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "completed")
    assert deployment.database.rows("SELECT last_value FROM cuts") == [{"last_value": 4}]
    assert deployment.tokens(workflow) == {"source/0": 1, "reader-1/0": 1}


def test_r17_postgresql_is_read_only(deployment, postgres_server, checker, nemesis, row):
    """As for those that are connected to a server that has become the standby of another."""
    database = deployment.database
    name = database.rows("SELECT current_database() AS name")[0]["name"]
    for setting, seconds in (("on", 2 * LEASE_TTL), ("off", 0)):
        postgres_server.run(f"ALTER DATABASE {name} SET default_transaction_read_only = {setting}")
        end_connections(database)
        if setting == "on":
            answer = deployment.post("/prod/stop", "restarted")
            assert answer.json()["error"]["code"] == "database_unavailable", answer.text
        nemesis.wait(seconds, seconds)
    nemesis.note()
    deployment.wait_for("restarted", "completed", PATIENCE)
    row.add("R17 PostgreSQL read-only", checker.verdict(nemesis))


STANDING_STILL = """
import time
from django.db import connection, transaction
from orchestrator.models import Workflow
with transaction.atomic():
    Workflow.objects.select_for_update().get()
    print("locked", connection.queries_logged, flush=True)
    time.sleep(60)
"""


def test_a_process_that_stands_still_in_a_transaction_loses_its_locks(deployment):
    """As a runner does that is stopped, or whose machine is gone, at the wrong moment."""
    workflow = deployment.create(pipeline(name="Locked"))
    process = deployment._spawn("still", "manage.py", "shell", "--no-imports", "-c", STANDING_STILL)
    told = eventually(lambda: deployment.log("still"))
    assert told.split() == ["locked", "False"], "and no queries are kept in memory"
    answer = deployment.post("/prod/start", workflow)
    assert answer.json()["error"]["code"] == "database_unavailable", answer.text
    eventually(lambda: deployment.post("/prod/start", workflow).is_success)
    assert process.poll() is None
