"""uvicorn's WebSocket, which here does not wait for ever for a client that does not read.

uvicorn closes such a connection only after everything before has been sent, which never happens.
Give it to uvicorn as `--ws orchestrator.runtime.web_socket:PatientSocket`.
"""

import socket
import struct
from asyncio.transports import BaseTransport
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

PING_EVERY, PONG_WITHIN = 4.0, 7.0  # seconds
SEND_BUFFER = 64 * 1024
"""Bytes that the kernel may keep; with more, a client that has stopped would be noticed late."""


class PatientSocket(WebSocketsSansIOProtocol):
    """Cuts off a client that does not answer a ping in time.

    A ping is answered after what was sent before it has been read, so a client that is too slow for
    the feed is found by it as well.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ping_interval, self.ping_timeout = PING_EVERY, PONG_WITHIN

    def connection_made(self, transport: BaseTransport) -> None:
        """Take over a connection, whose request may have been read already."""
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER
        )
        super().connection_made(transport)

    def keepalive_timeout(self) -> None:
        """End the connection, and drop what the kernel still has for the client."""
        self.pong_timer = None
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.transport.abort()
