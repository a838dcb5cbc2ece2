"""`manage.py check --deploy`, as an operator runs it before letting anybody in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks

from orchestrator.runtime.server_binary import find_server
from tests.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
PASSWORD = "a-long-password"
HEADERS = "orchestrator.api.headers.PageHeaders"


@pytest.fixture(scope="module")
def guarded(redis_server):
    """A server that asks for a password; `redis_server` only says whether there is one at all."""
    server = RedisServer(find_server().path)
    server.start()
    assert server.ask("CONFIG", "SET", "requirepass", PASSWORD) == b"+OK\r\n"
    yield f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture
def check(guarded, tmp_path):
    """Run the check with a good environment and some changes; return its status and its text."""

    def run(**changes):
        good = {
            "DATA_DIR": str(tmp_path),
            "SECRET_KEY": "".join(map(chr, range(40, 100))),
            "ORCHESTRATOR_CREDENTIAL_KEYS": Fernet.generate_key().decode(),
            "ALLOWED_HOSTS": "flows.example.org",
            "HTTPS": "1",
            "HSTS_SECONDS": "31536000",
            "REDIS_URL": guarded,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PATH": os.environ["PATH"],
        }
        done = subprocess.run(
            [sys.executable, "manage.py", "check", "--deploy"],
            cwd=ROOT, env={**good, **changes}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    return run


def test_a_good_deployment_passes_without_a_word(check):
    status, text = check()
    assert (status, text) == (0, "System check identified no issues (3 silenced).\n")


def test_everything_that_is_wrong_is_named_at_once(check, redis_server, tmp_path):
    (tmp_path / "token").write_text("wo_anybody")
    status, text = check(
        SECRET_KEY="changeme",
        ORCHESTRATOR_CREDENTIAL_KEYS="",
        ALLOWED_HOSTS="*",
        TRUSTED_PROXIES="*",
        HTTPS="0",
        EGRESS_ALLOW="10.0.0.0/8,169.254.0.0/16",
        REDIS_URL=redis_server.url,
    )
    assert status == 1
    found = set(re.findall(r"\(orchestrator\.([EW]\d+)\)", text))
    assert found == {"E001", "E002", "E004", "E006", "E009", "E010", "E011", "W001"}, text
    assert "wo_anybody" not in text


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"ORCHESTRATOR_CREDENTIAL_KEYS": "short"}, "E002"),
        ({"EGRESS_ALLOW": "0.0.0.0/0"}, "E009"),
        ({"REDIS_URL": "redis://127.0.0.1:1/0"}, "W002"),
    ],
)
def test_one_thing_is_wrong(check, changes, name):
    status, text = check(**changes)
    assert f"orchestrator.{name}" in text
    assert status == (name[0] == "E")


def test_a_key_is_not_used_for_two_things(check):
    key = Fernet.generate_key().decode()
    status, text = check(SECRET_KEY=key, ORCHESTRATOR_CREDENTIAL_KEYS=key)
    assert status == 1
    assert "orchestrator.E003" in text
    assert key not in text


def test_what_settings_in_code_may_take_away(settings):
    settings.DEBUG = True
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if name != HEADERS]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": {"script-src": ["'unsafe-inline'"]}}
    found = {each.id for each in run_checks(include_deployment_checks=True)}
    assert {"orchestrator.E005", "orchestrator.E007", "orchestrator.E008"} <= found
