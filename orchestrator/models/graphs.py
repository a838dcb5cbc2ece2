"""Graphs, their runs, and the workers that execute them."""

from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.models.json_field import JSONField
from orchestrator.models.labels import labels_field


class Graph(models.Model):
    """A graph that is run once from start to end. What it is does not change."""

    id = models.CharField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200)
    definition = JSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-created_at", "-id")

    def __str__(self) -> str:
        return self.name


class Run(models.Model):
    """One pass through a graph; its fields are those of `storage.runs.RunRecord`.

    logged, checkpointed: how many steps and checkpoints it has.
    """

    class Status(models.TextChoices):
        PENDING = "pending"
        RUNNING = "running"
        COMPLETED = "completed"
        TERMINATED = "terminated"
        FAILED = "failed"
        CANCELLED = "cancelled"

    id = models.CharField(primary_key=True, max_length=64)
    graph = models.ForeignKey(Graph, on_delete=models.CASCADE, related_name="runs")
    digest = models.CharField(max_length=64)
    status = models.CharField(max_length=16, choices=Status, default=Status.PENDING)
    entry = models.CharField(max_length=200)
    initial_state = JSONField()
    state = JSONField(default=dict)
    error = JSONField(null=True, blank=True)
    message = models.TextField(blank=True)
    max_steps = models.PositiveIntegerField()
    timeout = models.FloatField(null=True, blank=True)
    checkpoint_every = models.PositiveIntegerField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)
    parent = JSONField(null=True, blank=True)
    steps = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    resume_from = models.PositiveIntegerField(null=True, blank=True)
    token = models.PositiveBigIntegerField(default=0)
    owner = models.CharField(max_length=200, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    crashes = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
    runs_on = labels_field()
    logged = models.PositiveIntegerField(default=0)
    checkpointed = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("idempotency_key",),
                condition=~models.Q(idempotency_key=""),
                name="one_run_per_idempotency_key",
            ),
        )
        indexes = (
            models.Index(fields=("graph", "-created_at"), name="runs_by_graph"),
            models.Index(fields=("status", "-created_at"), name="runs_by_status"),
            models.Index(fields=("-created_at", "-id"), name="runs_newest_first"),
        )

    def __str__(self) -> str:
        return self.id


class RunStep(models.Model):
    """One node's turn in a run, see `storage.runs.StepRecord`."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log")
    position = models.PositiveIntegerField()
    number = models.PositiveIntegerField()
    node = models.CharField(max_length=200)
    started_at = models.DateTimeField()
    seconds = models.FloatField()
    port = models.CharField(max_length=200, blank=True)
    changes = JSONField(default=list)
    error = models.TextField(blank=True)
    round = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("run_id", "position")
        constraints = (
            models.UniqueConstraint(fields=("run", "position"), name="one_step_per_position"),
        )

    def __str__(self) -> str:
        return f"{self.run_id} {self.position}: {self.node}"


class RunCheckpoint(models.Model):
    """A snapshot of a run, see `storage.runs.CheckpointRecord`. Rows are only ever inserted."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="checkpoints")
    number = models.PositiveIntegerField()
    steps = models.PositiveIntegerField()
    attempt = models.PositiveIntegerField()
    body = models.BinaryField()
    checksum = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("run_id", "number")
        constraints = (
            models.UniqueConstraint(fields=("run", "number"), name="one_checkpoint_per_number"),
        )

    def __str__(self) -> str:
        return f"{self.run_id} at {self.steps}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("a checkpoint is immutable")
        super().save(*args, **kwargs)


class WorkerSlot(models.Model):
    """The right to take tasks from the queue; `manage.py worker` leases one. `token` only rises.

    worker: who has it; empty when nobody has anything in hand in it. It is lost at `expires_at`.
    labels: what it is good for; it takes tasks that ask for no others.
    active: tasks in hand. seconds: what `processed` and `failed` executions took together.
    """

    slot = models.PositiveIntegerField(primary_key=True)
    token = models.PositiveBigIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    host = models.CharField(max_length=100, blank=True)
    pid = models.PositiveIntegerField(default=0)
    labels = labels_field()
    concurrency = models.PositiveIntegerField(default=1)
    started_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    active = models.PositiveIntegerField(default=0)
    processed = models.PositiveBigIntegerField(default=0)
    failed = models.PositiveBigIntegerField(default=0)
    retried = models.PositiveBigIntegerField(default=0)
    seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ("slot",)
        constraints = (
            models.UniqueConstraint(
                fields=("worker",), condition=~models.Q(worker=""), name="one_slot_per_worker"
            ),
        )

    def __str__(self) -> str:
        return f"{self.slot} ({self.worker or 'free'})"
