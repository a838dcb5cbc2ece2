"""The document about capacity says what the model prints."""

import subprocess
import sys

from tests.local_runs import ROOT


def test_the_document_has_what_the_model_prints():
    program = [sys.executable, "bench/capacity_model.py"]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1,000" in done.stdout
    page = (ROOT / "docs/capacity.md").read_text()
    for table in done.stdout.strip().split("\n\n"):
        assert table in page
