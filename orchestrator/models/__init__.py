"""What the database owns: definitions, desired state, leases, checkpoints, dead letters, runs.

Rows are written by `services` (definitions and desires) and by `runtime` (leases, observed state).
"""

from orchestrator.models.access import ApiToken
from orchestrator.models.graphs import Graph, Run, RunCheckpoint, RunStep, WorkerSlot
from orchestrator.models.production import Checkpoint, DeadLetter, LoopSlot, Runner
from orchestrator.models.workflows import Workflow, WorkflowVersion

__all__ = [
    "ApiToken",
    "Checkpoint",
    "DeadLetter",
    "Graph",
    "LoopSlot",
    "Run",
    "RunCheckpoint",
    "RunStep",
    "Runner",
    "WorkerSlot",
    "Workflow",
    "WorkflowVersion",
]
