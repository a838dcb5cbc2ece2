"""Prints of a process without the secrets that it has registered."""

import sys
from typing import Any, TextIO

from orchestrator.security.secret_values import scrub


class RedactedStream:
    """A text stream whose writes have no registered secrets, each write for itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(scrub(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def redact_prints() -> None:
    """Take registered secrets out of what this process prints from now on."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, RedactedStream):
            setattr(sys, name, RedactedStream(stream))
