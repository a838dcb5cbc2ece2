"""What the database owns: definitions, desired state, leases, checkpoints, dead letters, runs.

Rows are written by `services` (definitions and desires) and by `runtime` (leases, observed state).
"""

from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.events import LoopState


class Workflow(models.Model):
    """A workflow, and what an operator wants of it. Its id is a slug of its first name."""

    class Desired(models.TextChoices):
        """Each is more of an end than the one before. DRAINING: producers stop, and loops that a
        queue feeds go on until it is empty. KILLED: stopped without finishing the item in hand."""

        RUNNING = "running"
        PAUSED = "paused"
        DRAINING = "draining"
        STOPPED = "stopped"
        KILLED = "killed"

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
    """The right to run one copy of a loop. `token` only ever rises.

    `version` is the one in which the loop changed last: a newer version of the workflow that leaves
    it as it is does not restart it. `desired` holds for this loop beside what is desired of the
    workflow; the greater end of the two counts.
    """

    State = LoopState

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="slots")
    loop = models.CharField(max_length=200)
    slot = models.PositiveIntegerField(default=0)
    activation = models.PositiveBigIntegerField(default=0)
    version = models.PositiveIntegerField(default=0)
    desired = models.CharField(
        max_length=16, choices=Workflow.Desired, default=Workflow.Desired.RUNNING
    )
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
        # Not by the workflow's own order: a lock on slots would lock the workflow that is joined
        # for it, and whoever changes what is desired locks the workflow first.
        ordering = ("workflow_id", "loop", "slot")
        constraints = (
            models.UniqueConstraint(fields=("workflow", "loop", "slot"), name="one_slot_per_copy"),
        )

    def __str__(self) -> str:
        return f"{self.workflow_id}/{self.loop}/{self.slot}"


class DeadLetter(models.Model):
    """An item that failed for good, with what is needed to debug and replay it.

    entry_id: its id in the outbox, so that draining the outbox twice keeps one row.
    item, headers: data and metadata with which the iteration began.
    node_input, node_headers: what the failed node got.
    entry_node: the node at which the iteration was entered, if not at the loop's start.
    queue: the queue that its loop reads, or that had no room for it.
    attempts: one record for each time a node raised, see `orchestrator.execution.retry`.
    deliveries: how often the item was handed out to a worker.
    born_at: when its producer gave it.
    edited: `item` or `node_input` as changed by a person; replays use it instead.
    replay_at: a letter that is REPLAYING goes to its inbox then.
    origin: the letter of whose replay this one came.
    """

    class Status(models.TextChoices):
        DEAD = "dead"
        REPLAYING = "replaying"
        REPLAYED = "replayed"
        DISCARDED = "discarded"

    class ReplayFrom(models.TextChoices):
        START = "start"
        NODE = "node"

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="dead_letters")
    entry_id = models.CharField(max_length=64)
    version = models.PositiveIntegerField()
    activation = models.PositiveBigIntegerField()
    loop = models.CharField(max_length=200)
    slot = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    queue = models.CharField(max_length=200, blank=True)
    node_id = models.CharField(max_length=200)
    node_type = models.CharField(max_length=100)
    item_id = models.CharField(max_length=500)
    idempotency_key = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=32)
    error_type = models.CharField(max_length=200, blank=True)
    message = models.TextField(blank=True)
    trace = models.TextField(blank=True)
    item = models.JSONField(null=True)
    headers = models.JSONField(default=dict)
    node_input = models.JSONField(null=True)
    node_headers = models.JSONField(default=dict)
    entry_node = models.CharField(max_length=200, blank=True)
    attempts = models.JSONField(default=list)
    deliveries = models.PositiveIntegerField(default=1)
    born_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=Status, default=Status.DEAD)
    edited = models.JSONField(null=True, blank=True)
    note = models.TextField(blank=True)
    replay_count = models.PositiveIntegerField(default=0)
    replay_from = models.CharField(max_length=8, choices=ReplayFrom, blank=True)
    replay_at = models.DateTimeField(null=True, blank=True)
    replayed_at = models.DateTimeField(null=True, blank=True)
    replayed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    discarded_at = models.DateTimeField(null=True, blank=True)
    discarded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    origin = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL)

    class Meta:
        ordering = ("-dead_at", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("workflow", "entry_id"), name="one_row_per_dead_letter"
            ),
        )
        indexes = (
            models.Index(fields=("workflow", "status"), name="dead_letters_by_status"),
            models.Index(
                fields=("status", "workflow", "loop", "replay_at"), name="dead_letters_to_replay"
            ),
        )

    def __str__(self) -> str:
        return self.item_id


class Checkpoint(models.Model):
    """What a slot had committed at some moment, for the day on which Redis loses everything.

    Rows are only ever inserted; `checksum` covers all that is restored. `oldest_at` is when the
    oldest item was born that was still on its way through the workflow.
    """

    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="checkpoints")
    loop = models.CharField(max_length=200)
    slot = models.PositiveIntegerField()
    activation = models.PositiveBigIntegerField()
    version = models.PositiveIntegerField()
    token = models.PositiveBigIntegerField()
    sequence = models.PositiveBigIntegerField()
    states = models.JSONField()
    checksum = models.CharField(max_length=64)
    oldest_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("workflow", "loop", "slot"), name="checkpoints_by_slot"),)

    def __str__(self) -> str:
        return f"{self.workflow_id}/{self.loop}/{self.slot} at {self.sequence}"


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


class Graph(models.Model):
    """A graph that is run once from start to end. What it is does not change."""

    id = models.CharField(primary_key=True, max_length=64)
    name = models.CharField(max_length=200)
    definition = models.JSONField()
    digest = models.CharField(max_length=64)
    created_at = models.DateTimeField(auto_now_add=True)

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
    initial_state = models.JSONField()
    state = models.JSONField(default=dict)
    error = models.JSONField(null=True, blank=True)
    message = models.TextField(blank=True)
    max_steps = models.PositiveIntegerField()
    timeout = models.FloatField(null=True, blank=True)
    checkpoint_every = models.PositiveIntegerField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=200, blank=True)
    request_digest = models.CharField(max_length=64, blank=True)
    parent = models.JSONField(null=True, blank=True)
    steps = models.PositiveIntegerField(default=0)
    attempt = models.PositiveIntegerField(default=1)
    resume_from = models.PositiveIntegerField(null=True, blank=True)
    token = models.PositiveBigIntegerField(default=0)
    owner = models.CharField(max_length=200, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    crashes = models.PositiveIntegerField(default=0)
    cancel_requested = models.BooleanField(default=False)
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
    changes = models.JSONField(default=list)
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
    active: tasks in hand. seconds: what `processed` and `failed` executions took together.
    """

    slot = models.PositiveIntegerField(primary_key=True)
    token = models.PositiveBigIntegerField(default=0)
    worker = models.CharField(max_length=200, blank=True)
    host = models.CharField(max_length=100, blank=True)
    pid = models.PositiveIntegerField(default=0)
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
