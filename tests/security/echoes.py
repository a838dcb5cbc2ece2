"""Servers that tell everybody the password which they were given, in an error or in an answer.

Each is told one after the other: how the password is written, and where it stands.
"""

import base64
import itertools
import json
import socketserver
import struct
import threading
from typing import Any
from urllib.parse import quote

WRITTEN = {
    "as is": str,
    "base64": lambda secret: base64.b64encode(f"\0ada\0{secret}".encode()).decode(),
    "percent": lambda secret: f"url ada:{quote(secret, safe='')}@host",
    "hex": lambda secret: secret.encode().hex(),
    "json": lambda secret: json.dumps({"password": secret}),
    # What shows the beginning of a text only must take the secret out before it cuts.
    "cut at 50": lambda secret: "x" * 26 + secret,
    "cut at 500": lambda secret: "x" * 475 + secret,
    "cut at 1000": lambda secret: "x" * 965 + secret,
    "cut at 2000": lambda secret: "x" * 1970 + secret,
}


class Echo:
    """Takes connections and counts what it told. got: the passwords that it was given.

    It refuses each second login and each third command; all the others get their echo too.
    """

    def __init__(self) -> None:
        self.got: set[str] = set()
        self.told: dict[tuple[str, str], int] = {}
        self._turns = {where: itertools.count() for where in ("login", "command")}
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self) -> "Echo":
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def turn(self, where: str, secret: str) -> tuple[bool, str]:
        """Return whether to refuse, and what to say."""
        number = next(self._turns[where])
        refuses = number % (2 if where == "login" else 3) == 0
        names = list(WRITTEN)
        name = names[number // (2 if where == "login" else 3) % len(names)]
        key = (f"{where} {'refused' if refuses else 'taken'}", name)
        self.told[key] = self.told.get(key, 0) + 1
        return refuses, WRITTEN[name](secret)

    def talk(self, rfile: Any, say: Any) -> None:
        """Speak the protocol until one of both has enough."""
        raise NotImplementedError

    def _handler(self) -> Any:
        kept = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                try:
                    kept.talk(self.rfile, self.wfile.write)
                except (OSError, ValueError, struct.error):
                    return

        return Handler


class RedisEcho(Echo):
    def talk(self, rfile: Any, say: Any) -> None:
        secret = ""
        while head := rfile.readline():
            words = []
            for _ in range(int(head[1:])):
                words.append(rfile.read(int(rfile.readline()[1:])).decode())
                rfile.read(2)
            login = words[0] == "AUTH"
            if login:
                secret = words[-1]
                self.got.add(secret)
            refuses, text = self.turn("login" if login else "command", secret)
            if refuses:
                say(f"-ERR {text}\r\n".encode())
            elif login:
                say(f"+{text}\r\n".encode())
            else:
                say(b"$%d\r\n%b\r\n" % (len(text), text.encode()))
                return  # the next one logs in again


class MailEcho(Echo):
    def talk(self, rfile: Any, say: Any) -> None:
        say(b"220 test\r\n")
        secret = text = ""
        refuses = False
        while line := rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "EHLO":
                say(b"250-test\r\n250 AUTH PLAIN\r\n")
            elif word == "AUTH":
                secret = base64.b64decode(line.split()[-1]).decode().split("\0")[-1]
                self.got.add(secret)
                refuses, text = self.turn("login", secret)
                say(f"{535 if refuses else 235} {text}\r\n".encode())
            elif word == "RCPT":
                refuses, text = self.turn("command", secret)
                say(f"{550 if refuses else 250} {text}\r\n".encode())
            elif word == "DATA":
                say(b"354 go on\r\n")
                while rfile.readline() not in (b".\r\n", b""):
                    pass
                say(f"554 {text}\r\n".encode())  # after the receivers were taken
            else:
                say(f"250 {text}\r\n".encode())


class PostgresEcho(Echo):
    """Takes the password in the clear, as an old server may; a row is a number and an echo."""

    def talk(self, rfile: Any, say: Any) -> None:
        rfile.read(struct.unpack("!i", rfile.read(4))[0] - 4)
        say(_message(b"R", struct.pack("!i", 3)))
        secret = _read(rfile)[1].rstrip(b"\0").decode()
        self.got.add(secret)
        refuses, text = self.turn("login", secret)
        if refuses:
            say(_told(b"E", "FATAL", text))
            return
        say(_message(b"R", struct.pack("!i", 0)) + _told(b"N", "WARNING", text))
        for name, value in (("client_encoding", "UTF8"), ("server_version", "16.0")):
            say(_message(b"S", f"{name}\0{value}\0".encode()))
        say(_message(b"Z", b"I"))
        self._answer(rfile, say, secret)

    def _answer(self, rfile: Any, say: Any, secret: str) -> None:
        own = failed = False
        while True:
            kind, body = _read(rfile)
            if kind == b"X":
                return
            if kind == b"P":
                own = b"set_config" in body  # the node's, and not the person's
            if kind == b"S":
                failed = False
                say(_message(b"Z", b"I"))
            elif not failed:
                failed = self._step(kind, say, secret, own)
                if kind == b"E" and not own and not failed:
                    return  # the next one logs in again

    def _step(self, kind: bytes, say: Any, secret: str, own: bool) -> bool:
        """Answer one message; return whether it ends what belongs together."""
        plain = {b"P": b"1", b"B": b"2", b"C": b"3"}
        if kind in plain:
            say(_message(plain[kind], b""))
        elif kind == b"D":
            columns = b"".join(
                name + struct.pack("!ihihih", 0, 0, oid, -1, -1, 0)
                for name, oid in ((b"id\0", 25), (b"told\0", 25))
            )
            say(_message(b"T", struct.pack("!h", 2) + columns))
        elif kind == b"E" and own:
            say(_message(b"C", b"SELECT 0\0"))
        elif kind == b"E":
            refuses, text = self.turn("command", secret)
            say(_told(b"N", "NOTICE", text))
            if refuses:
                say(_told(b"E", "ERROR", text))
                return True
            cells = b"".join(struct.pack("!i", len(c)) + c for c in (text.encode(),) * 2)
            row = _message(b"D", struct.pack("!h", 2) + cells)
            say(row + row + _message(b"C", b"SELECT 2\0") + _message(b"Z", b"I"))
        return False


def _read(rfile: Any) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!ci", rfile.read(5))
    return kind, rfile.read(length - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _told(kind: bytes, severity: str, text: str) -> bytes:
    fields = {"S": severity, "V": severity, "C": "28P01", "M": text, "D": text, "H": text}
    told = "".join(f"{key}{value}\0" for key, value in fields.items())
    return _message(kind, told.encode() + b"\0")
