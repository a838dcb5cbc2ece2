"""Bearer tokens, roles and what each may do."""

from datetime import timedelta

import pytest
from django.utils import timezone

from orchestrator.exceptions import NotAllowed, NotFound
from orchestrator.models import ApiToken
from orchestrator.security.actors import ACTIONS, SYSTEM, Actor, Role, actor_of, authorize
from orchestrator.security.tokens import bearer, digest_of, new_token
from orchestrator.services import access

pytestmark = pytest.mark.django_db


def test_only_the_digest_of_a_token_is_kept(make_user):
    raw = access.create_token(SYSTEM, make_user("viewer").username, name="ci")
    row = ApiToken.objects.get()
    assert row.digest == digest_of(raw)
    assert raw.startswith(row.prefix) and len(row.prefix) < 10
    assert raw not in {str(value) for value in vars(row).values()}


def test_tokens_differ():
    assert len({new_token().raw for _ in range(100)}) == 100


def test_a_token_stands_for_its_user(make_user, make_token):
    user = make_user("viewer")
    assert access.user_of_token(make_token(user)) == user
    assert access.user_of_token(new_token().raw) is None


def test_a_token_expires(make_user, make_token):
    raw = make_token(make_user("viewer"), days=1)
    assert access.user_of_token(raw) is not None
    ApiToken.objects.update(expires_at=timezone.now())
    assert access.user_of_token(raw) is None


def test_a_token_of_an_inactive_user_is_worth_nothing(make_user, make_token):
    user = make_user("admin")
    raw = make_token(user)
    user.is_active = False
    user.save()
    assert access.user_of_token(raw) is None


def test_the_last_use_is_written_once_a_minute(make_user, make_token, django_assert_num_queries):
    raw = make_token(make_user("viewer"))
    with django_assert_num_queries(2):
        access.user_of_token(raw)
    first = ApiToken.objects.get().last_used_at
    with django_assert_num_queries(1):
        access.user_of_token(raw)
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=timezone.now() - timedelta(minutes=2))
    access.user_of_token(raw)
    assert ApiToken.objects.get().last_used_at >= first


def test_a_token_for_nobody_is_refused():
    with pytest.raises(NotFound):
        access.create_token(SYSTEM, "nobody")


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Basic abc", None),
        ("Bearer", ""),
        ("Bearer short", ""),
        ("Bearer " + "wo_" + "a" * 43, "wo_" + "a" * 43),
        ("bearer " + "wo_" + "a" * 43, "wo_" + "a" * 43),
        ("Bearer " + "wo_" + "a" * 44, ""),
        ("Bearer wo_" + "é" * 43, ""),
    ],
)
def test_the_header_is_read_strictly(header, token):
    assert bearer(header) == token


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("viewer", {Role.VIEWER}),
        ("operator", {Role.OPERATOR}),
        ("editor", {Role.EDITOR}),
        ("admin", {Role.ADMIN}),
        ("superuser", {Role.ADMIN}),
        (None, set()),
        ("accounting", set()),
    ],
)
def test_groups_give_roles(make_user, role, expected):
    assert actor_of(make_user(role)).roles == expected


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("role", [None, *Role])
def test_the_table_decides(action, role):
    actor = Actor(id=1, name="x", roles=frozenset({role} if role else ()))
    if role is not None and role >= ACTIONS[action]:
        authorize(actor, action)
    else:
        with pytest.raises(NotAllowed):
            authorize(actor, action)


def test_an_action_that_is_not_in_the_table_is_a_mistake():
    with pytest.raises(KeyError):
        authorize(SYSTEM, "world.end")
