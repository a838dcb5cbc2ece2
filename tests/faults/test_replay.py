"""What failed for good is replayed once, whatever is killed meanwhile."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.recorder import Recorder
from tests.faults.workflows import counter, faulty, hand_over, linked, recording, sink
from tests.waiting import eventually

pytestmark = pytest.mark.fault
ORDERS = 200


@pytest.fixture
def orders(deployment):
    """A workflow that fails for every order but each tenth, until it is mended."""
    return deployment.create(workflow(deployment, ORDERS))


def workflow(deployment, count):
    files = deployment.folder / "files"
    files.mkdir(exist_ok=True)
    lines = [json.dumps({"order": n, "value": bool(n % 10)}) for n in range(count)]
    (files / "orders.jsonl").write_text("\n".join(lines) + "\n")
    form = {"path": "orders.jsonl", "format": "jsonl"}
    return linked(
        "Orders",
        {"id": "source", "type": "file-reader", "data": {"form": form}},
        *hand_over(),
        recording("before"),
        faulty("raise", 1),
        recording("behind"),
        sink("out.jsonl"),
    )


def mend(deployment):
    (deployment.folder / "mended").touch()


def written(deployment):
    return Counter(row["order"] for row in deployment.rows("out.jsonl"))


def statuses(deployment):
    """Return how many dead letters are in which status."""
    counts = Counter()
    for status in ("dead", "replaying", "replayed", "discarded"):
        answer = deployment.client.get("/dead-letters/", params={"status": status, "limit": 1})
        counts[status] = answer.json()["count"]
    return +counts


def wait_until_written(deployment, order):
    eventually(lambda: written(deployment)[order] == 1)


def wait_for_outputs(deployment, count):
    eventually(lambda: written(deployment).total() >= count)


def clicks(deployment, letter, origin, count=8):
    """Ask for a replay many times at once, and count the answers by their status code."""
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(replay, deployment, letter, origin) for _ in range(count)]
        return Counter(answer.result().status_code for answer in asked)


def failed(deployment, orders):
    """Let everything fail, and return the dead letters by their order."""
    deployment.post("/prod/start", orders)
    deployment.wait_for(orders, "completed")
    expected = ORDERS - ORDERS // 10
    eventually(lambda: statuses(deployment)["dead"] == expected)
    return {row["item"]["order"]: row for row in deployment.dead_letters(orders)}


def replay(deployment, letter, origin):
    return deployment.client.post(f"/dead-letters/{letter['id']}/replay", json={"from": origin})


def test_from_the_start_and_at_the_node_each_gives_one_output(deployment, orders):
    deployment.start_runner()
    letters = failed(deployment, orders)
    mend(deployment)
    recorder = Recorder(deployment.folder)
    for order, origin in ((1, "start"), (2, "node")):
        assert clicks(deployment, letters[order], origin) == {202: 1, 409: 7}
        wait_until_written(deployment, order)
    assert deployment.wait_for(orders, "completed")["activation"] == 1
    assert set(written(deployment).values()) == {1}
    assert {n for n in written(deployment) if n % 10} == {1, 2}
    times = recorder.times("before")
    assert times[letters[1]["item_id"]] == 2  # it began again
    assert times[letters[2]["item_id"]] == 1  # only what is behind the node ran
    assert recorder.times("behind")[letters[2]["item_id"]] == 1


def test_what_fails_again_is_a_new_letter_of_the_same_item(deployment, orders):
    deployment.start_runner()
    letters = failed(deployment, orders)
    first = letters[1]
    for origin in ("start", "node"):
        assert replay(deployment, first, origin).status_code == 202
        second = successor(deployment, first)
        assert second["status"] == "dead"
        for name in ("item_id", "idempotency_key", "item", "node_id", "node_input", "born_at"):
            assert second[name] == first[name], name
        assert len(second["attempts"]) == 1
        first = second
    assert first["entry_node"] == "fault"
    mend(deployment)
    assert replay(deployment, first, "start").status_code == 202
    wait_until_written(deployment, 1)
    assert Recorder(deployment.folder).times("before")[first["item_id"]] == 3
    deployment.wait_for(orders, "completed")


def successor(deployment, letter):
    """Wait for the letter whose origin is another one, and return it."""
    params = {"search": letter["item_id"], "limit": 200}

    def found():
        rows = deployment.client.get("/dead-letters/", params=params).json()["results"]
        return [row["id"] for row in rows if row["origin"] == letter["id"]]

    [number] = eventually(found)
    return deployment.client.get(f"/dead-letters/{number}/").json()


def test_of_a_stopped_workflow_it_waits_until_the_start(deployment, orders):
    deployment.start_runner()
    letters = failed(deployment, orders)
    mend(deployment)
    deployment.post("/prod/stop", orders)
    replay(deployment, letters[3], "node")
    deployment.post("/prod/start", orders, **{"from": "resume"})
    wait_until_written(deployment, 3)
    deployment.wait_for(orders, "completed")
    assert set(written(deployment).values()) == {1}


def test_runners_are_killed_while_many_are_replayed(deployment, orders):
    for _ in range(2):
        deployment.start_runner()
    failed(deployment, orders)
    mend(deployment)
    wanted = {"filter": {"workflow_id": orders}, "from": "node", "per_second": 50}
    answer = deployment.client.post("/dead-letters/replay", json=wanted)
    assert answer.json()["count"] == ORDERS - ORDERS // 10
    for share in (0.3, 0.5, 0.7):
        wait_for_outputs(deployment, ORDERS * share)
        deployment.runners.pop(0).kill_all()
        deployment.start_runner()
    eventually(lambda: statuses(deployment)["replayed"] == ORDERS - ORDERS // 10)
    wait_for_outputs(deployment, ORDERS)
    deployment.wait_for(orders, "completed")
    assert written(deployment) == Counter(range(ORDERS))
    assert statuses(deployment) == {"replayed": ORDERS - ORDERS // 10}


def test_what_found_its_queue_full_goes_in_when_there_is_room(deployment):
    deployment.start_runner()
    door = {"id": "door", "type": "door", "data": {}}
    queue = hand_over(options={"max_length": 5, "overflow": "dead_letter"})
    nodes = counter(20), recording("before"), *queue, door, sink("out.jsonl")
    flow = deployment.create(linked("Full", *nodes))
    deployment.post("/prod/start", flow)
    eventually(lambda: deployment.loop(flow, "source")["state"] == "completed")
    eventually(lambda: statuses(deployment)["dead"] > 0)
    (deployment.folder / "open").touch()
    deployment.wait_for(flow, "completed")
    refused = eventually(lambda: 20 - len(deployment.rows("out.jsonl")))
    eventually(lambda: statuses(deployment)["dead"] == refused)
    wanted = {"filter": {"reason": "queue_full"}, "from": "node", "per_second": 5}
    assert deployment.client.post("/dead-letters/replay", json=wanted).json()["count"] == refused
    eventually(lambda: len(deployment.rows("out.jsonl")) >= 20)
    deployment.wait_for(flow, "completed")
    assert Counter(row["value"] for row in deployment.rows("out.jsonl")) == Counter(range(20))
    assert set(Recorder(deployment.folder).times("before").values()) == {1}
