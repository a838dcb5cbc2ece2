"""ToolRegistry: named functions."""

import threading
from typing import Any

import pytest

from nodes.tools import ToolRegistry, tools
from orchestrator.exceptions import DuplicateTool, InvalidRequest, RegistryError, UnknownTool


def add(left: int, right: int = 1) -> int:
    """Add two numbers."""
    return left + right


async def greet(name: str) -> str:
    return f"hello {name}"


class Counting:
    async def __call__(self, step: int) -> int:
        return step + 1


@pytest.fixture
def registry() -> ToolRegistry:
    made = ToolRegistry()
    made.register("add", add)
    made.register("greet", greet, "Say hello.")
    return made


async def test_sync_and_async_functions_are_called_alike(registry: ToolRegistry) -> None:
    assert await registry.call("add", {"left": 2, "right": 3}) == 5
    assert await registry.call("greet", {"name": "you"}) == "hello you"


async def test_an_object_with_an_async_call_is_awaited(registry: ToolRegistry) -> None:
    registry.register("count", Counting())
    assert await registry.call("count", {"step": 1}) == 2


async def test_a_plain_function_runs_in_a_thread_and_an_async_one_in_the_loop() -> None:
    async def here() -> int:
        return threading.get_ident()

    registry = ToolRegistry()
    registry.register("thread", threading.get_ident)
    registry.register("loop", here)
    assert await registry.call("loop", {}) == threading.get_ident()
    assert await registry.call("thread", {}) != threading.get_ident()


def test_names_and_descriptions(registry: ToolRegistry) -> None:
    assert registry.names() == ["add", "greet"]
    assert registry.get("add").description == "Add two numbers."
    assert registry.get("greet").description == "Say hello."
    assert "add" in registry and "os.system" not in registry


@pytest.mark.parametrize("arguments", [{}, {"left": 1, "top": 2}, {"left": 1, "self": 2}])
async def test_arguments_that_do_not_fit_are_refused_before_the_call(
    registry: ToolRegistry, arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match="'add'") as caught:
        await registry.call("add", arguments)
    assert caught.value.problems[0].path == "arguments"


async def test_a_type_error_inside_a_tool_stays_what_it_is(registry: ToolRegistry) -> None:
    with pytest.raises(TypeError):
        await registry.call("add", {"left": 1, "right": "x"})


@pytest.mark.parametrize("name", ["os.system", "", "Add"])
async def test_only_registered_names_can_be_called(registry: ToolRegistry, name: str) -> None:
    with pytest.raises(UnknownTool):
        await registry.call(name, {})


def test_a_name_belongs_to_one_function(registry: ToolRegistry) -> None:
    registry.register("add", add)
    with pytest.raises(DuplicateTool):
        registry.register("add", max)


def test_a_tool_is_a_function_with_a_name(registry: ToolRegistry) -> None:
    with pytest.raises(RegistryError):
        registry.register("", add)
    with pytest.raises(RegistryError):
        registry.register("five", 5)  # type: ignore[arg-type]


def test_modules_share_one_registry() -> None:
    assert isinstance(tools, ToolRegistry)
