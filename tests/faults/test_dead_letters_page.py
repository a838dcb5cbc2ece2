"""The worked example of `docs/dead-letters.md`, run as it stands there."""

import shutil

import pytest

from tests.deployment import ROOT
from tests.faults.pages import run_page

pytestmark = pytest.mark.fault


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_page_does_what_it_says(deployment):
    deployment.start_runner()
    run_page(ROOT / "docs" / "dead-letters.md", deployment)
    rows = {row["order"]: row["total"] for row in deployment.rows("totals.jsonl")}
    assert rows == {1: 60, 2: 20, 3: 7}
    assert len(deployment.rows("totals.jsonl")) == 3
