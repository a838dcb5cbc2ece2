"""send-email and redis-publish, with servers that listen."""

import asyncio
import base64
import time

import pytest
import redis

from nodes.builtin.redis_publish import RedisPublish
from nodes.builtin.resp import parse_redis
from nodes.builtin.send_email import SendEmail
from nodes.testing import driven
from orchestrator.exceptions import EgressDenied, InvalidRequest, NodeFailed, WorkflowInvalid
from orchestrator.security.credentials import Credential
from tests.mail_server import MailServer

MAIL = {
    "credential": "mail",
    "sender": "Shop <shop@example.test>",
    "to": "{{ data.email }}",
    "subject": "Order {{ data.id }}",
    "text": "Dear {{ data.name }},\n.\nthanks.\n",
}
ITEM = {"id": 7, "name": "Zoë", "email": "zoe@example.test"}


def smtp(server, **values):
    known = {"host": "127.0.0.1", "port": str(server.port), "security": "none", **values}
    return {"mail": Credential("smtp", known)}


class TestSendEmail:
    async def test_a_mail_for_each_item(self, open_egress):
        form = {**MAIL, "cc": "a@example.test, B <b@example.test>", "bcc": "c@example.test",
                "reply_to": "help@example.test"}  # fmt: skip
        with MailServer() as server:
            open_egress(f"127.0.0.1:{server.port}")
            async with driven(SendEmail, form, credentials=smtp(server)) as run:
                assert await run.data(ITEM) == ITEM
        [(sender, receivers, mail)] = server.mails
        assert sender == "shop@example.test"
        named = ["a@example.test", "b@example.test", "c@example.test"]
        assert receivers == ["zoe@example.test", *named]
        assert mail["From"] == "Shop <shop@example.test>" and mail["To"] == "zoe@example.test"
        assert mail["Cc"] == "a@example.test, b@example.test" and mail["Bcc"] is None
        assert mail["Subject"] == "Order 7" and mail["Reply-To"] == "help@example.test"
        assert mail["Message-ID"] == "<key@example.test>"
        assert mail.get_content().replace("\r", "") == "Dear Zoë,\n.\nthanks.\n"

    async def test_a_list_of_receivers_may_come_from_the_item(self, open_egress):
        with MailServer() as server:
            open_egress(f"127.0.0.1:{server.port}")
            async with driven(SendEmail, MAIL, credentials=smtp(server)) as run:
                await run.data({**ITEM, "email": ["a@example.test", "b@example.test"]})
        assert server.mails[0][1] == ["a@example.test", "b@example.test"]

    @pytest.mark.parametrize(
        "change",
        [
            {"email": "a@example.test\nBcc: b@example.test"},
            {"email": "a@example.test\r\nDATA"},
            {"email": ["a@example.test\nRCPT TO:<b@example.test>"]},
            {"email": "nobody"},
            {"email": ""},
            {"id": "7\nBcc: b@example.test"},
            {"email": ", ".join(f"a{n}@example.test" for n in range(101))},
        ],
    )
    async def test_an_item_brings_no_header_of_its_own(self, open_egress, change):
        with MailServer() as server:
            open_egress(f"127.0.0.1:{server.port}")
            async with driven(SendEmail, MAIL, credentials=smtp(server)) as run:
                with pytest.raises(NodeFailed):
                    await run.data({**ITEM, **change})
        assert server.mails == [] and server.connections == 0

    async def test_it_logs_in(self, open_egress):
        login = base64.b64encode(b"\0ada\0a-password").decode()
        with MailServer(login=login) as server:
            open_egress(f"127.0.0.1:{server.port}")
            right = smtp(server, username="ada", password="a-password")
            async with driven(SendEmail, MAIL, credentials=right) as run:
                await run.data(ITEM)
            wrong = smtp(server, username="ada", password="another-password")
            async with driven(SendEmail, MAIL, credentials=wrong) as run:
                with pytest.raises(NodeFailed, match="535 wrong name or password") as failed:
                    await run.data(ITEM)
        assert "another-password" not in str(failed.value)
        assert len(server.mails) == 1

    async def test_receivers_that_are_refused_are_named(self, open_egress):
        with MailServer(refuses=("b@example.test",)) as server:
            open_egress(f"127.0.0.1:{server.port}")
            form = {**MAIL, "cc": "b@example.test"}
            async with driven(SendEmail, form, credentials=smtp(server)) as run:
                with pytest.raises(NodeFailed, match=r"b@example\.test \(550 no such user\)"):
                    await run.data(ITEM)

    async def test_without_starttls_nothing_is_sent_if_it_is_wanted(self, open_egress):
        with MailServer() as server:
            open_egress(f"127.0.0.1:{server.port}")
            credentials = smtp(server, security="starttls", username="u", password="a-password")
            async with driven(SendEmail, MAIL, credentials=credentials) as run:
                with pytest.raises(NodeFailed, match="STARTTLS"):
                    await run.data(ITEM)
        assert server.mails == []

    async def test_a_server_that_says_nothing_holds_no_thread(self, open_egress):
        with MailServer(silent=True) as server:
            open_egress(f"127.0.0.1:{server.port}")
            form = {**MAIL, "timeout": 0.3}
            async with driven(SendEmail, form, credentials=smtp(server)) as run:
                begun = time.monotonic()
                with pytest.raises(NodeFailed, match=r"no answer within 0\.3 s"):
                    await run.data(ITEM)
                assert time.monotonic() - begun < 10
                assert await asyncio.to_thread(server.ended.wait, 10)

    async def test_a_server_that_is_closed_to_nodes_is_not_connected_to(self, open_egress):
        with MailServer() as server:
            open_egress()
            async with driven(SendEmail, MAIL, credentials=smtp(server)) as run:
                with pytest.raises(EgressDenied):
                    await run.data(ITEM)
        assert server.connections == 0

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"sender": "Shop"}, "no address of mail"),
            ({"to": "a@example.test, b"}, "'b' is no address"),
            ({"credential": "other"}, "no credential of this name"),
            ({"subject": "a\nb"}, "no line breaks"),
        ],
    )
    async def test_settings_that_cannot_work_are_refused(self, change, message):
        credentials = {"mail": Credential("smtp", {"host": "mail.test"})}
        with pytest.raises(WorkflowInvalid, match=message):
            async with driven(SendEmail, {**MAIL, **change}, credentials=credentials):
                pass


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


