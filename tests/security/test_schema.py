"""What `/schema/` says holds, whatever a client sends.

Requests are made from the schema, right ones and wrong ones, for a real deployment that has
something to show; half of them are about what is really there.
"""

from collections import Counter

import hypothesis
import pytest
import schemathesis
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, strategies
from schemathesis.specs.openapi import checks

from tests.browser.a_site import GRAPH, busy_site, fallible

SEED = 20_260
EXAMPLES, WITHOUT_INPUT, SLOW = 12, 2, {"/dev/cancel/": 4}
"""Requests for each operation; one that is slow waits for bench processes that never answer."""
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
WORKFLOW = fallible("Made from the schema", 3)
SECRET = {"token": "only-for-tests"}


def operations():
    """Return every operation: those of one thing, of many, and at last those that remove one."""
    paths = SchemaGenerator().get_schema(public=True)["paths"]
    found = [(path, method.upper()) for path, methods in paths.items() for method in methods]
    return sorted(found, key=lambda each: (each[1] == "DELETE", "{" not in each[0], each))


def known_parts(made):
    """Return values by the names that the schema has for them."""
    return {
        "workflow_id": [made["workflow"]],
        "node_id": ["share", "count", "take"],
        "queue": [made["queue"]],
        "dead_letter_id": [made["letter"]],
        "graph_id": [made["graph"]],
        "run_id": [made["run"]],
        "number": [1],
        "name": ["test.add", "test.fail", "gate"],
        "path": ["made/from/the/schema", "nobody"],
        "node_type": ["counter", "file-writer", "data-transformer"],
    }


def good_bodies(made):
    """Return bodies that can be used, by path."""
    of, node = {"workflow_id": made["workflow"]}, {"node_id": "share"}
    here = of | node | {"input": {"value": 1}}
    return {
        "/credentials/": {"name": "another", "kind": "bearer", "values": SECRET},
        "/credentials/{name}/": {"values": SECRET},
        "/dead-letters/discard/": {"filter": of},
        "/dead-letters/replay/": {"ids": [made["letter"]]},
        "/dead-letters/{dead_letter_id}/": {"item": {"value": 4}, "note": "mended"},
        "/dead-letters/{dead_letter_id}/discard/": {"note": "no use"},
        "/dead-letters/{dead_letter_id}/replay/": {},
        "/dev/cache/{workflow_id}/": {"workflow": WORKFLOW},
        "/dev/cache/{workflow_id}/{node_id}/": {"data": {"value": 1}},
        "/dev/execute/": here,
        "/dev/forget/": of | node,
        "/dev/input/{workflow_id}/{node_id}/": {},
        "/dev/load/": of | {"from": {"dead_letter": made["letter"]}},
        "/dev/render/": here | {"template": "{{ data.value }}"},
        "/dev/validate/": {"workflow": WORKFLOW},
        "/graph/create/": GRAPH,
        "/graph/run/": {"graph_id": made["graph"], "initial_state": {"add": 1, "goal": 4}},
        "/graph/runs/{run_id}/fork/": {"checkpoint": 1},
        "/graph/runs/{run_id}/retry/": {},
        "/nodes/{node_type}/form/": {"values": {"stop": 5}},
        "/nodes/{node_type}/validate/": {"values": {"stop": 5}},
        "/queues/{workflow_id}/{queue}/purge/": {"confirm": made["queue"]},
        "/webhooks/{path}/": {"value": 1},
        "/tools/{name}/call/": {"arguments": {"left": 1}},
        "/workflows/": WORKFLOW,
        "/workflows/{workflow_id}/": WORKFLOW,
        **{f"/prod/{verb}/": of for verb in ("start", "stop", "pause", "resume", "drain")},
    }


@pytest.fixture(scope="module")
def site(redis_server, tmp_path_factory):
    """A deployment, values by name, and bodies by path."""
    with busy_site(tmp_path_factory.mktemp("deployment")) as (deployed, made):
        gate = {"name": "gate", "kind": "bearer", "values": SECRET}
        deployed.client.post("/credentials/", json=gate).raise_for_status()
        yield deployed, known_parts(made), good_bodies(made)


@pytest.fixture(scope="module")
def described(site):
    deployed, *_ = site
    return schemathesis.openapi.from_url(
        f"{deployed.url}/schema/?format=json", headers=dict(deployed.client.headers)
    )


@pytest.fixture(scope="module")
def told():
    """Answers by operation and status."""
    return {}


@pytest.mark.parametrize(("path", "method"), operations())
def test_every_answer_is_one_of_the_schema(site, described, told, path, method):
    deployed, parts, bodies = site
    operation = described[path][method]
    answers = told[method, path] = Counter()

    def attempt(case, data):
        if data.draw(strategies.booleans(), label="about what is there"):
            for name in case.path_parameters:
                case.path_parameters[name] = data.draw(strategies.sampled_from(parts[name]))
            if operation.body:
                case.body = bodies.get(path, case.body)
        answer = case.call(base_url=deployed.url, headers=dict(deployed.client.headers))
        answers[answer.status_code] += 1
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)

    inputs = operation.body or operation.query or operation.path_parameters
    cases = strategies.one_of(operation.as_strategy(generation_mode=mode) for mode in MODES)
    run(attempt, cases, SLOW.get(path, EXAMPLES) if inputs else WITHOUT_INPUT)


def run(attempt, cases, examples):
    """Make the same requests each time."""
    chosen = hypothesis.settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    made = hypothesis.given(case=cases, data=strategies.data())(attempt)
    hypothesis.seed(SEED)(chosen(made))()


def test_every_operation_was_tried(told, section):
    lines = [f"{'operation':52} answers"]
    lines += [
        f"{method:6} {path:45} " + ", ".join(f"{n}x {code}" for code, n in sorted(counts.items()))
        for (method, path), counts in sorted(told.items(), key=lambda each: each[0][::-1])
    ]
    total = sum(told.values(), Counter())
    faults = sum(number for code, number in total.items() if code >= 500)
    lines.append(f"requests {total.total()}, answers of 5xx {faults}")
    section("requests made from the schema", "\n".join(lines))
    assert len(told) == len(operations())
