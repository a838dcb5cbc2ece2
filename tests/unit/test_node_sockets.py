"""No node goes around the guard: nothing that opens sockets is in the code of nodes.

A driver that speaks a protocol of its own (PostgreSQL, SMTP, ...) may be imported by the modules
that are named here, and by no other; each of them takes its addresses from the guard.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("nodes", "examples")
GUARD = "orchestrator.security.egress"

NEVER = frozenset(
    "aiohttp curl_cffi ftplib grpc http httpcore imaplib multiprocessing nntplib paramiko poplib"
    " pycurl requests select selectors socket socketserver socks ssl subprocess telnetlib trio"
    " tornado twisted urllib3 websocket websockets wsgiref xmlrpc _socket _ssl ctypes".split()
)
DRIVERS = frozenset(
    "aiosmtplib asyncpg httpx MySQLdb psycopg psycopg2 psycopg_pool pymongo pymysql redis smtplib"
    " valkey".split()
)
DRIVEN = frozenset(("nodes/builtin/databases.py", "nodes/builtin/send_email.py"))
"""Modules that use a driver with addresses of the guard."""

CALLS = frozenset(
    "create_connection create_datagram_endpoint create_server create_unix_connection"
    " create_unix_server open_connection open_unix_connection sock_connect start_server"
    " start_unix_server create_subprocess_exec create_subprocess_shell popen system"
    " __import__ import_module install".split()
)
UNGUARDED = frozenset(("AsyncClient", "AsyncHTTPTransport", "Client", "HTTPTransport"))
"""Classes of the client's library: nodes get theirs from `http_client`."""


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def called(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id


def made(tree):
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return {getattr(func, "attr", None) or getattr(func, "id", None) for func in calls}


def ways_around(name, source):
    """Return what a module has that may open a socket."""
    tree = ast.parse(source)
    modules = set(imported(tree))
    tops = {module.partition(".")[0] for module in modules}
    found = sorted(tops & NEVER)
    if any(module.startswith("urllib.") and module.split(".")[1] != "parse" for module in modules):
        found.append("urllib")
    if name not in DRIVEN or not any(module.startswith(GUARD) for module in modules):
        found += sorted(tops & DRIVERS)
    if any(module.startswith(f"{GUARD}.") for module in modules - {f"{GUARD}.{n}" for n in OPEN}):
        found.append("the inside of the guard")
    return found + sorted(CALLS.intersection(called(tree)) | UNGUARDED.intersection(made(tree)))


def _public():
    tree = ast.parse((ROOT / GUARD.replace(".", "/") / "__init__.py").read_text())
    lists = [n.value for n in tree.body if isinstance(n, ast.Assign)]
    # To open the guard is for the process, and not for a node.
    return set(ast.literal_eval(lists[0])) - {"install", "EgressPolicy"}


OPEN = _public()
KNOWN = {
    "nodes/registry.py": ["import_module"],  # of node packages, by an operator's word
}


def test_no_node_opens_a_socket_but_through_the_guard():
    files = [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    assert len(files) > 50
    found = {}
    for path in files:
        name = str(path.relative_to(ROOT))
        ways = ways_around(name, path.read_text())
        if ways != KNOWN.get(name, []):
            found[name] = ways
    assert found == {}


def test_every_module_that_is_excepted_is_there():
    assert all((ROOT / name).is_file() for name in (*DRIVEN, *KNOWN))


@pytest.mark.parametrize(
    "source",
    [
        "import socket",
        "from socket import create_connection",
        "import http.client",
        "from http import client",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import smtplib",
        "import redis.asyncio as r",
        "def f():\n    import psycopg",
        "import httpx",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "import asyncio\nx = asyncio.get_running_loop().create_connection",
        "from asyncio import open_unix_connection\nopen_unix_connection('a')",
        "__import__('socket')",
        "from importlib import import_module\nimport_module('socket')",
        "import os\nos.system('curl')",
        "import subprocess",
        "from orchestrator.security.egress.client import GuardedBackend",
        "from orchestrator.security.egress import install",
        "from orchestrator.security import egress\negress.install(None)",
        "from orchestrator.security.egress import AsyncClient\nAsyncClient()",
    ],
)
def test_the_ways_around_it_are_known(source):
    assert ways_around("nodes/builtin/mine.py", source)


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urlsplit",
        "import urllib.parse",
        "from orchestrator.security.egress import exchange, http_client",
        "from orchestrator.security import egress\negress.connect('a', 1)",
    ],
)
def test_what_opens_nothing_is_let_be(source):
    assert ways_around("nodes/builtin/mine.py", source) == []
