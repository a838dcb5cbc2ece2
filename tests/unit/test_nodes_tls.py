"""TLS of nodes that speak protocols of their own, with an authority that is thrown away.

Each way: a node, and what it told a server of the right name, of another, of an unknown authority.
"""

from contextlib import ExitStack, contextmanager

import pytest
import redis

from nodes.builtin.redis_publish import RedisPublish
from nodes.builtin.send_email import SendEmail
from nodes.builtin.sql import SqlQuery
from nodes.testing import driven
from orchestrator.exceptions import NodeFailed
from orchestrator.security import egress
from orchestrator.security.credentials import Credential
from tests.certificates import Authority, TlsFront
from tests.mail_server import MailServer
from tests.postgres import PASSWORD, USER, running

HOST, OTHER = "good.test", "other.test"
MAIL = {
    "credential": "place",
    "sender": "shop@example.test",
    "to": "ada@example.test",
    "subject": "Order",
    "text": "It is on its way.",
    "timeout": 10,
}


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def postgres(authority):
    with running() as server:
        server.speak_tls(*authority.certify(HOST))
        yield server


@pytest.fixture
def trusted(authority, monkeypatch):
    """Trust the authority, as an operator would."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    egress.tls_context.cache_clear()
    yield
    egress.tls_context.cache_clear()


@pytest.fixture
def untrusted(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    egress.tls_context.cache_clear()
    yield
    egress.tls_context.cache_clear()


class Way:
    """How a node reaches a server by TLS. `heard` is what the server has had of it."""

    def __init__(self, node_class, form, credential, port, heard):
        self.node_class, self.form, self.port, self.heard = node_class, form, port, heard
        self._credential = credential

    async def send(self, host):
        form = {**self.form, "credential": "place"}
        credentials = {"place": self._credential(host, str(self.port))}
        async with driven(self.node_class, form, credentials=credentials) as run:
            return await run.data({})


def smtp(security):
    def made(host, port):
        login = {"username": "ada", "password": "a-long-password"}
        return Credential("smtp", {"host": host, "port": port, "security": security, **login})

    return made


@contextmanager
def mail_tls(authority, request):
    with MailServer(login="AGFkYQBhLWxvbmctcGFzc3dvcmQ=") as server:
        with TlsFront(server.port, authority.server(HOST)) as front:
            yield Way(SendEmail, MAIL, smtp("tls"), front.port, lambda: server.lines)


@contextmanager
def mail_starttls(authority, request):
    context = authority.server(HOST)
    with MailServer(login="AGFkYQBhLWxvbmctcGFzc3dvcmQ=", starttls=context) as server:

        def heard():
            return [
                line for line in server.lines if not line.lower().startswith(("ehlo", "startt"))
            ]

        yield Way(SendEmail, MAIL, smtp("starttls"), server.port, heard)


@contextmanager
def redis_tls(authority, request):
    server = request.getfixturevalue("redis_server")
    form = {"name": "told", "kind": "stream", "message": "hello"}

    def credential(host, port):
        return Credential("database-url", {"url": f"rediss://{host}:{port}/0"})

    with redis.Redis(host="127.0.0.1", port=server.port) as client:
        client.delete("told")
        with TlsFront(server.port, authority.server(HOST)) as front:
            yield Way(RedisPublish, form, credential, front.port, lambda: client.xrange("told"))
        client.delete("told")


@contextmanager
def postgres_tls(authority, request):
    server = request.getfixturevalue("postgres")
    server.run("create table if not exists told (x int)")
    server.run("delete from told")

    def credential(host, port):
        login = f"{USER}:{PASSWORD}"
        url = f"postgresql://{login}@{host}:{port}/postgres?sslmode=verify-full"
        return Credential("database-url", {"url": url})

    form = {
        "sql": "insert into told select 1 from pg_stat_ssl where pid = pg_backend_pid() and ssl"
    }
    yield Way(SqlQuery, form, credential, server.port, lambda: server.run("select * from told"))


WAYS = [mail_tls, mail_starttls, redis_tls, postgres_tls]


@pytest.fixture(params=WAYS, ids=lambda way: way.__name__)
def way(request, authority, open_egress):
    async def lookup(host, port):
        return ["127.0.0.1"]

    with ExitStack() as stack:
        way = stack.enter_context(request.param(authority, request))
        open_egress(f"{HOST}:{way.port}", f"{OTHER}:{way.port}", lookup=lookup)
        yield way


async def test_a_server_with_the_certificate_of_its_name_is_told(trusted, way):
    await way.send(HOST)
    assert way.heard()


async def test_a_certificate_of_another_name_is_refused_before_a_word(trusted, way):
    with pytest.raises(NodeFailed, match=r"(?i)certificate"):
        await way.send(OTHER)
    assert not way.heard()


async def test_an_authority_that_nobody_trusts_is_refused_before_a_word(untrusted, way):
    with pytest.raises(NodeFailed, match=r"(?i)certificate"):
        await way.send(HOST)
    assert not way.heard()


@pytest.mark.parametrize("mode", ["require", "verify-full"])
async def test_certificates_in_the_home_of_the_account_are_not_used(
    trusted, postgres, open_egress, monkeypatch, tmp_path, mode
):
    """Neither its key, which would be the editor's login, nor what it trusts."""
    home = tmp_path / ".postgresql"
    home.mkdir()
    for name in ("postgresql.crt", "postgresql.key", "root.crt"):
        (home / name).write_text("not a certificate")
        (home / name).chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))

    async def lookup(host, port):
        return ["127.0.0.1"]

    open_egress(f"{HOST}:{postgres.port}", lookup=lookup)
    url = f"postgresql://{USER}:{PASSWORD}@{HOST}:{postgres.port}/postgres?sslmode={mode}"
    credentials = {"place": Credential("database-url", {"url": url})}
    form = {"credential": "place", "sql": "select 1 as one"}
    async with driven(SqlQuery, form, credentials=credentials) as run:
        assert (await run.data({}))["result"]["rows"] == [{"one": 1}]
