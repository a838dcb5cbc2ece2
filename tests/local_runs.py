"""`manage.py` as a process in a data folder of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodes.registry import ENTRY_POINT_GROUP

ROOT = Path(__file__).parents[1]


class LocalRuns:
    """Runs commands; `environment` may be added to before the first one."""

    def __init__(self, data_dir: Path, redis_url: str) -> None:
        self.data_dir = data_dir
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATA_DIR": str(data_dir),
            "REDIS_URL": redis_url,
        }

    def install(self, name: str, version: str, entry_points: Mapping[str, str]) -> Path:
        """Enter a package of nodes as pip would, and return the folder for its modules."""
        site = self.data_dir / "site"
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(head)
        named = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
        (info / "entry_points.txt").write_text(f"[{ENTRY_POINT_GROUP}]\n{named}")
        self.environment["PYTHONPATH"] = str(site)
        return site

    def start(self, *arguments: object) -> "subprocess.Popen[bytes]":
        """Start a command; what it prints is `told`."""
        told = self.data_dir / "log"
        told.write_text("")
        with told.open("a") as log:  # what still runs must not write over it
            return subprocess.Popen(
                [sys.executable, "manage.py", *map(str, arguments)],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def run(self, *arguments: object) -> int:
        """Run a command to its end and return the exit code."""
        return self.start(*arguments).wait(120)

    @property
    def told(self) -> str:
        return (self.data_dir / "log").read_text()

    def workflow(self, name: str, nodes: list[Any], edges: list[tuple[str, str]]) -> Path:
        """Write a workflow file and return its path."""
        path = self.data_dir / f"{name}.json"
        pairs = [{"source": source, "target": target} for source, target in edges]
        path.write_text(json.dumps({"nodes": nodes, "edges": pairs}))
        return path

    def file(self, name: str) -> Path:
        """Return the path of a file in the files folder."""
        return self.data_dir / "files" / name

    def lines(self, name: str) -> list[Any]:
        """Return the values of a file of JSON lines; none while it is not there."""
        return json_lines(self.file(name))

    def dead(self, workflow: str) -> list[Any]:
        """Return the dead letters of a run."""
        return json_lines(self.data_dir / "runs" / workflow / "dead-letters.jsonl")


def json_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
