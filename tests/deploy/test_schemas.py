"""The compose file, the manifests and the units are what their published schemas say."""

import copy
import json
import os
import shutil
import subprocess
from pathlib import Path

import check_jsonschema
import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.deploy.described import COMPOSE, UNITS, documents

KUBERNETES = "1.37.0"
VENDORED = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor"
OBJECTS = [(f"{found['kind']} {found['metadata']['name']}", found) for _, found in documents()]


def compose_problems(document):
    schema = json.loads((VENDORED / "compose-spec.json").read_text())
    return [
        error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)
    ]


def test_the_compose_file_fits_its_schema():
    assert compose_problems(yaml.safe_load(COMPOSE.read_text())) == []


@pytest.mark.parametrize(
    "path",
    ["web/no_such", "web/healthcheck/no_such", "redis/no_such", "runner/depends_on/redis/no_such"],
)
def test_a_word_that_compose_does_not_know_is_found(path):
    document = json.loads(json.dumps(yaml.safe_load(COMPOSE.read_text())))  # nothing is shared
    *above, last = path.split("/")
    place = document["services"]
    for name in above:
        place = place[name]
    place[last] = "x"
    assert compose_problems(document)


@pytest.mark.parametrize(("name", "document"), OBJECTS, ids=[name for name, _ in OBJECTS])
def test_an_object_fits_the_schema_of_kubernetes(name, document):
    kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_a_word_that_kubernetes_does_not_know_is_found():
    found = dict(OBJECTS)
    unknown = copy.deepcopy(found["Deployment orchestrator-runner"])
    unknown["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessProb"):
        kubernetes_validate.validate(unknown, KUBERNETES, strict=True)


@pytest.fixture
def verify(tmp_path):
    """Let systemd judge units whose program is one that this machine has."""
    program = shutil.which("systemd-analyze")
    if program is None:
        reason = "systemd-analyze is not on this machine"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL") else pytest.skip(reason)

    def run(change=lambda text: text):
        for path in UNITS:
            text = path.read_text().replace("/opt/orchestrator/.venv/bin/python", "/bin/true")
            (tmp_path / path.name).write_text(change(text))
        done = subprocess.run(
            [program, "verify", "--man=no", *(tmp_path / path.name for path in UNITS)],
            env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        told = done.stderr.splitlines()
        return done.returncode, [line for line in told if "orchestrator-" in line]

    return run


def test_systemd_takes_the_units_without_a_word(verify):
    assert len(UNITS) == 4
    assert verify() == (0, [])


def test_a_word_that_systemd_does_not_know_is_found(verify):
    _, told = verify(lambda text: text.replace("KillMode=", "KilMode="))
    assert len(told) == 3 and all("Unknown key" in line for line in told), told
