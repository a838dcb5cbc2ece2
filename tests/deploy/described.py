"""What the files of a deployment say: the compose file, the manifests, the units, the image."""

import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / "deploy/env.example"
MANIFESTS = sorted([*ROOT.glob("deploy/k8s/*.yaml"), *ROOT.glob("deploy/k8s/*.yaml.example")])
UNITS = sorted(ROOT.glob("deploy/systemd/*.service"))
_NAMED = re.compile(r"\$(?:\$|\{(\w+)(?:(:[-?])([^}]*))?\})")


def interpolated(value: Any, environment: Mapping[str, str]) -> Any:
    """Put the environment into a part of the compose file, as compose does.

    Raises:
        KeyError: a variable that must be set is not.
    """
    if isinstance(value, dict):
        return {key: interpolated(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolated(inner, environment) for inner in value]
    return _NAMED.sub(lambda m: _put(m, environment), value) if isinstance(value, str) else value


def _put(match: re.Match[str], environment: Mapping[str, str]) -> str:
    name, operator, told = match.groups()
    if name is None:
        return "$"
    if found := environment.get(name):
        return found
    if operator == ":?":
        raise KeyError(told)
    return told or ""


def compose(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the compose file with an environment put in."""
    return interpolated(yaml.safe_load(COMPOSE.read_text()), environment)


def variables_in(text: str) -> set[str]:
    """Return the names that compose would look up for a text."""
    return {match[1] for match in _NAMED.finditer(text) if match[1]}


def env_file(text: str) -> dict[str, str]:
    """Return what an env file sets."""
    lines = (line.strip() for line in text.splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def documents() -> list[tuple[Path, dict[str, Any]]]:
    """Return each Kubernetes object with its file."""
    return [(path, found) for path in MANIFESTS for found in yaml.safe_load_all(path.read_text())]


def containers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the name of each workload with its container."""
    for _, document in documents():
        spec = document.get("spec", {}).get("template", {}).get("spec", {})
        for container in spec.get("containers", ()):
            yield f"{document['kind']} {document['metadata']['name']}", container


def unit(path: Path) -> dict[str, list[str]]:
    """Return the values of each key of a unit's sections."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


class Image:
    """What `docker build` would put into the image beside the base and the packages."""

    def __init__(self) -> None:
        parser = DockerfileParser(path=str(ROOT / "Dockerfile"), cache_content=True)
        self.steps = [(step["instruction"], step["value"]) for step in parser.structure]
        last = [i for i, (name, _) in enumerate(self.steps) if name == "FROM"][-1]
        self.steps = self.steps[last:]

    def values(self, instruction: str) -> list[str]:
        return [value for name, value in self.steps if name == instruction]

    @property
    def environment(self) -> dict[str, str]:
        words = [word for value in self.values("ENV") for word in shlex.split(value)]
        return dict(word.split("=", 1) for word in words)

    def unpack(self, folder: Path) -> None:
        """Lay out the files that are copied from the build context."""
        ignored = (ROOT / ".dockerignore").read_text().split()
        allowed = {line[1:] for line in ignored if line.startswith("!")}
        left_out = {line.rpartition("/")[2] for line in ignored if line[0] not in "!*"}
        left_out |= {line.rpartition("/")[2] for line in ignored if line.startswith("**/")}
        for value in self.values("COPY"):
            if value.startswith("--from="):
                continue
            source, target = value.split()
            assert source in allowed, f".dockerignore keeps {source} out"
            if (ROOT / source).is_dir():
                ignore = shutil.ignore_patterns(*left_out)
                shutil.copytree(ROOT / source, folder / target, ignore=ignore)
            else:
                shutil.copy(ROOT / source, folder / target)
