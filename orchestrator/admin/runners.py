"""Runners and workers, the slots they hold, and the checkpoints they write."""

from django.contrib import admin

from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import Checkpoint, LoopSlot, Runner, WorkerSlot


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    list_display = ("id", "host", "pid", "started_at", "expires_at")


@admin.register(LoopSlot)
class LoopSlotAdmin(ReadOnlyAdmin):
    list_display = (
        "workflow",
        "loop",
        "slot",
        "desired",
        "state",
        "reason",
        "owner",
        "activation",
        "version",
        "token",
    )
    list_filter = ("state", "desired", "workflow")
    list_select_related = ("workflow", "owner")


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("workflow", "loop", "slot", "activation", "sequence", "oldest_at", "created_at")
    list_filter = ("workflow",)


@admin.register(WorkerSlot)
class WorkerSlotAdmin(ReadOnlyAdmin):
    list_display = (
        "slot",
        "worker",
        "host",
        "pid",
        "concurrency",
        "active",
        "processed",
        "failed",
        "retried",
        "seconds",
        "expires_at",
        "token",
    )
