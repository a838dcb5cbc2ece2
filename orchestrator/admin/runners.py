"""Runners and workers, the slots they hold, and the checkpoints they write."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from orchestrator.admin.asking import ask_each
from orchestrator.admin.columns import alive, json_field
from orchestrator.admin.read_only import ReadOnlyAdmin
from orchestrator.models import Checkpoint, LoopSlot, Runner, WorkerSlot
from orchestrator.security.actors import Actor
from orchestrator.services import production, runners


@admin.register(Runner)
class RunnerAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "alive",
        "leaves",
        "host",
        "pid",
        "labelled",
        "load",
        "held",
        "started_at",
        "expires_at",
    )
    list_filter = ("host", "draining")
    search_fields = ("id", "host")
    alive = alive
    actions = ("drain",)

    @admin.action(description="Drain: let the runner give back its loops, and end")
    def drain(self, request: HttpRequest, rows: QuerySet[Runner]) -> None:
        ask_each(self, request, rows, _drained)

    @admin.display(description="Draining", ordering="draining")
    def leaves(self, runner: Runner) -> str:
        return "yes" if runner.draining else ""

    @admin.display(description="Labels")
    def labelled(self, runner: Runner) -> str:
        return ", ".join(runner.labels)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Runner]:
        return super().get_queryset(request).annotate(held=Count("slots"))

    @admin.display(description="Slots", ordering="held")
    def held(self, runner: Any) -> int:
        return runner.held


def _drained(actor: Actor, runner: Runner) -> str:
    runners.drain(actor, runner.pk)
    return "gives back its loops, and ends"


@admin.register(LoopSlot)
class LoopSlotAdmin(ReadOnlyAdmin):
    """Slots of loops; an action is about the whole loop, in whichever slots it runs."""

    list_display = (
        "loop",
        "workflow",
        "slot",
        "desired",
        "state",
        "reason",
        "owner",
        "activation",
        "version",
        "token",
        "isolated",
        "runs_on",
        "changed_at",
    )
    list_filter = ("state", "desired", "isolated", ("workflow", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("workflow", "owner")
    search_fields = ("workflow__id", "workflow__name", "loop", "reason", "owner__id")
    actions = ("start", "pause", "resume", "drain", "stop")

    @admin.action(description="Start the loop")
    def start(self, request: HttpRequest, rows: QuerySet[LoopSlot]) -> None:
        self._ask(request, rows, production.start)

    @admin.action(description="Pause the loop")
    def pause(self, request: HttpRequest, rows: QuerySet[LoopSlot]) -> None:
        self._ask(request, rows, production.pause)

    @admin.action(description="Resume the loop")
    def resume(self, request: HttpRequest, rows: QuerySet[LoopSlot]) -> None:
        self._ask(request, rows, production.resume)

    @admin.action(description="Drain the loop")
    def drain(self, request: HttpRequest, rows: QuerySet[LoopSlot]) -> None:
        self._ask(request, rows, production.drain)

    @admin.action(description="Stop the loop")
    def stop(self, request: HttpRequest, rows: QuerySet[LoopSlot]) -> None:
        self._ask(request, rows, production.stop)

    def _ask(
        self,
        request: HttpRequest,
        rows: QuerySet[LoopSlot],
        change: Callable[..., production.Change],
    ) -> None:
        ask_each(self, request, rows, partial(_of_loop, change))


def _of_loop(change: Callable[..., production.Change], actor: Actor, slot: LoopSlot) -> str:
    status = change(actor, slot.workflow_id, loop=slot.loop).status
    desired = {each["desired"] for each in status["loops"] if each["loop"] == slot.loop}
    return f"{slot.workflow_id}/{slot.loop} is to be {', '.join(sorted(desired))}"


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyAdmin):
    list_display = ("workflow", "loop", "slot", "activation", "sequence", "oldest_at", "created_at")
    list_filter = (("workflow", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("workflow",)
    search_fields = ("workflow__id", "workflow__name", "loop")
    date_hierarchy = "created_at"
    show_full_result_count = False
    fields = (
        ("workflow", "loop", "slot"),
        ("activation", "version", "token", "sequence"),
        ("oldest_at", "created_at"),
        "states_json",
        "checksum",
    )
    states_json = json_field("states", "States")


@admin.register(WorkerSlot)
class WorkerSlotAdmin(ReadOnlyAdmin):
    list_display = (
        "slot",
        "worker",
        "alive",
        "host",
        "pid",
        "labelled",
        "concurrency",
        "active",
        "processed",
        "failed",
        "retried",
        "mean",
        "started_at",
        "expires_at",
        "token",
    )
    list_filter = ("host",)
    search_fields = ("worker", "host")
    alive = alive

    @admin.display(description="Labels")
    def labelled(self, slot: WorkerSlot) -> str:
        return ", ".join(slot.labels)

    @admin.display(description="Mean seconds")
    def mean(self, slot: WorkerSlot) -> str:
        done = slot.processed + slot.failed
        return f"{slot.seconds / done:.3f}" if done else "-"
