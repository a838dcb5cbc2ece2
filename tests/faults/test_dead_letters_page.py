"""The worked example of `docs/dead-letters.md`, run as it stands there."""

import json
import re
import shutil
import subprocess

import pytest

from tests.deployment import ROOT

pytestmark = pytest.mark.fault
PAGE = ROOT / "docs" / "dead-letters.md"
NEXT = "-- next --"


def shown_in(expected, found):
    """Tell whether an answer has all that the page shows of it."""
    if isinstance(expected, dict):
        same = isinstance(found, dict) and expected.keys() <= found.keys()
        return same and all(shown_in(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(shown_in, expected, found))
    return expected == found


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_page_does_what_it_says(deployment):
    deployment.start_runner()
    blocks = re.findall(r"^```(sh|json)\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    script = f"\necho; echo '{NEXT}'\n".join(text for kind, text in blocks if kind == "sh")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**deployment.environment, "URL": deployment.url, "TOKEN": deployment.token},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + deployment.log("web")
    answers = iter(done.stdout.split(NEXT))
    answer = ""
    for kind, text in blocks:
        if kind == "sh":
            answer = next(answers)
        else:
            assert shown_in(json.loads(text), json.loads(answer)), (text, answer)
    rows = {row["order"]: row["total"] for row in deployment.rows("totals.jsonl")}
    assert rows == {1: 60, 2: 20, 3: 7}
    assert len(deployment.rows("totals.jsonl")) == 3
