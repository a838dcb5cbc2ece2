"""The embedded server: found, started, joined, and ended with its last user."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from orchestrator.exceptions import StoreRefused
from orchestrator.runtime import embedded, private
from orchestrator.runtime.server_binary import examine, find_server
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
HOLDER = """
import sys
from pathlib import Path
from orchestrator.runtime import embedded
server = embedded.open_server(Path(sys.argv[1]))
print(server.url, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def data_dir(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def server(data_dir):
    server = embedded.open_server(data_dir)
    yield server
    server.close()


@pytest.fixture
def holder(data_dir):
    """Another process that uses the server of the folder until its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, data_dir],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.url = process.stdout.readline().strip()
    yield process
    process.kill()
    process.communicate()


def client(url):
    return redis.Redis.from_url(url)


def test_settings_promise_that_nothing_is_lost(server):
    settings = client(server.url).config_get()
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "everysec"
    assert settings["maxmemory-policy"] == "noeviction"


def test_only_the_owner_can_reach_the_server(server, data_dir):
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert (data_dir / "redis.sock").stat().st_mode & 0o777 == 0o600


def test_data_survive_kill_9_of_the_server(data_dir):
    first = embedded.open_server(data_dir)
    connection = client(first.url)
    connection.set("kept", "yes")
    os.kill(connection.info("server")["process_id"], signal.SIGKILL)
    eventually(lambda: not first.alive())
    assert first.close()
    second = embedded.open_server(data_dir)
    assert client(second.url).get("kept") == b"yes"
    assert second.close()


def test_a_server_that_answers_is_joined_and_outlives_its_starter(holder, data_dir):
    joined = embedded.open_server(data_dir)
    assert joined.url == holder.url
    assert joined.guard is None
    holder.communicate()
    assert embedded.ping(joined.url)
    assert joined.close()
    assert not embedded.ping(joined.url)


def test_closing_leaves_the_server_to_others(holder, data_dir):
    joined = embedded.open_server(data_dir)
    assert not joined.close()
    assert embedded.ping(holder.url)


def test_kill_9_of_the_last_user_ends_the_server(holder):
    pid = client(holder.url).info("server")["process_id"]
    holder.kill()
    eventually(lambda: not Path(f"/proc/{pid}").exists() and not embedded.ping(holder.url))


def test_a_path_too_long_for_a_socket_becomes_a_password_on_loopback(tmp_path):
    server = embedded.open_server(tmp_path / ("x" * 100))
    try:
        assert server.url.startswith("redis://:")
        assert embedded.ping(server.url)
        host, port = server.url.rpartition("@")[::2]
        assert host
        with pytest.raises(redis.AuthenticationError):
            client(f"redis://{port}").ping()
    finally:
        server.close()


def test_a_configured_url_starts_nothing(data_dir):
    with embedded.redis_url(data_dir, "redis://elsewhere:6379/0") as url:
        assert url == "redis://elsewhere:6379/0"
    assert not data_dir.exists()


@pytest.fixture
def on_path(tmp_path, monkeypatch):
    """Put programs on PATH that say they are a server of some version."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    def put(name, says):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
        return program

    return put


def test_a_server_on_path_comes_before_the_packaged_one(on_path):
    program = on_path("redis-server", "Redis server v=7.0.15 sha=0:0 malloc=jemalloc")
    found = find_server()
    assert (found.path, str(found)) == (program, "redis 7.0.15")


def test_a_server_that_is_too_old_is_passed_over(on_path):
    on_path("redis-server", "Redis server v=6.2.14 sha=0:0")
    on_path("valkey-server", "Valkey server v=7.0.1 sha=0:0")
    assert find_server().supported


def test_a_program_that_says_something_else_is_no_server(on_path):
    assert examine(on_path("redis-server", "hello")) is None


@pytest.mark.parametrize(
    ("writer", "readable"),
    [("redis 7.0.15", True), ("redis 7.4.0", False), ("valkey 7.2.0", False)],
)
def test_files_are_read_by_their_flavour_in_the_same_or_a_newer_version(on_path, writer, readable):
    binary = examine(on_path("redis-server", "Redis server v=7.0.20 sha=0:0"))
    assert binary.reads(writer) is readable


def test_a_folder_written_by_another_flavour_is_refused(data_dir):
    embedded.open_server(data_dir).close()
    private.write(data_dir / "redis" / "written_by", "redis 99.0.0")
    with pytest.raises(StoreRefused, match="reads the files of redis 99"):
        embedded.open_server(data_dir)
