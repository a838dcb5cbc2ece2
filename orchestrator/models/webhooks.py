"""Who gets the requests to a path."""

from django.db import models

from orchestrator.models.json_field import JSONField
from orchestrator.models.workflows import Workflow


class Webhook(models.Model):
    """A path below `/webhooks/`. It belongs to the workflow that was started with it last; only a
    workflow that runs is given requests.

    settings: the cleaned form of the loop's producer, in the version that was started.
    """

    path = models.CharField(max_length=200, unique=True)
    workflow = models.ForeignKey(Workflow, on_delete=models.CASCADE, related_name="webhooks")
    loop = models.CharField(max_length=200)
    settings = JSONField()

    class Meta:
        ordering = ("path",)

    def __str__(self) -> str:
        return self.path
