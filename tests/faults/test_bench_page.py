"""The worked example of `docs/bench.md`, run as it stands there."""

import shutil

import pytest

from tests.deployment import ROOT
from tests.faults.pages import run_page

pytestmark = pytest.mark.fault


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_page_does_what_it_says(deployment):
    deployment.start_runner()
    run_page(ROOT / "docs" / "bench.md", deployment)
    assert deployment.status("shares")["desired"] == "stopped"
