"""The admin: read-only where services or the engine own the rows; actions call services."""

from orchestrator.admin import (
    audit,
    credentials,
    dead_letters,
    runners,
    runs,
    tokens,
    users,
    workflows,
)

__all__ = [
    "audit",
    "credentials",
    "dead_letters",
    "runners",
    "runs",
    "tokens",
    "users",
    "workflows",
]
