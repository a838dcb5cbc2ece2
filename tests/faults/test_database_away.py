"""R17, of the database: nobody can write it, so that no lease is renewed."""

import pytest

from tests.faults.checker import Checker
from tests.faults.workflows import ITEMS, PATIENCE, pipeline
from tests.waiting import eventually

pytestmark = pytest.mark.fault
LEASE_TTL = 3


def test_r17_the_database_takes_no_writes(deployment, nemesis, row):
    deployment.start_runner()
    workflow = deployment.create(pipeline(name="Unrenewed"))
    checker = Checker(deployment, workflow, items=ITEMS, nodes=("record-0", "record-1"))
    deployment.post("/prod/start", workflow)
    eventually(lambda: checker.executed() > ITEMS / 10)
    with nemesis.database_held():
        answer = deployment.post("/prod/stop", workflow)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "database_unavailable")
        nemesis.wait(2 * LEASE_TTL, 2 * LEASE_TTL)
        held_up = checker.executed()
        nemesis.wait(LEASE_TTL, LEASE_TTL)
        assert checker.executed() == held_up, "no lease is acted on that could not be renewed"
    deployment.wait_for(workflow, "completed", PATIENCE)
    row.add("R17 database takes no writes", checker.verdict(nemesis))
