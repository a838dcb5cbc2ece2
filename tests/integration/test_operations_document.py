"""docs/operations.md names every check of the doctor and every name in a line of the log."""

import json
import re
from pathlib import Path

from orchestrator import logs
from orchestrator.services.doctor import examine
from tests.local_runs import ROOT

PAGE = (ROOT / "docs/operations.md").read_text()


def section(title):
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_every_check_of_the_doctor_is_described():
    table = "\n".join(x for x in section("The doctor").splitlines() if x.startswith("|"))
    for name in (*examine._ALWAYS, *examine._WITH_DATABASE):
        assert f"`{name}`" in table, name
    sources = (ROOT / "orchestrator/services/doctor").glob("*.py")
    for name in re.findall(r'(?:ok|warn|fail|apart)\(\s*"([a-z ]+)"', read(*sources)):
        assert f"`{name}`" in table or name in section("The doctor"), name


def read(*paths: Path) -> str:
    return "\n".join(path.read_text() for path in paths)


def test_every_name_in_a_line_is_described():
    for name in logs._SHOWN_NEXT:
        assert f"`{name}`" in section("The log"), name
    (line,) = re.findall(r"```json\n(.*?)\n```", section("The log"), re.DOTALL)
    assert set(json.loads(line)) <= {*logs._SHOWN_FIRST, *logs._SHOWN_NEXT}
