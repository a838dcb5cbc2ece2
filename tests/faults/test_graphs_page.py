"""The worked example of `docs/graphs.md`, run as it stands there."""

import shutil

import pytest

from tests.deployment import ROOT
from tests.faults.pages import run_page
from tests.waiting import eventually

pytestmark = pytest.mark.fault


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_page_does_what_it_says(deployment):
    deployment.manage("load_examples")
    assert "data-quality" in [
        row["graph_id"] for row in deployment.client.get("/graph/").json()["results"]
    ]
    deployment.start_worker()
    eventually(lambda: deployment.workers())
    run_page(ROOT / "docs" / "graphs.md", deployment)
    rows = deployment.client.get("/graph/runs").json()["results"]
    assert sorted(row["status"] for row in rows) == ["completed"] * 3 + ["failed"]
