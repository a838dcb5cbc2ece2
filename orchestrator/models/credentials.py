"""What nodes log in with, encrypted."""

import uuid

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import models


class Credential(models.Model):
    """A credential. `sealed` is ciphertext that holds this row's id; only a process that runs a
    node opens it.

    fingerprint: the last four characters, of a secret that is long enough.
    revision: counts changes of the values and of who may use it; loops that use it start again.
    restricted: whether only `users`, `groups`, whoever made it and admins may use it, or everybody
        whose role suffices.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.SlugField(max_length=64, unique=True)
    kind = models.CharField(max_length=32)
    sealed = models.TextField(editable=False)
    fingerprint = models.CharField(max_length=4, blank=True)
    revision = models.PositiveIntegerField(default=1)
    restricted = models.BooleanField(default=False)
    users = models.ManyToManyField(settings.AUTH_USER_MODEL, blank=True, related_name="+")
    groups = models.ManyToManyField(Group, blank=True, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class KeyCanary(models.Model):
    """One row, sealed with the first credential: whoever cannot open it has the wrong keys."""

    sealed = models.TextField(editable=False)

    def __str__(self) -> str:
        return "canary"
