"""What runs loops, and what became of them."""

from django.conf import settings
from django.db import models

from orchestrator.events import LoopState
from orchestrator.models.json_field import JSONField
from orchestrator.models.labels import labels_field
from orchestrator.models.workflows import Workflow


class Runner(models.Model):
    """A supervisor process. It is alive while `expires_at` is in the database's future.

    `load` is that of its machine: processes that want a processor, for each that there is. One that
    is `draining` takes no slots, gives back those it has, and ends.
    """

    id = models.CharField(primary_key=True, max_length=200)
    host = models.CharField(max_length=100)
    pid = models.PositiveIntegerField()
    labels = labels_field()
    load = models.FloatField(default=0.0, db_default=0.0)
    draining = models.BooleanField(default=False, db_default=False)
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
    runs_on = labels_field()
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
    fingerprint: the same for letters of the same error, see `orchestrator.runtime.dead_groups`.
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
    item = JSONField(null=True)
    headers = JSONField(default=dict)
    node_input = JSONField(null=True)
    node_headers = JSONField(default=dict)
    entry_node = models.CharField(max_length=200, blank=True)
    attempts = JSONField(default=list)
    deliveries = models.PositiveIntegerField(default=1)
    born_at = models.DateTimeField(null=True, blank=True)
    dead_at = models.DateTimeField()
    status = models.CharField(max_length=16, choices=Status, default=Status.DEAD)
    edited = JSONField(null=True, blank=True)
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
    fingerprint = models.CharField(max_length=32, blank=True)

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
            models.Index(
                fields=("status", "fingerprint", "workflow", "dead_at"),
                name="dead_letters_by_error",
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
    states = JSONField()
    checksum = models.CharField(max_length=64)
    oldest_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=("workflow", "loop", "slot"), name="checkpoints_by_slot"),)

    def __str__(self) -> str:
        return f"{self.workflow_id}/{self.loop}/{self.slot} at {self.sequence}"
