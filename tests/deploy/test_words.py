"""Each command, variable and probe that a deployment names is one that there is."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from django.core.management import load_command_class
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from orchestrator.runtime import healthy
from orchestrator.runtime.held import GRACE as RUNNER_GRACE
from orchestrator.runtime.web import DRAIN_SECONDS
from orchestrator.runtime.worker import GRACE as WORKER_GRACE
from tests.deploy.described import (
    COMPOSE,
    EXAMPLE,
    MANIFESTS,
    ROOT,
    UNITS,
    Image,
    compose,
    containers,
    documents,
    env_file,
    interpolated,
    unit,
    variables_in,
)

DJANGO = ("migrate",)
OF_PYTHON = {"PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
OF_IMAGES = {"POSTGRES_USER", "POSTGRES_DB", "POSTGRES_PASSWORD", "REDISCLI_AUTH"}
OF_COMPOSE = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "REDIS_MAXMEMORY"}
"""What only the compose file itself reads, from .env."""
GRACES = {"web": DRAIN_SECONDS, "runner": RUNNER_GRACE, "worker": WORKER_GRACE}
FILLED = {name: f"a-{name}" for name in variables_in(COMPOSE.read_text())}
SERVICES = compose(FILLED)["services"]
APPS = {name: service for name, service in SERVICES.items() if "build" in service}
CONTAINERS = dict(containers())
READY = "Deployment orchestrator-web readinessProbe"
"""Who sends requests; all others restart."""


def documented():
    """Return the variables that docs/configuration.md describes."""
    page = (ROOT / "docs/configuration.md").read_text()
    cells = re.findall(r"^\| (`[A-Z_`, or]+) \|", page, re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([A-Z][A-Z_]+)`", cell)}


def commands():
    """Return each place that names a command of ours, with the command."""
    found = {f"compose {name}": service["command"] for name, service in APPS.items()}
    found |= {name: container["command"] for name, container in CONTAINERS.items()}
    found |= {path.name: shlex.split(unit(path)["ExecStart"][0]) for path in UNITS}
    return found | {"Dockerfile": yaml.safe_load(Image().values("CMD")[-1])}


COMMANDS = commands()


@pytest.mark.parametrize("place", COMMANDS)
def test_a_command_is_there_and_takes_its_arguments(place):
    program, script, name, *arguments = COMMANDS[place]
    assert Path(program).name == "python" and script == "manage.py"
    app = "django.core" if name in DJANGO else "orchestrator"
    parser = load_command_class(app, name).create_parser("manage.py", name)
    parser.parse_args(arguments)


def probes():
    found = {
        f"compose {name}": (name, service["healthcheck"]["test"][1:])
        for name, service in APPS.items()
        if "healthcheck" in service
    }
    for name, container in CONTAINERS.items():
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            if kind in container:
                found[f"{name} {kind}"] = (container["name"], container[kind]["exec"]["command"])
    return found


PROBES = probes()


@pytest.mark.parametrize("place", PROBES)
def test_a_probe_asks_for_its_own_role(place):
    role, command = PROBES[place]
    assert command == ["python", "-m", healthy.__name__, "ready" if place == READY else role]
    assert command[-1] in healthy.CHECKS


def test_every_role_that_stays_is_probed_everywhere():
    assert {place.split()[-1] for place in PROBES if "compose" in place} == set(GRACES)
    assert len(PROBES) == len(GRACES) * (1 + 3)


def test_the_image_says_where_signs_of_life_are_given():
    assert Image().environment[healthy.VARIABLE].startswith("/tmp/")


def test_every_variable_is_described():
    known = documented() | OF_PYTHON
    assert len(known) > 20
    assert Image().environment.keys() <= known
    assert env_file(EXAMPLE.read_text()).keys() <= known | OF_COMPOSE
    for service in SERVICES.values():
        of_image = set() if "build" in service else OF_IMAGES
        assert service.get("environment", {}).keys() <= known | of_image
    for _, document in documents():
        for part in ("data", "stringData"):
            assert document.get(part, {}).keys() <= known
    for path in UNITS:
        words = [word for line in unit(path)["Environment"] for word in line.split()]
        assert {word.split("=")[0] for word in words} <= known


def test_the_example_has_all_that_compose_asks_for():
    asked = variables_in(COMPOSE.read_text())
    assert asked == asked & env_file(EXAMPLE.read_text()).keys()
    assert set(re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)) >= asked


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\{(\w+):\?", COMPOSE.read_text()))))
def test_what_has_no_default_is_asked_for(name):
    with pytest.raises(KeyError, match=name):
        compose({**FILLED, name: ""})


def test_interpolation_is_that_of_compose():
    text = "$${A} ${A} ${B:-b} ${B} ${A:-b}"
    assert interpolated([{"x": text}], {"A": "a"}) == [{"x": "${A} a b  a"}]


@pytest.mark.parametrize("role", GRACES)
def test_everybody_gets_the_time_that_a_drain_takes(role):
    """With some seconds to spare: an engine that runs out of patience kills."""
    least = GRACES[role] + 8
    assert float(SERVICES[role]["stop_grace_period"].removesuffix("s")) >= least
    (path,) = (path for path in UNITS if f"-{role}" in path.name)
    assert float(unit(path)["TimeoutStopSec"][0]) >= least
    (pod,) = (
        document["spec"]["template"]["spec"]
        for _, document in documents()
        if document["kind"] == "Deployment" and document["metadata"]["name"].endswith(role)
    )
    assert pod["terminationGracePeriodSeconds"] >= least


def test_no_process_has_more_rights_than_it_needs():
    for service in APPS.values():
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for container in CONTAINERS.values():
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert Image().values("USER") == ["10001:10001"]
    for path in UNITS:
        assert unit(path)["User"] == ["orchestrator"] and unit(path)["NoNewPrivileges"] == ["yes"]


def test_manifests_name_each_other():
    named = {(found["kind"], found["metadata"]["name"]) for _, found in documents()}
    text = "".join(path.read_text() for path in MANIFESTS)
    for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
        assert {(kind, name) for name in re.findall(rf"{key}: {{name: (\S+)}}", text)} <= named
    for kind in ("HorizontalPodAutoscaler", "PodDisruptionBudget"):
        assert {name for k, name in named if k == kind} <= {
            n for k, n in named if k == "Deployment"
        }


def test_the_lock_has_every_pinned_package_and_its_hash():
    """`make lock` writes it; the image has what it says and nothing else."""
    lock = (ROOT / "requirements.lock").read_text()
    locked = dict(re.findall(r"^([\w.\[\]-]+)==([^\s;]+)", lock, re.MULTILINE))
    pinned = [
        Requirement(line)
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    for requirement in pinned:
        version = locked[canonicalize_name(requirement.name)]
        assert str(requirement.specifier) == f"=={version}", requirement
    entries = re.split(r"^(?=\w)", re.sub(r"^#.*\n", "", lock, flags=re.MULTILINE), flags=re.M)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())


def test_the_document_shows_the_account_that_compose_makes():
    (line,) = re.findall(
        r"^user orchestrator on .*$", (ROOT / "docs/configuration.md").read_text(), re.M
    )
    made = compose({**FILLED, "REDIS_PASSWORD": "PASSWORD"})["configs"]["redis_users"]["content"]
    assert line in made.splitlines()


def test_the_numbers_for_scaling_are_those_that_the_document_adapts():
    text = (ROOT / "docs/deploy.md").read_text()
    (rules,) = (yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.S))
    adapted = {rule["name"]["as"] for rule in rules["rules"]["external"]}
    asked = {
        metric["external"]["metric"]["name"]
        for _, document in documents()
        if document["kind"] == "HorizontalPodAutoscaler"
        for metric in document["spec"]["metrics"]
    }
    assert adapted == asked
    assert all(
        f"{rule['name']['as']}" in rule["metricsQuery"] for rule in rules["rules"]["external"]
    )


def test_what_the_document_tells_to_do_names_what_is_there():
    text = (ROOT / "docs/deploy.md").read_text()
    for line in re.findall(r"docker compose (?:stop|start|exec -T) ([a-z ]+)", text):
        assert set(line.split()) & SERVICES.keys(), line
    for name in re.findall(r"orchestrator-(\w+)@?\d? ", text):
        units = {path.stem.removeprefix("orchestrator-").rstrip("@") for path in UNITS}
        assert name in units, name
    assert set(re.findall(r"-v orchestrator_(\w+):", text)) <= compose(FILLED)["volumes"].keys()
    for command in re.findall(r"`manage\.py (\w+)[^`]*` \|", text):
        assert command in {words[2] for words in COMMANDS.values()}
