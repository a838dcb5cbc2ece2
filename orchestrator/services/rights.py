"""A Django permission for each action, and the four groups that are roles."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType

from orchestrator.models import Action
from orchestrator.security.actors import ACTIONS, Role, actions_of


def ensure(*, using: str = "default", **_: Any) -> None:
    """Make what is missing; called behind every `migrate`.

    A role is given a right when that is new. From then on the group is the operator's: a right that
    was taken away stays away.
    """
    kind = ContentType.objects.db_manager(using).get_for_model(Action, for_concrete_model=False)
    rights = Permission.objects.using(using).filter(content_type=kind)
    present = set(rights.values_list("codename", flat=True))
    fresh = {action for action in ACTIONS if action not in present}
    Permission.objects.using(using).bulk_create(
        Permission(content_type=kind, codename=action, name=f"May do {action}")
        for action in sorted(fresh)
    )
    rights.exclude(codename__in=ACTIONS).delete()
    for role in Role:
        group, new = Group.objects.using(using).get_or_create(name=role.name.lower())
        given = actions_of(role) if new else actions_of(role) & fresh
        if given:
            group.permissions.add(*rights.filter(codename__in=given))
