"""Workflows and their versions."""

from typing import Any

from django.conf import settings
from django.db import models

from orchestrator.models.json_field import JSONField


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
    definition = JSONField()
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
