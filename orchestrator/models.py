"""What the database owns: definitions, desired state, leases and dead letters.

Rows are written by `services` (definitions and desires) and by `runtime` (leases, observed state).
"""

from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.events import LoopState


class Workflow(models.Model):
    """A workflow, and what an operator wants of it. Its id is a slug of its first name."""

    class Desired(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        STOPPED = "stopped"

    id = models.SlugField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    desired = models.CharField(max_length=16, choices=Desired, default=Desired.STOPPED)
    activation = models.PositiveBigIntegerField(default=0)
    active_version = models.ForeignKey(
        "WorkflowVersion", null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name


class WorkflowVersion(models.Model):
    """An immutable, numbered definition. `digest` covers what runs, not where nodes are drawn."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    digest = models.CharField(max_length=64)
    definition = models.JSONField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("workflow", "-number")
        constraints = (
            models.UniqueConstraint(fields=("workflow", "number"), name="one_version_per_number"),
        )

    def __str__(self) -> str:
        return f"{self.workflow_id} v{self.number}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("a workflow version is immutable")
        super().save(*args, **kwargs)


class Runner(models.Model):
    """A supervisor process. It is alive while `expires_at` is in the database's future."""

    id = models.CharField(primary_key=True, max_length=200)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    class Meta:
        ordering = ("started_at",)

    def __str__(self) -> str:
        return self.id


class LoopSlot(models.Model):
    """The right to run one copy of a loop. `token` only ever rises."""

    State = LoopState

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="slots")
    loop = models.CharField(max_length=200)
    slot = models.PositiveIntegerField(default=0)
    activation = models.PositiveBigIntegerField(default=0)
    owner = models.ForeignKey(
        Runner, null=True, blank=True, on_delete=models.SET_NULL, related_name="slots"
    )
    token = models.PositiveBigIntegerField(default=0)
    state = models.CharField(
        max_length=16,
        choices=[(state.value, state.name.title()) for state in LoopState],
        default=LoopState.PENDING,
    )
    reason = models.CharField(max_length=500, blank=True)
    isolated = models.BooleanField(default=False)
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("workflow", "loop", "slot")
        constraints = (
            models.UniqueConstraint(fields=("workflow", "loop", "slot"), name="one_slot_per_copy"),
        )

    def __str__(self) -> str:
        return f"{self.workflow_id}/{self.loop}/{self.slot}"


class DeadLetter(models.Model):
    """An item that failed for good. `entry_id` is its id in the outbox, so that draining the
    outbox twice keeps one row."""

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="dead_letters")
    entry_id = models.CharField(max_length=64)
    version = models.PositiveIntegerField()
    activation = models.PositiveBigIntegerField()
    loop = models.CharField(max_length=200)
    node_id = models.CharField(max_length=200)
    node_type = models.CharField(max_length=100)
    item_id = models.CharField(max_length=500)
    reason = models.CharField(max_length=32)
    error_type = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    trace = models.TextField(blank=True)
    item = models.JSONField(null=True)
    node_input = models.JSONField(null=True)
    deliveries = models.PositiveIntegerField(default=1)
    dead_at = models.DateTimeField()

    class Meta:
        ordering = ("-dead_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("workflow", "entry_id"), name="one_row_per_dead_letter"
            ),
        )

    def __str__(self) -> str:
        return self.item_id


class ApiToken(models.Model):
    """A program's credential. Only its SHA-256 is kept; `prefix` lets a person recognise it."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
