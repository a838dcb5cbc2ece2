"""S10: names of types and tools are looked up, never imported."""

import sys
import time
from urllib.parse import quote

import pytest

from tests.security.bodies import CLASS_PATHS

NAMES = [
    *(name for name in CLASS_PATHS if name), "os", "sys.exit", "eval", "exec", "open",
    "__builtins__.eval", "posix.system", "nodes.base", "nodes.builtin.debug.Debug",
    "tests.nodes.misbehaving", "code.interact", "webbrowser.open", "pdb.set_trace",
    "xmlrpc.server", "idlelib.run", "turtledemo", "COUNTER", "\u0441\u043eunter", "counter ",
    "\u200bcounter", "counter\u0000", "coun\u00adter", "\U0001d4b8ounter", "counter;import os",
    "file:counter",
]  # fmt: skip
UNLOADED = {"antigravity", "this", "turtledemo", "idlelib.run", "xmlrpc.server", "webbrowser"}
"""Modules that nothing of ours imports."""


@pytest.fixture
def unchanged():
    """Nothing may be imported while hostile names are looked up."""
    before = set(sys.modules)
    yield lambda: sorted(set(sys.modules) - before)
    assert not (set(sys.modules) - before) & UNLOADED


def workflow(node_type):
    nodes = [
        {"id": "1", "type": "counter", "data": {"form": {"stop": 1}}},
        {"id": "2", "type": node_type, "data": {"form": {}}},
    ]
    return {"name": "Import", "nodes": nodes, "edges": [{"source": "1", "target": "2"}]}


@pytest.mark.django_db
def test_no_type_is_imported(api, tally, unchanged):
    client = api("editor")
    client.post("/workflows/", workflow("debug"))  # whatever a request imports is there by now
    client.post("/workflows/", workflow("nothing"))
    loaded = unchanged()
    seen = tally("S10", "node types", time.thread_time)
    for name in NAMES:
        with seen.attempt():
            answer = client.post("/workflows/", workflow(name))
        error = answer.json()["error"]
        places = {problem["path"] for problem in error.get("details", [])}
        if answer.status_code != 400 or "nodes[1].type" not in places:
            seen.escaped.append((name, answer.status_code, places))
    assert unchanged() == loaded
    assert client.get("/workflows/").json()["count"] == 1


@pytest.mark.django_db
def test_no_form_is_imported(api, tally, unchanged):
    client = api("editor")
    client.get("/nodes/nothing/form")
    loaded = unchanged()
    seen = tally("S10", "forms", time.thread_time)
    for name in NAMES:
        with seen.attempt():
            answer = client.get(f"/nodes/{quote(name)}/form")
        if answer.status_code != 404:
            seen.escaped.append((name, answer.status_code))
    assert unchanged() == loaded


@pytest.mark.django_db(transaction=True)
def test_no_tool_is_imported(api, tally, unchanged):
    client = api("editor")
    client.post("/tools/nothing/call", {"arguments": {}})
    loaded = unchanged()
    seen = tally("S10", "tools", time.thread_time)
    for name in NAMES:
        with seen.attempt():
            answer = client.post(f"/tools/{quote(name, safe='')}/call", {"arguments": {}})
        if answer.status_code != 404:
            seen.escaped.append((name, answer.status_code))
    assert unchanged() == loaded
