"""A mail server of a test's own, in a thread: it keeps what it gets and refuses whom it is told."""

import socketserver
import ssl
import threading
import time
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any


class MailServer:
    """Speaks as much SMTP as a client needs.

    Args:
        login: user and password in the form of AUTH PLAIN, base64; None for a server without.
        refuses: receivers that it does not know.
        silent: it never comes to the end of its first line.
        starttls: what it needs to speak TLS from STARTTLS on; before that it takes nothing else.
    """

    def __init__(
        self,
        *,
        login: str | None = None,
        refuses: tuple[str, ...] = (),
        silent: bool = False,
        starttls: ssl.SSLContext | None = None,
    ) -> None:
        self.login, self.refuses, self.silent, self.starttls = login, refuses, silent, starttls
        self.lines: list[str] = []
        self.mails: list[tuple[str, list[str], EmailMessage]] = []
        self.connections = 0
        self.ended = threading.Event()
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "MailServer":
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> Any:
        kept = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                kept.connections += 1
                try:
                    self._talk()
                except (OSError, ValueError):
                    pass
                finally:
                    kept.ended.set()

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def _speak_tls(self) -> None:
                self.connection = kept.starttls.wrap_socket(self.request, server_side=True)
                self.rfile = self.connection.makefile("rb")
                self.wfile = self.connection.makefile("wb", 0)

            def _talk(self) -> None:
                while kept.silent:
                    self.wfile.write(b"2")
                    time.sleep(0.05)
                self._say("220 test")
                sender, receivers, allowed = "", [], kept.login is None
                plain = kept.starttls is not None
                while line := self.rfile.readline().decode().strip():
                    kept.lines.append(line)
                    word, upper = line.partition(" ")[2], line.upper()
                    if upper.startswith("EHLO") and plain:
                        self._say("250-test")
                        self._say("250 STARTTLS")
                    elif upper == "STARTTLS" and plain:
                        self._say("220 go on")
                        self._speak_tls()
                        plain = False
                    elif plain:
                        self._say("530 STARTTLS first")
                    elif upper.startswith("EHLO"):
                        self._say("250-test")
                        self._say("250 AUTH PLAIN" if kept.login else "250 SMTPUTF8")
                    elif upper.startswith("AUTH PLAIN"):
                        allowed = line.split()[-1] == kept.login
                        self._say("235 ok" if allowed else "535 wrong name or password")
                    elif not allowed:
                        self._say("530 log in first")
                    elif upper.startswith("MAIL FROM:"):
                        sender, receivers = _address(word), []
                        self._say("250 ok")
                    elif upper.startswith("RCPT TO:"):
                        known = _address(word) not in kept.refuses
                        receivers += [_address(word)] if known else []
                        self._say("250 ok" if known else "550 no such user")
                    elif upper == "DATA":
                        self._say("354 go on")
                        lines = iter(self.rfile.readline, b".\r\n")
                        raw = b"".join(one.removeprefix(b".") for one in lines)
                        mail = message_from_bytes(raw, policy=policy.default)
                        kept.mails.append((sender, receivers, mail))
                        self._say("250 taken")
                    elif upper == "QUIT":
                        self._say("221 bye")
                        return
                    else:
                        self._say("250 ok")

        return Handler


def _address(word: str) -> str:
    return word[word.index("<") + 1 : word.index(">")]
