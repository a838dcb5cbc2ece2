"""What docs/workers.md shows works as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deployment import ROOT, Deployment

pytestmark = pytest.mark.fault
PAGE = (ROOT / "docs/workers.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
PRINTED = next(text for language, text in BLOCKS if language == "text")


@pytest.fixture
def deployment(tmp_path, redis_server):
    deployed = Deployment(tmp_path, web=False)
    yield deployed
    deployed.close()


def test_the_example_prints_what_the_page_says(deployment, tmp_path):
    module, script, in_process = PYTHON[:3]
    (tmp_path / "word_tasks.py").write_text(module)
    (tmp_path / "in_process.py").write_text(in_process)
    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    for imported in ("word_tasks", "in_process"):
        deployment.start_worker("--import=word_tasks", f"--import={imported}", PYTHONPATH=path)
    done = _run(script, path, deployment.redis.url)
    assert done.stdout == PRINTED, done.stderr


def _run(script: str, path: str, url: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(path.split(os.pathsep)[0]),
        env={**os.environ, "PYTHONPATH": path, "REDIS_URL": url},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_handler_of_ones_own_is_one():
    """What it starts is not here; that it can be registered is."""
    program = f"{PYTHON[3]}\nprint(type(handlers.get('container')).__name__)\n"
    done = _run(program, str(ROOT), "")
    assert done.stdout == "InContainer\n", done.stderr


def test_no_framework_is_loaded_by_who_puts_tasks():
    imports = "\n".join(line for line in PYTHON[1].splitlines() if line.startswith("from "))
    program = f"import sys\n{imports}\nprint([m for m in ('django', 'redis') if m in sys.modules])"
    assert _run(program, str(ROOT), "").stdout == "[]\n"
