"""Running the worked example of a page of the documents."""

import json
import re
import subprocess

NEXT = "-- next --"


def run_page(page, deployment):
    """Run the page's scripts as one, and compare what each prints with the JSON behind it."""
    blocks = re.findall(r"^```(sh|json)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    script = f"\necho; echo '{NEXT}'\n".join(text for kind, text in blocks if kind == "sh")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        env={**deployment.environment, "URL": deployment.url, "TOKEN": deployment.token},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr + deployment.log("web")
    answers = iter(done.stdout.split(NEXT))
    answer = ""
    for kind, text in blocks:
        if kind == "sh":
            answer = next(answers)
        else:
            assert shown_in(json.loads(text), json.loads(answer)), (text, answer)


def shown_in(expected, found):
    """Tell whether an answer has all that the page shows of it."""
    if isinstance(expected, dict):
        same = isinstance(found, dict) and expected.keys() <= found.keys()
        return same and all(shown_in(value, found[key]) for key, value in expected.items())
    if isinstance(expected, list):
        return len(expected) == len(found) and all(map(shown_in, expected, found))
    return expected == found
