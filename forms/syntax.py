"""What a template may consist of: an allow-list over its syntax tree.

Nodes are told apart by the names of their classes, so that Jinja stays in `templating`. The walk
is iterative and computes nothing; a node's `lineno` is its position in the source.
"""

from collections.abc import Callable
from typing import Any

from forms.functions import FILTERS, METHOD_NAMES, TESTS
from forms.limits import MAX_INTEGER

MAX_SOURCE = 16 * 1024
MAX_DEPTH = 50
MAX_NODES = 4000
MAX_COMPARISONS = 100
MAX_ELEMENTS = 100

FILTER_NAMES = frozenset(FILTERS) | {"default", "d"}
TEST_NAMES = frozenset(TESTS) | {"defined", "undefined"}

_PLAIN = frozenset(
    "Template Output TemplateData Slice Compare Operand And Or Not CondExpr Pair Keyword If Concat "
    "Add Sub Mul Div FloorDiv Mod Pow Neg Pos".split()
)
_REASONS = {
    "For": "loops are not allowed here",
    "Assign": "assignments are not allowed",
    "Import": "imports are not allowed",
    "FromImport": "imports are not allowed",
    "Macro": "macros are not allowed",
}


class Refused(Exception):
    """Not on the allow-list; `position` counts from 1 in the source."""

    def __init__(self, message: str, position: int) -> None:
        self.message = message
        self.position = position
        super().__init__(message)


def check(tree: Any) -> None:
    """Walk the whole tree.

    Raises:
        Refused: at the first thing that is not allowed.
    """
    comparisons = count = 0
    callees: set[int] = set()
    stack = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        kind = type(node).__name__
        count += 1
        comparisons += kind == "Operand"
        if depth > MAX_DEPTH or count > MAX_NODES or comparisons > MAX_COMPARISONS:
            raise Refused(_excess(depth, count), node.lineno)
        if kind == "Call":
            callees.add(id(node.node))
        _check_node(node, kind, id(node) in callees)
        children = [(child, depth + 1) for child in node.iter_child_nodes()]
        stack.extend(reversed(children))


def _excess(depth: int, count: int) -> str:
    if depth > MAX_DEPTH:
        return "the template is nested too deeply"
    if count > MAX_NODES:
        return "the template has too many parts"
    return f"a template has at most {MAX_COMPARISONS} comparisons"


def _check_node(node: Any, kind: str, called: bool) -> None:
    if kind == "Name":
        _check_name(node, called)
    elif kind in _CHECKS:
        _CHECKS[kind](node)
    elif kind not in _PLAIN:
        raise Refused(_REASONS.get(kind, f"{kind.lower()} is not allowed"), node.lineno)


def _check_name(node: Any, called: bool) -> None:
    allowed = "range" if called else "data"
    if node.name != allowed:
        hint = "only data's methods can be called" if called else f"write data.{node.name}"
        raise Refused(f"there is no {node.name!r} here; {hint}", node.lineno)


def _check_getattr(node: Any) -> None:
    _check_key(node.attr, node.lineno)


def _check_getitem(node: Any) -> None:
    if type(node.arg).__name__ == "Const":
        _check_key(node.arg.value, node.lineno)


def _check_key(key: Any, position: int) -> None:
    if isinstance(key, str) and key.startswith("__"):
        raise Refused(f"{key!r} is not allowed", position)


def _check_call(node: Any) -> None:
    callee = type(node.node).__name__
    if callee == "Getattr" and node.node.attr not in METHOD_NAMES:
        raise Refused(f"the method {node.node.attr!r} is not allowed", node.lineno)
    if callee not in ("Getattr", "Name"):
        raise Refused("only methods can be called", node.lineno)
    _check_arguments(node)


def _check_filter(node: Any) -> None:
    if node.name not in FILTER_NAMES or node.node is None:
        raise Refused(f"the filter {node.name!r} is not allowed", node.lineno)
    _check_arguments(node)


def _check_test(node: Any) -> None:
    if node.name not in TEST_NAMES:
        raise Refused(f"the test {node.name!r} is not allowed", node.lineno)
    _check_arguments(node)


def _check_arguments(node: Any) -> None:
    if node.dyn_args is not None or node.dyn_kwargs is not None:
        raise Refused("* and ** arguments are not allowed", node.lineno)


def _check_const(node: Any) -> None:
    value = node.value
    if isinstance(value, int | float) and not abs(value) <= MAX_INTEGER:
        if isinstance(value, int) or abs(value) == float("inf"):
            raise Refused("the number is too large", node.lineno)


def _check_elements(node: Any) -> None:
    if len(node.items) > MAX_ELEMENTS:
        raise Refused(f"write at most {MAX_ELEMENTS} elements", node.lineno)


_CHECKS: dict[str, Callable[[Any], None]] = {
    "Getattr": _check_getattr,
    "Getitem": _check_getitem,
    "Call": _check_call,
    "Filter": _check_filter,
    "Test": _check_test,
    "Const": _check_const,
    "List": _check_elements,
    "Tuple": _check_elements,
    "Dict": _check_elements,
}
