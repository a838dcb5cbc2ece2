"""A WebSocket client that talks to an ASGI application directly."""

import json
from typing import Any

from asgiref.testing import ApplicationCommunicator


class Socket:
    """One socket. `messages()` and `receive()` wait; a close is returned by `closed()`."""

    def __init__(self, application: Any, path: str, headers: dict[str, str] | None = None) -> None:
        encoded = [(k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()]
        path, _, query = path.partition("?")
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": encoded,
            "subprotocols": [],
        }
        self._app = ApplicationCommunicator(application, scope)

    async def open(self) -> None:
        await self._app.send_input({"type": "websocket.connect"})
        assert (await self._app.receive_output(5))["type"] == "websocket.accept"

    async def send(self, message: Any) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self._app.send_input({"type": "websocket.receive", "text": text})

    async def send_bytes(self, body: bytes) -> None:
        await self._app.send_input({"type": "websocket.receive", "bytes": body})

    async def receive(self) -> dict[str, Any]:
        """Return the next message."""
        output = await self._app.receive_output(5)
        assert output["type"] == "websocket.send", output
        return json.loads(output["text"])

    async def receive_type(self, kind: str) -> dict[str, Any]:
        """Return the next message of a type; the others before it are skipped."""
        while (message := await self.receive())["type"] != kind:
            pass
        return message

    async def closed(self) -> int:
        """Return the code with which the server closes; what comes before is skipped."""
        while (output := await self._app.receive_output(5))["type"] != "websocket.close":
            pass
        return output["code"]

    async def leave(self) -> None:
        """Close the socket from the client's end and wait until the server is done."""
        await self._app.send_input({"type": "websocket.disconnect", "code": 1000})
        await self._app.wait(5)
