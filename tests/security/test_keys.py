"""S12: keys that are missing, wrong or changed; and a rotation while everything runs."""

import re
import subprocess
import sys
import time

import pytest

from orchestrator.security.keyring import VARIABLE, new_key
from tests.deployment import ROOT, Deployment
from tests.waiting import eventually

CREDENTIALS = 1000
WORKFLOW = {
    "name": "Steady",
    "nodes": [
        {"id": "in", "type": "counter", "data": {"form": {"interval": 0.02}}},
        {"id": "n", "type": "leaky", "data": {"form": {"login": "c7", "way": "hex"}}},
    ],
    "edges": [{"id": "a", "source": "in", "target": "n"}],
}
MAKE = f"""
from orchestrator.security.actors import SYSTEM
from orchestrator.services.credentials import create
for number in range({CREDENTIALS}):
    create(SYSTEM, f"c{{number}}", "bearer", {{"token": f"secret-number-{{number}}"}})
"""
ONE, TWO = new_key(), new_key()


@pytest.fixture
def deployment(tmp_path, redis_server):
    deployed = Deployment(tmp_path, lease_ttl=30, environment={VARIABLE: ONE})
    yield deployed
    deployed.close()


def stored(deployment):
    rows = deployment.database.rows("SELECT name, sealed FROM orchestrator_credential")
    return {row["name"]: row["sealed"] for row in rows}


def refusal(deployment, *arguments, **environment):
    """Start a process that has to refuse; return what it says."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT, env={**deployment.environment, **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    return done.stdout + done.stderr


PROCESSES = {
    "web": ("-m", "orchestrator.runtime.web"),
    "runner": ("manage.py", "runner"),
    "worker": ("manage.py", "worker"),
}


def test_no_process_begins_without_the_keys_that_were_used(deployment, section):
    made = {"name": "c", "kind": "bearer", "values": {"token": "some-secret-token"}}
    assert deployment.client.post("/credentials/", json=made).status_code == 201
    lines = ["| process | no keys | other keys | no key at all | both |", "| --- " * 5 + "|"]
    for name, command in PROCESSES.items():
        told = [
            refusal(deployment, *command, **{VARIABLE: keys}) for keys in ("", TWO, "not a key")
        ]
        assert f"set {VARIABLE}" in told[0]
        assert "were sealed under other keys" in told[1]
        assert f"key 1 of {VARIABLE} is none" in told[2]
        assert not any(key in text for key in (ONE, TWO, "some-secret-token") for text in told)
        lines.append(f"| {name} | refused | refused | refused | starts |")
    deployment.environment[VARIABLE] = f"{TWO},{ONE}"
    deployment.start_runner()
    deployment.start_worker()
    eventually(deployment.workers)
    eventually(lambda: "runner " in deployment.log())
    section("S12: processes and keys", "\n".join(lines))


def test_a_file_has_the_keys_as_well(deployment):
    file = deployment.folder / "keys"
    file.write_text(f"{ONE}\n")
    deployment.environment |= {VARIABLE: "", f"{VARIABLE}_FILE": str(file)}
    assert "0 credentials" in deployment.manage("rotate_credentials")
    gone = {f"{VARIABLE}_FILE": str(file) + "x"}
    assert "cannot be read" in refusal(deployment, "manage.py", "rotate_credentials", **gone)


def test_a_rotation_disturbs_nothing_that_runs(deployment, section):
    deployment.manage("shell", "-c", MAKE)
    runner = deployment.start_runner()
    steady = deployment.create(WORKFLOW)
    deployment.post("/prod/start", steady)
    deployment.wait_for(steady, "running")
    before, tokens = stored(deployment), deployment.tokens(steady)
    done = eventually(lambda: deployment.loop(steady, "in")["iterations"])

    deployment.environment[VARIABLE] = f"{TWO} {ONE}"
    begun = time.monotonic()
    told = deployment.manage("rotate_credentials")
    seconds = time.monotonic() - begun
    assert int(re.match(r"\d+", told)[0]) == CREDENTIALS
    after = stored(deployment)
    assert before.keys() == after.keys()
    assert not set(before.values()) & set(after.values())
    eventually(lambda: deployment.loop(steady, "in")["iterations"] > done + 50)
    assert deployment.tokens(steady) == tokens  # nobody has started it again
    assert deployment.loop(steady, "in")["failures"] == 0

    # The old key has served: what begins now has the new one alone.
    deployment.environment[VARIABLE] = TWO
    assert runner.drain() == 0
    deployment.start_runner()
    eventually(lambda: deployment.tokens(steady) != tokens)
    deployment.wait_for(steady, "running")
    assert eventually(lambda: deployment.loop(steady, "in")["iterations"] > 10)
    assert deployment.loop(steady, "in")["failures"] == 0
    section(
        "S12: rotation",
        f"{CREDENTIALS} credentials in {seconds:.1f} s, the start of the command included; "
        "0 loops started again, 0 items failed",
    )


def test_another_value_starts_its_loops_again_and_no_others(deployment):
    body = {"kind": "bearer", "values": {"token": "the-first-secret"}}
    for name in ("c7", "other"):
        assert deployment.client.post("/credentials/", json={**body, "name": name}).is_success
    deployment.start_runner()
    nodes = [{**node, "data": {"form": {**node["data"]["form"]}}} for node in WORKFLOW["nodes"]]
    nodes[1]["data"]["form"]["login"] = "other"
    ids = [deployment.create(w) for w in (WORKFLOW, {**WORKFLOW, "name": "Rest", "nodes": nodes})]
    for workflow_id in ids:
        deployment.post("/prod/start", workflow_id)
    for workflow_id in ids:
        deployment.wait_for(workflow_id, "running")
    before = [deployment.tokens(workflow_id) for workflow_id in ids]
    assert deployment.client.put(
        "/credentials/c7/", json={"values": {"token": "the-second-secret"}}
    ).is_success
    eventually(lambda: deployment.tokens(ids[0]) != before[0])
    deployment.wait_for(ids[0], "running")
    assert deployment.tokens(ids[1]) == before[1]
    # It is refused to whoever may not use it any more, and says so.
    assert deployment.client.put("/credentials/c7/", json={"users": []}).is_success
    deployment.database.rows("UPDATE orchestrator_workflowversion SET created_by_id = NULL")
    assert deployment.client.put("/credentials/c7/", json={"users": []}).is_success
    status = deployment.wait_for(ids[0], "failed")
    assert "may not use the credential c7" in status["reason"] or any(
        "may not use the credential c7" in loop["reason"] for loop in status["loops"]
    )
