"""docs/credentials.md, run: its requests, its node, its key."""

import json
import re
import subprocess
import sys
from itertools import pairwise

import pytest

from nodes.testing import driven
from orchestrator.api.credentials import CredentialUse
from orchestrator.security.credentials import KINDS, Credential
from orchestrator.security.keyring import Keyring
from orchestrator.services.credential_uses import Use
from tests.integration.test_forms_document import differences
from tests.local_runs import ROOT

PAGE = (ROOT / "docs" / "credentials.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^api (\S+)(?: -X (\w+))? -d '(.*)'$", re.MULTILINE)


@pytest.mark.django_db
def test_the_answers_are_what_the_api_gives(api):
    client = api("editor")
    requests = [
        (COMMAND.search(text), json.loads(answer))
        for (kind, text), (_, answer) in pairwise(BLOCKS)
        if kind == "sh" and COMMAND.search(text)
    ]
    assert len(requests) == 2
    for command, shown in requests:
        path, method, body = command.groups()
        answer = getattr(client, (method or "POST").lower())(path, json.loads(body))
        assert answer.status_code in (200, 201)
        assert list(differences(shown, answer.json())) == []


def test_a_use_has_what_is_shown():
    answers = [json.loads(text) for kind, text in BLOCKS if kind == "json"]
    [shown] = [answer for answer in answers if "nodes" in answer]
    use = Use(**{**shown, "nodes": tuple(shown["nodes"])})
    assert CredentialUse(use).data == shown


def test_the_table_has_every_kind_and_value():
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", PAGE, re.MULTILINE))
    assert rows.keys() == KINDS.keys()
    for kind, values in KINDS.items():
        assert all(f"`{name}`" in rows[kind] for name in values), kind


async def test_the_node_works(monkeypatch):
    [source] = [text for kind, text in BLOCKS if kind == "python"]
    module = type(sys)("greet_of_the_document")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(source, module.__dict__)
    there = {"shop": Credential("bearer", {"token": "a-token-of-the-shop"})}
    async with driven(module.Greet, {"login": "shop"}, credentials=there) as run:
        assert await run.data({}) == {"sent": 19}


def test_the_command_makes_a_key():
    [command] = re.findall(r'^python -c "(.+)"$', PAGE, re.MULTILINE)
    made = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )
    Keyring([made.stdout.strip()])
