"""What production has just seen is loaded into the bench from a tap."""

import pytest

from tests.waiting import eventually

pytestmark = pytest.mark.fault
WORKFLOW = {
    "name": "Tapped",
    "nodes": [
        {"id": "1", "type": "counter", "data": {"form": {"start": 7, "interval": 1}}},
        {
            "id": "2",
            "type": "data-transformer",
            "data": {"form": {"fields": {"double": "{{ data.value * 2 }}"}}},
        },
        {
            "id": "3",
            "type": "data-transformer",
            "data": {"form": {"fields": {"more": "{{ data.double + 1 }}"}}},
        },
    ],
    "edges": [
        {"id": "a", "source": "1", "target": "2"},
        {"id": "b", "source": "2", "target": "3"},
    ],
}


def test_a_sample_becomes_an_input_or_an_output(deployment):
    workflow_id = deployment.create(WORKFLOW)
    deployment.start_runner()
    deployment.post("/prod/start", workflow_id)
    path = f"/dev/taps/{workflow_id}/2"
    sample = eventually(lambda: deployment.client.get(path).json()["samples"])[0]

    def load(**more):
        answer = deployment.post(
            "/dev/load", workflow_id, **{"from": {"tap": sample["id"]}}, **more
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def run(node_id):
        answer = deployment.post("/dev/execute", workflow_id, node_id=node_id)
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = load()
    assert (found["node_id"], found["given"]["origin"]) == ("2", "tap")
    assert found["given"]["input"] == sample["input"]
    ran = run("2")
    assert ran["output"] == sample["output"]
    assert ran["used"][0]["origin"] == "tap"

    found = load(**{"as": "output"})
    assert (found["freshness"], found["origin"]) == ("pinned", "tap")
    assert found["output"] == sample["output"]
    assert run("3")["output"]["more"] == sample["output"]["double"] + 1
