"""A cheap client: the same request over some connections that are kept alive, for some seconds.

    python bench/http_load.py HOST PORT PATH CONNECTIONS SECONDS < JSON with `token` and `body`

Prints how many answers came, how many were no 200, and which share of a core the client took.
"""

import asyncio
import json
import sys
import time


class Connection(asyncio.Protocol):
    """Sends the request, and again when the answer is there."""

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._received = bytearray()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers = self.failures = 0
        self.last = b""

    def connection_made(self, transport):
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data):
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        size = head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]
        if len(body) < int(size):
            return
        self.answers += 1
        if not head.startswith(b"HTTP/1.1 200"):
            self.failures += 1
            self.last = bytes(body)
        self._received.clear()
        if time.monotonic() < self._until:
            self._transport.write(self._request)
        else:
            self._transport.close()

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_result(None)


def request_of(host: str, port: int, path: str, token: str, body: object) -> bytes:
    payload = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


async def load(host: str, port: int, request: bytes, connections: int, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    began, cpu = time.monotonic(), time.process_time()
    made = [
        (await loop.create_connection(lambda: Connection(request, began + seconds), host, port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(connection.done for connection in made))
    took = time.monotonic() - began
    failed = [connection.last for connection in made if connection.failures]
    print(
        json.dumps(
            {
                "speed": sum(connection.answers for connection in made) / took,
                "failures": sum(connection.failures for connection in made),
                "failed": failed[0].decode(errors="replace")[:500] if failed else "",
                "busy": (time.process_time() - cpu) / took,
            }
        )
    )


if __name__ == "__main__":
    host, port, path, connections, seconds = sys.argv[1:]
    given = json.load(sys.stdin)
    asyncio.run(
        load(
            host,
            int(port),
            request_of(host, int(port), path, given["token"], given["body"]),
            int(connections),
            float(seconds),
        )
    )
