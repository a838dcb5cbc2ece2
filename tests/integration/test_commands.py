"""`manage.py nodes | check_workflow | create_token | load_examples`."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from orchestrator.models import Workflow, WorkflowVersion
from orchestrator.services import access

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).parents[2]
EXAMPLE = "examples/hello-loops.json"


def run(*arguments, **options):
    """Return what a command prints on stdout and stderr."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err, no_color=True, **options)
    return out.getvalue(), err.getvalue()


def test_nodes_lists_every_type():
    out, err = run("nodes")
    assert not err
    assert any(line.startswith("counter ") and "producer" in line for line in out.splitlines())
    found = json.loads(run("nodes", "--json")[0])
    assert len(found["results"]) == len(out.splitlines())


@pytest.mark.parametrize(
    "arguments",
    [["nodes"], ["check_workflow", EXAMPLE], ["parity", EXAMPLE, "--items", "2"]],
    ids=lambda arguments: arguments[0],
)
def test_a_newcomer_needs_to_set_nothing(arguments, tmp_path):
    environment = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    command = [sys.executable, "manage.py", *arguments]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.fixture
def folder(tmp_path, hello_loops):
    (tmp_path / "hello-loops.json").write_text(json.dumps(hello_loops))
    (tmp_path / "data" / "more").mkdir(parents=True)
    (tmp_path / "data" / "more" / "rows.csv").write_text("a,b\n1,2\n")
    return tmp_path


def test_a_valid_workflow_is_ok(folder):
    path = str(folder / "hello-loops.json")
    assert run("check_workflow", path) == (f"{path}: ok\n", "")


def test_every_problem_is_printed(folder, hello_loops, capsys):
    hello_loops["nodes"][0]["type"] = "conter"
    hello_loops["edges"][0]["target"] = "nowhere"
    good, bad = folder / "hello-loops.json", folder / "bad.json"
    bad.write_text(json.dumps(hello_loops))
    out, err = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("check_workflow", str(bad), str(good), stdout=out, stderr=err)
    assert ended.value.code == 1
    assert "nodes[0].type: " in err.getvalue() and "edges[0].target: " in err.getvalue()
    assert "hello-loops.json: ok" in out.getvalue()


def test_a_file_that_is_no_json(folder):
    (folder / "bad.json").write_text("{")
    with pytest.raises(SystemExit):
        run("check_workflow", str(folder / "bad.json"))


def test_a_file_that_is_not_there(folder):
    with pytest.raises(CommandError, match="No such file"):
        run("check_workflow", str(folder / "nothing.json"))


def test_the_schema_is_json():
    assert json.loads(run("check_workflow", "--schema")[0])["$schema"]


def test_create_token(make_user):
    user = make_user("viewer")
    raw = run("create_token", "viewer", "--name", "ci", "--days", "5")[0].strip()
    assert access.user_of_token(raw) == user
    with pytest.raises(CommandError):
        run("create_token", "nobody")
    with pytest.raises(CommandError):
        run("create_token", "viewer", "--days", "0")


def test_examples_are_loaded_once(folder, settings, tmp_path):
    settings.ORCHESTRATOR = {**settings.ORCHESTRATOR, "DATA_DIR": tmp_path / "own"}
    assert run("load_examples", str(folder))[0] == "loaded hello-loops\n"
    copied = tmp_path / "own" / "files" / "examples" / "more" / "rows.csv"
    assert copied.read_text() == "a,b\n1,2\n"
    assert Workflow.objects.get().pk == "hello-loops"
    copied.write_text("mine")
    assert run("load_examples", str(folder))[0] == ""
    assert copied.read_text() == "mine"
    assert WorkflowVersion.objects.count() == 1


def test_an_invalid_example_is_told(folder):
    (folder / "bad.json").write_text('{"nodes": []}')
    with pytest.raises(CommandError):
        run("load_examples", str(folder))
