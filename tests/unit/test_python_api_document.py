"""The document about graphs in Python: every block runs."""

import re

import pytest

from tests.local_runs import ROOT

PAGE = (ROOT / "docs/python-api.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_every_block_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"block {number}", "exec"), {"__name__": f"block_{number}"})


def test_there_are_blocks():
    assert len(BLOCKS) >= 6
