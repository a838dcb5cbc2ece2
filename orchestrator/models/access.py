"""Who comes in: tokens, tickets of sockets, and failed logins."""

from django.conf import settings
from django.db import models

from orchestrator.models.json_field import JSONField


class Action(models.Model):
    """No table: it carries the permissions, one for each action."""

    class Meta:
        managed = False
        default_permissions = ()
        verbose_name = "action"

    def __str__(self) -> str:
        return "action"


class ApiToken(models.Model):
    """A program's credential. Only its SHA-256 is kept; `prefix` lets a person recognise it.

    Attributes:
        scopes: all that may be used of the user's rights; None for every right.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_tokens"
    )
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(max_length=64, unique=True)
    scopes = JSONField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class SocketTicket(models.Model):
    """Opens one socket, once. What it was asked for with is looked at again while that is open."""

    digest = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, null=True, related_name="+")
    session_key = models.CharField(max_length=40, blank=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"a ticket of {self.user_id}"


class LoginCount(models.Model):
    """How often a login was tried in vain, of one account or from one address.

    Attributes:
        key: a digest, because a name that somebody has typed may be a password.
        since: when the counting began.
    """

    key = models.CharField(max_length=64, primary_key=True)
    failed = models.PositiveIntegerField(default=0)
    since = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failed} since {self.since}"


class AuditEntry(models.Model):
    """One change or action. Triggers in the database refuse to change or remove a row.

    No row refers to another, so that it outlives what it tells of. The table is not Django's to
    flush.

    Attributes:
        actor_id: the user's primary key; None for the system, and for whoever is not known.
        object: what it was done to, such as `workflow:hello`.
        token: the prefix of the token with which it was asked for; empty for a session.
    """

    at = models.DateTimeField(auto_now_add=True, db_index=True)
    actor_id = models.BigIntegerField(null=True, db_index=True)
    actor = models.CharField(max_length=150)
    action = models.CharField(max_length=64, db_index=True)
    object = models.CharField(max_length=300, blank=True, db_index=True)
    before = JSONField(null=True)
    after = JSONField(null=True)
    address = models.CharField(max_length=64, blank=True)
    agent = models.CharField(max_length=200, blank=True)
    token = models.CharField(max_length=16, blank=True)

    class Meta:
        managed = False
        db_table = "orchestrator_auditentry"
        ordering = ("-id",)
        default_permissions = ("view",)
        verbose_name = "audit entry"
        verbose_name_plural = "audit log"

    def __str__(self) -> str:
        return f"{self.actor}: {self.action} {self.object}"
