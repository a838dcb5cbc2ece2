"""What a tool takes, as JSON Schema, and whether some arguments fit."""

import inspect
from collections.abc import Mapping
from typing import Any, NotRequired, get_type_hints

from pydantic import ConfigDict, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from typing_extensions import TypedDict  # that of Python 3.11 does not keep what pydantic needs

from nodes.contract import Json
from nodes.tools import Tool
from storage.codec import encode

_LIMIT = 16 * 1024 * 1024
_CANNOT_BE_NAMED = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.VAR_POSITIONAL)
_MESSAGES = {
    "missing": "is missing",
    "extra_forbidden": "the tool takes no such argument",
}

Loc = tuple[str | int, ...]
_typed_dict: Any = TypedDict  # for mypy the fields would have to be written out


def schema(tool: Tool) -> dict[str, Any]:
    """Return the JSON Schema of a tool's arguments, from its signature.

    A parameter without an annotation, or with one that is no JSON type, takes any value.
    """
    found = _adapter(tool).json_schema()
    properties = found.setdefault("properties", {})
    for name, parameter in _parameters(tool).items():
        described = properties.get(name)
        if described is not None and parameter.default is not parameter.empty:
            described.update(_default(parameter.default))
    return {**found, "title": tool.name}


def check(tool: Tool, arguments: Mapping[str, Json]) -> list[tuple[Loc, str]]:
    """Return what is wrong with arguments, each with its place below them.

    Raises:
        InvalidPayload: they are not strict JSON.
    """
    try:
        _adapter(tool).validate_json(encode(dict(arguments), _LIMIT), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return [(e["loc"], _MESSAGES.get(e["type"]) or e["msg"]) for e in found]
    return []


def _adapter(tool: Tool) -> TypeAdapter[Any]:
    parameters = _parameters(tool)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in tool.signature.parameters.values())
    hints = _hints(tool)
    fields = {
        name: hint if parameter.default is parameter.empty else NotRequired[hint]
        for name, parameter in parameters.items()
        for hint in [_usable(hints.get(name, Any))]
    }
    shape: Any = _typed_dict("arguments", fields)
    shape.__pydantic_config__ = ConfigDict(extra="allow" if open_ended else "forbid")
    return TypeAdapter(shape)


def _parameters(tool: Tool) -> dict[str, inspect.Parameter]:
    """The parameters that can be given by name, which is how a tool is called."""
    return {
        name: parameter
        for name, parameter in tool.signature.parameters.items()
        if parameter.kind not in (*_CANNOT_BE_NAMED, parameter.VAR_KEYWORD)
    }


def _hints(tool: Tool) -> dict[str, Any]:
    function = tool.function if inspect.isroutine(tool.function) else type(tool.function).__call__
    try:
        return get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):  # an annotation of anybody's
        return {}


def _usable(hint: Any) -> Any:
    """Return the annotation, or Any for one of which there is no JSON Schema."""
    try:
        TypeAdapter(hint).json_schema()
    except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError):
        return Any
    return hint


def _default(value: Any) -> dict[str, Json]:
    try:
        encode(value)
    except Exception:  # a default may be any object; only one that JSON can show is shown
        return {}
    return {"default": value}
