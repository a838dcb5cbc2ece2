"""`/metrics` of a whole system: what runners count arrives, and what is away is said."""

from contextlib import closing

import pytest

from tests.deployment import Deployment
from tests.faults.workflows import counter, faulty, hand_over, linked, sink
from tests.scrape import scrape
from tests.waiting import eventually

ITEMS = 40


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, redis_server):
    with closing(Deployment(tmp_path_factory.mktemp("metrics"))) as deployed:
        yield deployed


@pytest.fixture(scope="module")
def finished(deployment):
    """A workflow of two loops that has run; one of its items failed twice."""
    fault = faulty("raise", 7)
    fault["data"]["config"] = {"retry": {"max_attempts": 2, "delay": 0.01}}
    delay = {"id": "pause", "type": "static-delay", "data": {"form": {"seconds": 0.02}}}
    workflow = linked("Counted", counter(ITEMS), fault, *hand_over(), delay, sink("counted.jsonl"))
    deployment.start_runner()
    name = deployment.create(workflow)
    assert deployment.post("/prod/start", name).status_code == 202
    deployment.wait_for(name, "completed")

    def told():
        seen = scrape(deployment.client)
        done = seen.value("workflow_loop_iterations_total", workflow=name, loop="reader-1")
        letters = seen.value("workflow_dead_letters", workflow=name, status="dead")
        return seen if done == ITEMS - 1 and letters else None

    return name, eventually(told)


def test_loops_count_iterations_failures_and_retries(finished):
    name, seen = finished
    source = {"workflow": name, "loop": "source", "slot": 0}
    assert seen.value("workflow_loop_iterations_total", **source) == ITEMS + 1  # once more
    assert seen.value("workflow_loop_retries_total", **source) == 1
    assert seen.value("workflow_loop_failures_total", **source) == 1
    assert seen.value("workflow_loop_in_flight", **source) == 0
    assert seen.value("workflow_dead_letters", workflow=name, status="dead") == 1


def test_nodes_count_answers_and_failed_calls(finished):
    name, seen = finished
    items, failures = "workflow_node_items_total", "workflow_node_failures_total"
    assert seen.value(items, workflow=name, node="fault") == ITEMS - 1
    assert seen.value(failures, workflow=name, node="fault") == 2
    assert seen.value(items, workflow=name, node="pause") == ITEMS - 1
    assert seen.value(failures, workflow=name, node="pause") == 0


def test_every_call_of_a_slow_node_is_in_its_histogram(finished):
    name, seen = finished
    node = {"workflow": name, "node": "pause"}
    assert seen.value("workflow_node_duration_seconds_count", **node) == ITEMS - 1
    assert seen.value("workflow_node_duration_seconds_sum", **node) >= 0.02 * (ITEMS - 1)
    buckets = {
        s.labels["le"]: s.value for s in seen.all("workflow_node_duration_seconds_bucket", **node)
    }
    assert buckets["0.01"] == 0
    assert buckets["+Inf"] == ITEMS - 1
    assert list(buckets.values()) == sorted(buckets.values())


def test_commits_and_hops_are_measured(finished):
    name, seen = finished
    for loop in ("source", "reader-1"):
        count = seen.value("workflow_loop_commit_duration_seconds_count", workflow=name, loop=loop)
        assert 0 < count <= ITEMS + 2
    hops = "workflow_loop_hop_duration_seconds_count"
    assert 0 < seen.value(hops, workflow=name, loop="reader-1") <= ITEMS
    assert seen.value(hops, workflow=name, loop="source") is None


def test_queues_tell_what_is_and_what_was_in_them(finished):
    name, seen = finished
    [queue] = {
        s.labels["queue"]
        for s in seen.all("workflow_queue_items", workflow=name)
        if not s.labels["queue"].startswith("!inbox:")
    }
    where = {"workflow": name, "queue": queue}
    assert seen.value("workflow_queue_added_total", **where) == ITEMS - 1
    for metric in ("items", "lag_items", "bytes", "oldest_age_seconds", "fill_ratio"):
        assert seen.value(f"workflow_queue_{metric}", **where) == 0


def test_the_state_of_each_slot_is_one_sample(finished, deployment):
    name, _ = finished

    def completed():
        seen = scrape(deployment.client)
        states = {
            (s.labels["loop"], s.labels["state"])
            for s in seen.all("workflow_loop_state", workflow=name)
        }
        return states == {("source", "completed"), ("reader-1", "completed")}

    eventually(completed)


def test_a_backlog_and_a_runner_that_is_gone(deployment, finished):
    """What alerts look at: a queue that nobody reads, slots that nobody holds, a lease that ages.

    Runs last: it kills the runner.
    """
    delay = {"id": "pause", "type": "static-delay", "data": {"form": {"seconds": 3600}}}
    flow = linked("Waiting", counter(500), *hand_over(), delay, sink("waiting.jsonl"))
    name = deployment.create(flow)
    deployment.post("/prod/start", name)

    def held():
        seen = scrape(deployment.client)
        slots = seen.all("workflow_loop_slots_held", workflow=name, loop="reader-1")
        lag = seen.all("workflow_queue_lag_items", workflow=name)
        return seen if slots and slots[0].value and any(s.value for s in lag) else None

    seen = eventually(held)
    assert seen.value("workflow_runners_alive") == 1
    [(runner, age)] = [
        (s.labels["runner"], s.value) for s in seen.all("workflow_runner_lease_age_seconds")
    ]
    assert age < 3
    assert seen.value("workflow_runner_slots", runner=runner) >= 1
    deployment.runners[0].kill_all()

    def gone():
        seen = scrape(deployment.client)
        return seen if seen.value("workflow_runners_alive") == 0 else None

    seen = eventually(gone)
    assert seen.value("workflow_runner_lease_age_seconds", runner=runner) >= 3
    assert seen.value("workflow_loop_slots", workflow=name, loop="reader-1") == 1
    assert seen.value("workflow_loop_slots_held", workflow=name, loop="reader-1") == 0
    waits = {"workflow": name, "loop": "reader-1", "slot": 0, "state": "pending"}
    assert seen.value("workflow_loop_state", **waits) == 1
    items = [s.value for s in seen.all("workflow_queue_items", workflow=name)]
    ages = [s.value for s in seen.all("workflow_queue_oldest_age_seconds", workflow=name)]
    assert sum(items) == 500
    assert max(ages) > 0


def test_requests_of_this_process_are_counted(deployment):
    def count(code):
        seen = scrape(deployment.client)
        return seen.value("workflow_http_requests_total", method="GET", code=code) or 0

    before = count("4xx")
    assert deployment.client.get("/nothing-here").status_code == 404
    assert count("4xx") == before + 1
    seen = scrape(deployment.client)
    assert seen.value("workflow_http_request_duration_seconds_count", method="GET") > 2


def test_without_redis_it_answers_with_what_the_database_knows(deployment, finished):
    deployment.redis.kill()
    try:
        seen = scrape(deployment.client)
        assert seen.value("workflow_redis_up") == 0
        assert seen.all("workflow_queue_items") == []
        assert seen.all("workflow_loop_state")
        assert seen.value("workflow_dead_letters", status="dead") == 1
    finally:
        deployment.redis.start()
