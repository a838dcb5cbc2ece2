"""What a line of a log says beside its message: of which workflow, loop, run, node and item it is.

Where a process begins to work for somebody, it binds that with `structlog.contextvars`. The node
and the item are found out when a line is written, and cost nothing while none is. Loggers of the
standard library and of structlog write the same lines.
"""

import json
import logging
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.stdlib import ProcessorFormatter

from orchestrator.execution import places
from orchestrator.security.redaction import redact
from orchestrator.security.secret_values import scrub

_SHOWN_FIRST = ("timestamp", "level", "logger", "message")
_SHOWN_NEXT = (
    "worker", "task", "task_type", "run", "graph", "workflow", "version", "loop", "slot", "node",
    "item", "trace_id",
)  # fmt: skip
Event = MutableMapping[str, Any]


class LineFormatter(ProcessorFormatter):
    """Formats a record with its trace and what it is about, and takes secrets out of all of that.

    Args:
        style: `text` for people; `json`: each line is an object.
    """

    def __init__(self, style: str = "text") -> None:
        super().__init__(
            processors=[
                ProcessorFormatter.remove_processors_meta,
                _redacted,
                _as_json if style == "json" else _as_text,
            ],
            foreign_pre_chain=_CHAIN,
        )

    def format(self, record: logging.LogRecord) -> str:
        return scrub(super().format(record))


def _where(logger: Any, method: str, event: Event) -> Event:
    """Add the place in the walk from which the line is written."""
    for name, value in places.here().items():
        event.setdefault(name, value)
    return event


_CHAIN: list[Any] = [
    structlog.contextvars.merge_contextvars,
    _where,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso"),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
    structlog.processors.EventRenamer("message"),
]


def _redacted(logger: Any, method: str, event: Event) -> Event:
    return redact(dict(event)).value  # type: ignore[no-any-return]


def _as_json(logger: Any, method: str, event: Event) -> str:
    return json.dumps(_ordered(event, _SHOWN_FIRST), default=str)


def _as_text(logger: Any, method: str, event: Event) -> str:
    when, level, name, message = (event.pop(key, "") for key in _SHOWN_FIRST)
    below = [str(event.pop(key)) for key in ("exception", "stack") if event.get(key)]
    about = " ".join(f"{key}={_short(value)}" for key, value in _ordered(event).items())
    line = f"{when} {level.upper()} {name} {message}"
    return "\n".join([f"{line} [{about}]" if about else line, *below])


def _ordered(event: Event, first: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what is known in the same order in each line; contexts have none."""
    names = (*first, *_SHOWN_NEXT)
    return {name: event[name] for name in names if name in event} | dict(event)


def _short(value: Any) -> str:
    text = str(value)
    return text if text and text.isprintable() and " " not in text else json.dumps(text)


def adopt_server_lines() -> None:
    """Have what uvicorn writes to the terminal, when it was started by its own command, look like
    all other lines."""
    for name in ("uvicorn", "uvicorn.access"):
        for handler in logging.getLogger(name).handlers:
            if type(handler) is logging.StreamHandler:
                handler.setFormatter(logging.root.handlers[0].formatter)


def _adopt_structlog() -> None:
    """Have structlog's loggers, which nodes may use, write to those of the standard library."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *_CHAIN,
            ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


_adopt_structlog()
