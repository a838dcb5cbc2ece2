"""What a tool takes: its JSON Schema, and whether arguments fit."""

from typing import Any, Literal

import pytest

from nodes.tool_schema import check, schema
from nodes.tools import Tool, ToolRegistry
from orchestrator.exceptions import InvalidPayload


class Opaque:
    """Nothing that JSON knows."""


def search(
    query: str,
    limits: list[dict[str, float]],
    count: int = 3,
    *,
    order: Literal["up", "down"] = "up",
    near: float | None = None,
    first: Any = Opaque(),  # noqa: B008
) -> list[str]:
    """Look for something."""
    return []


def made(function: Any) -> Tool:
    registry = ToolRegistry()
    registry.register("it", function)
    return registry.get("it")


def test_a_schema_is_that_of_the_signature() -> None:
    found = schema(made(search))
    assert (found["title"], found["type"], found["required"]) == (
        "it", "object", ["query", "limits"],
    )  # fmt: skip
    assert found["additionalProperties"] is False
    shown = found["properties"]
    assert shown["query"]["type"] == "string"
    assert shown["limits"]["items"]["additionalProperties"] == {"type": "number"}
    assert (shown["count"]["type"], shown["count"]["default"]) == ("integer", 3)
    assert (shown["order"]["enum"], shown["order"]["default"]) == (["up", "down"], "up")
    assert [choice["type"] for choice in shown["near"]["anyOf"]] == ["number", "null"]
    assert "default" not in shown["first"]


def test_arguments_that_fit() -> None:
    tool = made(search)
    assert check(tool, {"query": "", "limits": []}) == []
    assert check(tool, {"query": "x", "limits": [{"a": 1}], "near": None, "first": [1]}) == []


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"query": 1}, ("query",)),
        ({"limits": [{"a": "1"}]}, ("limits", 0, "a")),
        ({"count": True}, ("count",)),
        ({"count": "3"}, ("count",)),
        ({"order": "left"}, ("order",)),
        ({"other": 1}, ("other",)),
    ],
)
def test_each_argument_that_does_not_fit_has_its_place(
    changes: dict[str, Any], place: tuple[str | int, ...]
) -> None:
    [(loc, message)] = check(made(search), {"query": "", "limits": [], **changes})
    assert loc == place and message


def test_every_problem_is_told_at_once() -> None:
    found = check(made(search), {"other": 1, "count": None})
    assert {loc for loc, _ in found} == {("query",), ("limits",), ("count",), ("other",)}


def test_what_is_no_json_type_takes_anything() -> None:
    def opaque(value: Opaque, *rest: int, **more: str) -> None: ...

    def unknown(value: "NoSuchName") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    for function in (opaque, unknown):
        assert schema(made(function))["required"] == ["value"]
        assert check(made(function), {"value": {"a": 1}}) == []
    assert check(made(opaque), {"value": 1, "more": 2}) == []
    assert schema(made(max))["additionalProperties"] is True


def test_an_object_that_can_be_called() -> None:
    class Adder:
        def __call__(self, left: int) -> int:
            return left + 1

    assert schema(made(Adder()))["properties"]["left"]["type"] == "integer"


def test_only_json_is_looked_at() -> None:
    with pytest.raises(InvalidPayload):
        check(made(search), {"query": "", "limits": [float("nan")]})
