"""docs/forms.md, run: its code is that of the example, and its answers are what comes back."""

import itertools
import json
import re

import pytest

from examples.places.place_forms import PlaceForm
from tests.local_runs import ROOT

PAGE = (ROOT / "docs/forms.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"\Aapi (\S+)(?: -d '(.*)')?\n\Z")
REQUESTS = [
    (COMMAND.match(text), json.loads(answer))
    for (kind, text), (_, answer) in itertools.pairwise(BLOCKS)
    if kind == "sh" and COMMAND.match(text)
]


def differences(shown, real, place=""):
    """Yield where what is shown is not what is real; what is left out may be anything."""
    if isinstance(shown, dict) and isinstance(real, dict):
        for key, value in shown.items():
            yield from differences(value, real.get(key, "absent"), f"{place}.{key}")
    elif place == ".fields":
        by_name = {field["name"]: field for field in real}
        for field in shown:
            yield from differences(field, by_name[field["name"]], field["name"])
    elif shown != real:
        yield place, shown, real


def test_the_class_is_that_of_the_example():
    python = [text for kind, text in BLOCKS if kind == "python"]
    assert python[0] in (ROOT / "examples/places/place_forms.py").read_text()
    exec(python[1], {"PlaceForm": PlaceForm})


@pytest.mark.django_db
def test_the_answers_are_what_the_api_gives(api):
    client = api("viewer")
    assert len(REQUESTS) == 7
    for command, shown in REQUESTS:
        path, body = command.groups()
        answer = client.post(path, json.loads(body)) if body else client.get(path)
        assert answer.status_code == 200
        assert list(differences(shown, answer.json())) == [], command[0]
