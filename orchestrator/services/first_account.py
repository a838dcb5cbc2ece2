"""The account of whoever runs everything on one machine; its secrets lie in the data folder."""

from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth import authenticate
from django.utils.crypto import get_random_string

from orchestrator.exceptions import Conflict
from orchestrator.runtime import private
from orchestrator.security.actors import Actor
from orchestrator.services import access

USERNAME = "admin"
PASSWORD_LENGTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstAccount:
    """`password` is None when it is no longer the generated one."""

    username: str
    password: str | None
    token_file: Path


def ensure(actor: Actor, data_dir: Path) -> FirstAccount:
    """Make the administrator, its password and its API token, as far as they are missing."""
    password_file, token_file = data_dir / "password", data_dir / "token"
    password = private.keep(password_file, lambda: get_random_string(PASSWORD_LENGTH))
    try:
        access.create_user(actor, USERNAME, password, superuser=True)
    except Conflict:
        generated = authenticate(username=USERNAME, password=password) is not None
    else:
        generated = True
    if access.user_of_token(private.read(token_file)) is None:
        private.write(token_file, access.create_token(actor, USERNAME, name="manage.py up"))
    return FirstAccount(
        username=USERNAME, password=password if generated else None, token_file=token_file
    )
