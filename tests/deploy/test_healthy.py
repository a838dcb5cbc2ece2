"""The check that engines ask every few seconds."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from orchestrator.runtime import healthy
from tests.deploy.described import ROOT
from tests.waiting import until
from tests.web_server import Reply, WebServer


def ask(*arguments, **environment):
    """Run the check as a probe does; return its status and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", healthy.__name__, *arguments],
        cwd=ROOT, env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.strip()


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "alive"
    monkeypatch.setenv(healthy.VARIABLE, str(path))
    return path


@pytest.mark.parametrize("role", ["runner", "worker"])
async def test_a_loop_that_turns_is_healthy(file, role):
    async with healthy.signs():
        await until(file.exists)
        asked = {healthy.VARIABLE: str(file)}
        assert await asyncio.to_thread(ask, role, **asked) == (0, "")
        first = file.read_text()
        await until(lambda: file.read_text() != first)
        assert len(file.read_text()) == len(first)
    assert not file.exists()  # or the next process would seem to be well before it is


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "no sign of life"),
        ("", "no sign of life"),
        ("yesterday", "no sign of life"),
        ("nan", "is not of the last 15 s"),
        ("old", "is not of the last 15 s"),
        ("future", "is not of the last 15 s"),
    ],
)
def test_what_gave_no_sign_lately_is_not(file, text, complaint):
    """A moment of another life of the machine may lie in the future."""
    moments = {"old": time.monotonic() - 20, "future": time.monotonic() + 1000}
    if text is not None:
        file.write_text(str(moments.get(text, text)))
    status, told = ask("runner", **{healthy.VARIABLE: str(file)})
    assert status == 1 and complaint in told and told.startswith("runner: ")


def test_without_a_file_no_sign_is_asked_for():
    status, told = ask("worker")
    assert status == 1 and "HEALTH_FILE is not set" in told


async def test_where_no_file_can_be_a_process_says_so_and_goes_on(monkeypatch, caplog):
    monkeypatch.setenv(healthy.VARIABLE, "/no/such/folder/alive")
    async with healthy.signs():
        await until(lambda: caplog.text)
    assert "no sign of life can be given in /no/such/folder/alive" in caplog.text


@pytest.mark.parametrize("arguments", [(), ("no-such",), ("web", "runner")])
def test_an_unknown_role_is_refused(arguments):
    assert ask(*arguments) == (1, "give one of: web, runner, worker, ready")


@pytest.mark.parametrize(
    ("hosts", "sent"),
    [
        ("flows.example.org,localhost", "flows.example.org"),
        (".example.org", "example.org"),
        ("*", "localhost"),
        ("", "localhost"),
    ],
)
def test_a_web_process_is_asked_by_a_name_that_it_answers_to(hosts, sent):
    with WebServer() as server:
        assert ask("web", PORT=str(server.port), ALLOWED_HOSTS=hosts) == (0, "")
        (request,) = server.requests
    assert (request.path, request.headers["host"]) == ("/healthz", sent)


def test_a_web_process_that_refuses_or_is_gone_is_not_healthy():
    with WebServer(lambda request: Reply(status=503)) as server:
        assert ask("web", PORT=str(server.port)) == (1, "web: /healthz answered 503")
    status, told = ask("web", PORT=str(server.port))
    assert status == 1 and "does not answer" in told


@pytest.mark.parametrize(
    ("status", "said"), [(200, (0, "")), (503, (1, "ready: /readyz answered 503"))]
)
def test_a_web_process_is_asked_whether_it_is_ready(status, said):
    with WebServer(lambda request: Reply(status=status)) as server:
        assert ask("ready", PORT=str(server.port)) == said
        assert [request.path for request in server.requests] == ["/readyz"]


def test_the_check_costs_no_framework():
    code = f"import sys, {healthy.__name__}; print('django' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