class TestRedisPublish:
    FORM = {"name": "orders", "message": "{{ data.id }}: {{ data.name }}"}

    @pytest.fixture(autouse=True)
    def opened(self, open_egress, redis_server):
        open_egress(f"127.0.0.1:{redis_server.port}")

    async def test_who_listens_gets_a_message_of_each_item(self, client, redis_url):
        listening = client.pubsub(ignore_subscribe_messages=True)
        listening.subscribe("orders")
        listening.get_message(timeout=5)
        form = {**self.FORM, "address": redis_url, "target": "listeners"}
        async with driven(RedisPublish, form) as run:
            assert await run.data(ITEM) == {**ITEM, "listeners": 1}
        assert listening.get_message(timeout=5)["data"] == "7: Zoë".encode()
        listening.close()

    async def test_a_stream_keeps_them(self, client, redis_url):
        client.delete("kept")
        form = {"address": redis_url, "kind": "stream", "name": "kept", "keep": 1000,
                "message": {"order": "{{ data.id }}"}, "target": "at"}  # fmt: skip
        async with driven(RedisPublish, form) as run:
            found = await run.data(ITEM)
        [(entry, fields)] = client.xrange("kept")
        assert found["at"] == entry.decode() and fields == {b"message": b'{"order":7}'}
        client.delete("kept")

    async def test_a_message_is_one_word_whatever_it_holds(self, client, redis_url):
        client.set("mine", "safe")
        form = {"address": redis_url, "name": "orders", "message": "{{ data.text }}"}
        async with driven(RedisPublish, form) as run:
            await run.data({"text": "x\r\n*2\r\n$3\r\nDEL\r\n$4\r\nmine\r\n"})
        assert client.get("mine") == b"safe"
        client.delete("mine")

    async def test_it_logs_in_with_a_credential(self, client, redis_url, redis_server):
        client.execute_command("ACL", "SETUSER", "ada", "on", ">a-password", "&*", "+publish")
        place = f"127.0.0.1:{redis_server.port}"
        form = {**self.FORM, "credential": "queue"}
        right = {"queue": Credential("database-url", {"url": f"redis://ada:a-password@{place}"})}
        async with driven(RedisPublish, form, credentials=right) as run:
            assert await run.data(ITEM) == ITEM
        wrong = {"queue": Credential("database-url", {"url": f"redis://ada:b-password@{place}"})}
        async with driven(RedisPublish, form, credentials=wrong) as run:
            with pytest.raises(NodeFailed, match="WRONGPASS") as failed:
                await run.data(ITEM)
        assert "b-password" not in str(failed.value)
        client.execute_command("ACL", "DELUSER", "ada")

    async def test_what_redis_refuses_is_told(self, client, redis_url):
        client.set("no-stream", "text")
        form = {**self.FORM, "address": redis_url, "kind": "stream", "name": "no-stream"}
        async with driven(RedisPublish, form) as run:
            with pytest.raises(NodeFailed, match="WRONGTYPE"):
                await run.data(ITEM)
        client.delete("no-stream")

    async def test_a_connection_that_was_ended_is_opened_again(self, client, redis_url):
        async with driven(RedisPublish, {**self.FORM, "address": redis_url}) as run:
            await run.data(ITEM)
            client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            assert await run.data(ITEM) == ITEM

    async def test_a_server_that_says_nothing_is_waited_for_so_long(self, open_egress):
        with MailServer(silent=True) as server:
            open_egress(f"127.0.0.1:{server.port}")
            address = f"redis://127.0.0.1:{server.port}"
            form = {**self.FORM, "address": address, "timeout": 0.2}
            async with driven(RedisPublish, form) as run:
                with pytest.raises(NodeFailed, match="no answer in time"):
                    await run.data(ITEM)

    async def test_what_does_not_speak_redis_is_an_error(self, open_egress):
        with MailServer() as server:
            open_egress(f"127.0.0.1:{server.port}")
            form = {**self.FORM, "address": f"redis://127.0.0.1:{server.port}"}
            async with driven(RedisPublish, form) as run:
                with pytest.raises(NodeFailed, match="not one of Redis"):
                    await run.data(ITEM)

    async def test_our_own_redis_is_closed(self, open_egress, redis_url, redis_server, client):
        own = [("127.0.0.1", redis_server.port)]
        open_egress("127.0.0.0/8", own=own)
        async with driven(RedisPublish, {**self.FORM, "address": redis_url}) as run:
            with pytest.raises(EgressDenied, match="a server of the orchestrator"):
                await run.data(ITEM)

    @pytest.mark.parametrize(
        ("form", "message"),
        [
            ({}, "an address or a credential"),
            ({"address": "redis://:secret-word@host"}, "belongs into a credential"),
            ({"address": "http://host"}, "must be like redis"),
        ],
    )
    async def test_settings_that_cannot_work_are_refused(self, form, message):
        with pytest.raises(WorkflowInvalid, match=message) as refused:
            async with driven(RedisPublish, {**self.FORM, **form}):
                pass
        assert "secret-word" not in str(refused.value)

    @pytest.mark.parametrize("url", ["redis://", "redis://h/x", "redis://h:p", "redis://h/0?a=b"])
    def test_an_address_that_is_none(self, url):
        with pytest.raises(InvalidRequest):
            parse_redis(url)
