"""The log: what each line says of where it was written, in both formats and in each process."""

import json
import subprocess
import sys

import pytest

from tests.deployment import Deployment
from tests.local_runs import ROOT, LocalRuns
from tests.waiting import eventually

NODES = [
    ("source", "telling-source"),
    ("pass", "telling"),
    ("plain", "telling-plainly"),
    ("choice", "telling-choice"),
    ("behind", "telling-behind"),
    ("later", "telling"),
    ("wrong", "telling-failure"),
]
EDGES = [
    ("source", "pass"),
    ("pass", "plain"),
    ("plain", "choice"),
    ("choice", "behind", "yes"),
    ("choice", "wrong", "no"),
    ("behind", "later"),
]


@pytest.fixture
def runs(tmp_path, redis_url):
    made = LocalRuns(tmp_path, redis_url)
    made.environment |= {"NODE_PACKAGES": "tests.nodes", "LOG_LEVEL": "INFO"}
    return made


@pytest.fixture
def workflow(tmp_path):
    edges = [
        {"source": e[0], "target": e[1], "sourceHandle": e[2] if e[2:] else None} for e in EDGES
    ]
    path = tmp_path / "telling.json"
    path.write_text(
        json.dumps({"nodes": [{"id": n, "type": t, "data": {}} for n, t in NODES], "edges": edges})
    )
    return path


def objects(text):
    """The lines of a log that are JSON, those of a command's own output left out."""
    return [json.loads(line) for line in text.splitlines() if line.startswith('{"timestamp"')]


def test_each_line_of_a_loop_names_loop_node_and_item(runs, workflow):
    runs.environment["LOG_FORMAT"] = "json"
    assert runs.run("run_workflow", workflow) == 0, runs.told
    lines = objects(runs.told)
    told = {(line["message"], line.get("node"), line.get("item")) for line in lines}
    own = [f"source:1:{number}" for number in range(1, 7)]
    for number, item in enumerate(own, 1):
        assert (f"produced {number}", "source", item) in told
        assert (f"passed {number}", "pass", item) in told
        assert (f"chose for {number}", "choice", item) in told
        if number != 3:
            assert (f"behind {number}", "behind", item) in told
            assert (f"passed {number}", "later", item) in told
    assert {("set up", "source", None), ("cleaned up", "source", None)} <= told
    threads = [line for line in lines if line["message"] == "in a thread"]
    assert [(x["node"], x["item"], x["value"]) for x in threads] == [
        ("plain", item, number) for number, item in enumerate(own, 1)
    ]
    (failed,) = (line for line in lines if "failed at node" in line["message"])
    assert (failed["node"], failed["item"], failed["level"]) == ("wrong", own[2], "warning")
    for line in lines:
        about = {"workflow": "run-telling", "version": 1, "loop": "source", "slot": 0}
        assert about.items() <= line.items(), line
        assert line["timestamp"].endswith("Z") and line["logger"]


def test_text_has_the_same_behind_the_message(runs, workflow):
    assert runs.run("run_workflow", workflow) == 0, runs.told
    about = "workflow=run-telling version=1 loop=source slot=0 node=pass item=source:1:2"
    line = next(line for line in runs.told.splitlines() if "passed 2" in line)
    assert " INFO tests.nodes.telling passed 2 [" in line and about in line


def test_a_trace_is_in_the_line_of_its_error(tmp_path):
    code = (
        "import django, logging; django.setup()\n"
        "try: 1 / 0\n"
        "except ZeroDivisionError: logging.getLogger('a').exception('two\\nlines \\udc80')\n"
    )
    environment = LocalRuns(tmp_path, "redis://127.0.0.1:1").environment
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True,
        env=environment | {"LOG_FORMAT": "json"},
    )  # fmt: skip
    (line,) = done.stderr.splitlines()
    found = json.loads(line)
    assert found["message"] == "two\nlines \udc80"
    assert "ZeroDivisionError: division by zero" in found["exception"]


def test_another_format_is_refused(runs, workflow):
    runs.environment["LOG_FORMAT"] = "xml"
    assert runs.run("run_workflow", workflow) == 1
    assert "LOG_FORMAT must be text or json, not 'xml'" in runs.told


@pytest.fixture
def deployment(tmp_path, redis_server):
    deployed = Deployment(tmp_path, environment={"LOG_FORMAT": "json"})
    yield deployed
    deployed.close()


@pytest.mark.fault
def test_runs_and_the_bench_say_for_what_they_work(deployment):
    deployment.start_worker("--import=tests.worker_tasks", WORKER_ID="ada")
    graph = {
        "nodes": [{"id": "one", "type": "telling", "data": {}}],
        "edges": [],
        "entry_point": "one",
    }
    made = deployment.client.post("/graph/create", json=graph)
    assert made.status_code == 201, made.text
    begun = deployment.client.post(
        "/graph/run", json={"graph_id": made.json()["graph_id"], "initial_state": {"value": 7}}
    )
    assert begun.status_code in (200, 202), begun.text
    run = begun.json()["run_id"]

    def told():
        return [x for x in objects(deployment.log("worker")) if x["message"] == "passed 7"]

    (line,) = eventually(told, 40)
    about = {"run": run, "graph": made.json()["graph_id"], "node": "one", "worker": "ada"}
    assert about.items() <= line.items(), line
    assert line["task_type"] == "run" and line["given"] == {"value": 7}

    workflow = {"nodes": [{"id": "b", "type": "telling", "data": {}}], "edges": []}
    answer = deployment.client.post(
        "/dev/execute", json={"workflow": workflow, "node_id": "b", "input": {"value": 8}}
    )
    assert answer.status_code == 200, answer.text
    log = answer.json()["log"]
    assert "INFO tests.nodes.telling passed 8 [" in log and "node=b item=bench:b" in log


@pytest.mark.fault
def test_the_server_started_by_its_own_command_writes_the_same_lines(deployment):
    port = deployment.environment["PORT"]
    deployment.web.terminate()
    deployment.web.wait(40)
    deployment._spawn("uvicorn", "-m", "uvicorn", "config.asgi:application", "--port", port)
    eventually(lambda: "/healthz" in _asked(deployment), 40)
    lines = deployment.log("uvicorn").splitlines()
    access = [x for x in objects("\n".join(lines)) if x["logger"] == "uvicorn.access"]
    assert any("/healthz" in line["message"] for line in access)
    assert any("startup complete" in line["message"] for line in objects("\n".join(lines)))


def _asked(deployment):
    try:
        deployment.client.get("/healthz")
    except Exception:
        return ""
    return deployment.log("uvicorn")
