"""What the database owns: definitions, desired state, leases, checkpoints, dead letters, runs.

Rows are written by `services` (definitions and desires) and by `runtime` (leases, observed state).
"""

from orchestrator.models.access import Action, ApiToken, AuditEntry, LoginCount, SocketTicket
from orchestrator.models.credentials import Credential, KeyCanary
from orchestrator.models.graphs import Graph, Run, RunCheckpoint, RunStep, WorkerSlot
from orchestrator.models.production import Checkpoint, DeadLetter, LoopSlot, Runner
from orchestrator.models.webhooks import Webhook
from orchestrator.models.workflows import Workflow, WorkflowVersion

__all__ = [
    "Action",
    "ApiToken",
    "AuditEntry",
    "Checkpoint",
    "Credential",
    "DeadLetter",
    "Graph",
    "KeyCanary",
    "LoginCount",
    "LoopSlot",
    "Run",
    "RunCheckpoint",
    "RunStep",
    "Runner",
    "SocketTicket",
    "Webhook",
    "WorkerSlot",
    "Workflow",
    "WorkflowVersion",
]
