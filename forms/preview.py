"""What a template gives for an input, or why it gives nothing."""

from typing import Any

from forms.environment import NameMissing
from forms.paths import Path, path_of, paths, type_of
from forms.templating import CompiledTemplate, compile_template
from orchestrator.exceptions import InvalidPayload, TemplateFailed, TemplateInvalid
from storage.codec import encode

MAX_VALUE = 64 * 1024
"""Bytes of a value, and characters of its text, beyond which it is left out or cut."""
MAX_NAMES = 50
_MAX_MESSAGE = 2000
_MAX_BYTES = 64 * 1024 * 1024


def preview(source: Any, data: Any, advanced: bool = False) -> dict[str, Any]:
    """Render a template for an input, and return the value or the error; nothing is raised.

    `truncated` tells that the value was too large to be shown: `value` is then null, or the
    beginning of a text, and `text` the beginning of what would be written.
    """
    try:
        compiled = _compile(source, data, advanced)
    except TemplateInvalid as error:
        return _failed(error, (error.line, error.column), data)
    try:
        return _shown(compiled(data))
    except TemplateFailed as error:
        return _failed(error, compiled.place(error) or (1, 1), data)


def _compile(source: Any, data: Any, advanced: bool) -> CompiledTemplate:
    if not isinstance(source, str):
        raise TemplateInvalid("a template is a text")
    if not isinstance(data, dict):
        raise TemplateInvalid("an input is an object")
    return compile_template(source, advanced)


def _shown(value: Any) -> dict[str, Any]:
    try:
        size = len(encode(value, _MAX_BYTES))
    except InvalidPayload as error:
        raise TemplateFailed(error.message) from None
    written = value if isinstance(value, str) else str(value)
    truncated = max(size, len(written)) > MAX_VALUE
    shown = value
    if truncated:
        shown = value[:MAX_VALUE] if isinstance(value, str) else None
    return {
        "ok": True,
        "value": shown,
        "type": type_of(value),
        "text": written[:MAX_VALUE],
        "truncated": truncated,
    }


def _failed(
    error: TemplateInvalid | TemplateFailed, place: tuple[int, int], data: Any
) -> dict[str, Any]:
    line, column = place
    message = error.message.encode("utf-8", "backslashreplace").decode()[:_MAX_MESSAGE]
    return {
        "ok": False,
        "error": {"message": message, "line": line, "column": column},
        "names": [found["path"] for found in _available(error, data)],
    }


def _available(error: Exception, data: Any) -> list[Path]:
    """Return what can be written where it failed: what is in the thing that was looked into."""
    missing = error.__context__
    if isinstance(missing, NameMissing) and isinstance(missing.found, dict | list):
        path = path_of(missing.found, data)
        if path is not None:
            return paths(missing.found, MAX_NAMES, path)
    return paths(data, MAX_NAMES)
