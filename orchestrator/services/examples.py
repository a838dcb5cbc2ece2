"""The workflows and graphs that come with the project."""

import shutil
from pathlib import Path

from orchestrator.conf import orchestrator_settings
from orchestrator.models import Graph, Workflow
from orchestrator.security.actors import Actor, authorize
from orchestrator.services import graphs, workflows
from storage.codec import decode


def load(actor: Actor, folder: Path) -> list[str]:
    """Store each `*.json` of the folder as a workflow, and each below `graphs/` as a graph, under
    the name of its file, unless it is there already, and copy what is in `data/` to where file
    nodes find it. Returns what was stored.

    Raises:
        InvalidPayload: a file is not JSON.
        WorkflowInvalid: a file is no valid workflow or graph.
    """
    authorize(actor, "workflow.create")
    copy_data(folder / "data", "examples")
    wanted = _missing(folder, Workflow)
    for path in wanted:
        workflows.create(actor, decode(path.read_bytes()), workflow_id=path.stem)
    wanted_graphs = _missing(folder / "graphs", Graph)
    for path in wanted_graphs:
        graphs.create(actor, decode(path.read_bytes()), graph_id=path.stem)
    return [path.stem for path in [*wanted, *wanted_graphs]]


def _missing(folder: Path, model: type[Workflow] | type[Graph]) -> list[Path]:
    present = set(model.objects.values_list("pk", flat=True))
    return [path for path in sorted(folder.glob("*.json")) if path.stem not in present]


def copy_data(source: Path, name: str) -> None:
    """Copy the data of a folder to the folder `name` of the files folder, but for what is there
    already, and for the scripts that made it."""
    target = orchestrator_settings().files_dir / name
    for path in sorted(p for p in source.rglob("*") if p.is_file() and p.suffix != ".py"):
        copy = target / path.relative_to(source)
        if not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
