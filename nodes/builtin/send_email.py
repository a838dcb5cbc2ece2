"""The send-email node."""

import asyncio
import functools
import smtplib
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, localtime

from nodes.base import BlockingNode
from nodes.contract import NodeContext, NodeOutput
from orchestrator.exceptions import NodeFailed
from orchestrator.security import egress
from orchestrator.security.secret_values import scrub

PORTS = {"starttls": 587, "tls": 465, "none": 25}
_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="mail")
"""A server that is slow holds these, and not the threads in which nodes run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    host: str
    port: int
    security: str
    username: str = ""
    password: str = field(default="", repr=False)


def mail_server(values: Mapping[str, str]) -> MailServer:
    """Return what a credential of the kind `smtp` says; without a word, it is STARTTLS."""
    security = values.get("security") or "starttls"
    return MailServer(
        host=values.get("host", ""),
        port=int(values.get("port") or PORTS[security]),
        security=security,
        username=values.get("username", ""),
        password=values.get("password", ""),
    )


class SendEmail(BlockingNode):
    """Sends a mail for each item by the SMTP server of a credential.

    The Message-ID comes from the item: one that is sent again after a crash has the same, by which
    many servers drop it. A mail that only some of its receivers get fails, and names the others.
    """

    identifier = "send-email"
    label = "Send mail"
    description = "Sends a mail for each item."
    icon = "mail"
    category = "messages"
    form_class = "nodes.builtin.send_email_forms.SendEmailForm"

    async def setup(self) -> None:
        self._server = mail_server((await self.credential("credential")).values)

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        message = self._message(context.idempotency_key)
        receivers = [*self.values["to"], *self.values["cc"], *self.values["bcc"]]
        timeout: float = self.values["timeout"]
        client = _client(self._server, timeout)
        given_up = threading.Event()
        try:
            async with asyncio.timeout(timeout):
                addresses = await egress.resolve(self._server.host, self._server.port)
                send = functools.partial(_send, client, self._server, addresses, given_up)
                await asyncio.get_running_loop().run_in_executor(_threads, send, message, receivers)
        except TimeoutError:
            raise self._failed(f"no answer within {timeout:g} s") from None
        except smtplib.SMTPRecipientsRefused as error:
            raise self._failed(f"these receivers are refused: {_listed(error)}") from None
        except smtplib.SMTPResponseException as error:
            raise self._failed(f"{error.smtp_code} {_text(error.smtp_error)}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise self._failed(str(error)) from None
        finally:
            given_up.set()
            _cut(client)
        return item

    def _message(self, key: str) -> EmailMessage:
        values = self.values
        message = EmailMessage()
        message["From"] = values["sender"]
        message["To"] = ", ".join(values["to"])
        if values["cc"]:
            message["Cc"] = ", ".join(values["cc"])
        if values["reply_to"]:
            message["Reply-To"] = values["reply_to"]
        message["Subject"] = values["subject"]
        message["Date"] = format_datetime(localtime())
        message["Message-ID"] = f"<{key}@{values['sender'].rpartition('@')[2].rstrip('>')}>"
        message.set_content(str(values["text"]))
        return message

    def _failed(self, reason: str) -> NodeFailed:
        # Half of a secret is not recognised any more: it is taken out before the cut.
        text = scrub(f"{self._server.host}: {reason}")[:1000]
        return NodeFailed(text, node_id=self.id, error_type="MailRefused")


def _client(server: MailServer, timeout: float) -> smtplib.SMTP:
    """Make a client that is not connected yet."""
    if server.security == "tls":
        context = egress.tls_context()
        return smtplib.SMTP_SSL(timeout=timeout, context=context, local_hostname="localhost")
    return smtplib.SMTP(timeout=timeout, local_hostname="localhost")


def _send(
    client: smtplib.SMTP,
    server: MailServer,
    addresses: list[egress.Address],
    given_up: threading.Event,
    message: EmailMessage,
    receivers: list[str],
) -> None:
    """Send in a thread, to an address that was checked."""
    # The name for TLS; `connect` gets the address, as asked again the name may have another.
    client._host = server.host  # type: ignore[attr-defined]
    for address in addresses:
        try:
            client.connect(address.ip, address.port)
            break
        except OSError:
            if address is addresses[-1]:
                raise
    client.ehlo()
    if server.security == "starttls":
        client.starttls(context=egress.tls_context())
        client.ehlo()
    if server.username:
        client.login(server.username, server.password)
    if given_up.is_set():
        raise OSError("it took too long")
    refused = client.send_message(message, to_addrs=receivers)
    if refused:
        raise smtplib.SMTPRecipientsRefused(refused)
    client.quit()


def _cut(client: smtplib.SMTP) -> None:
    """End the connection, if it is open, and with it a thread that waits for an answer."""
    sock = getattr(client, "sock", None)
    if sock is not None:
        try:
            sock.shutdown(2)
        except OSError:
            return


def _listed(error: smtplib.SMTPRecipientsRefused) -> str:
    return ", ".join(
        f"{who} ({code} {_text(reason)})" for who, (code, reason) in error.recipients.items()
    )


def _text(raw: bytes | str) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else raw
