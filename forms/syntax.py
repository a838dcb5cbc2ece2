"""What a template may consist of: an allow-list over its syntax tree.

Nodes are told apart by the names of their classes, so that Jinja stays in `templating`. The walk
is iterative and computes nothing; a node's `lineno` is its position in the source.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from forms.functions import FILTERS, METHOD_NAMES, TESTS
from forms.limits import MAX_INTEGER

MAX_SOURCE = 16 * 1024
MAX_DEPTH = 50
MAX_NODES = 4000
MAX_COMPARISONS = 100
MAX_ELEMENTS = 100
TOO_DEEP = "the template is nested too deeply"
TOO_MANY = "the template has too many parts"
MAX_LOOPS = 4
"""How deep loops may be nested."""

LOOP_FIELDS = frozenset("index index0 revindex revindex0 first last length".split())

FILTER_NAMES = frozenset(FILTERS) | {"default", "d"}
TEST_NAMES = frozenset(TESTS) | {"defined", "undefined"}

_PLAIN = frozenset(
    "Template Output TemplateData Slice Compare Operand And Or Not CondExpr Pair Keyword If Concat "
    "Add Sub Mul Div FloorDiv Mod Pow Neg Pos".split()
)
_REASONS = {
    "For": "loops are not allowed here: they need data.config.advanced_templates",
    "Assign": "assignments are not allowed",
    "Import": "imports are not allowed",
    "FromImport": "imports are not allowed",
    "Macro": "macros are not allowed",
}
_CALLED = "only data's methods can be called"


class Refused(Exception):
    """Not on the allow-list; `position` counts from 1 in the source."""

    def __init__(self, message: str, position: int) -> None:
        self.message = message
        self.position = position
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where in the tree a node is; `names` are those that can be written there."""

    depth: int = 1
    loops: int = 0
    names: frozenset[str] = frozenset({"data"})


def check(tree: Any, advanced: bool = False) -> None:
    """Walk the whole tree; loops are allowed only in an advanced template.

    Raises:
        Refused: at the first thing that is not allowed.
    """
    comparisons = count = 0
    parents: dict[int, Any] = {}
    stack = [(tree, _Place())]
    while stack:
        node, place = stack.pop()
        kind = type(node).__name__
        count += 1
        comparisons += kind == "Operand"
        if place.depth > MAX_DEPTH or count > MAX_NODES or comparisons > MAX_COMPARISONS:
            raise Refused(_excess(place.depth, count), node.lineno)
        if kind == "For" and advanced:
            children = _parts_of_loop(node, place)
        else:
            _check_node(node, kind, place, parents.get(id(node)))
            within = replace(place, depth=place.depth + 1)
            children = [(child, within) for child in node.iter_child_nodes()]
        if kind in ("Call", "Getattr"):
            parents[id(node.node)] = node
        stack.extend(reversed(children))


def _parts_of_loop(node: Any, place: _Place) -> list[tuple[Any, _Place]]:
    """Check a loop, and return its parts, each with the names that it knows."""
    if node.recursive:
        raise Refused("a recursive loop is not allowed", node.lineno)
    if place.loops == MAX_LOOPS:
        raise Refused(f"loops are nested at most {MAX_LOOPS} deep", node.lineno)
    names = place.names - {"loop"} | _targets(node.target)
    outer = replace(place, depth=place.depth + 1)
    test = replace(outer, loops=place.loops + 1, names=names)
    body = replace(test, names=names | {"loop"})
    return [
        (node.iter, outer),
        *([(node.test, test)] if node.test else []),
        *((child, body) for child in node.body),
        *((child, outer) for child in node.else_),
    ]


def _targets(target: Any) -> frozenset[str]:
    parts = target.items if type(target).__name__ == "Tuple" else [target]
    for part in parts:
        name = part.name if type(part).__name__ == "Name" else ""
        if not name.isascii() or name in ("", "data", "loop", "range") or name.startswith("_"):
            raise Refused(f"a loop cannot give its values to {name or 'this'!r}", part.lineno)
    return frozenset(part.name for part in parts)


def _excess(depth: int, count: int) -> str:
    if depth > MAX_DEPTH:
        return TOO_DEEP
    if count > MAX_NODES:
        return TOO_MANY
    return f"a template has at most {MAX_COMPARISONS} comparisons"


def _check_node(node: Any, kind: str, place: _Place, parent: Any) -> None:
    if kind == "Name":
        _check_name(node, place, parent)
    elif kind in _CHECKS:
        _CHECKS[kind](node)
    elif kind not in _PLAIN:
        raise Refused(_REASONS.get(kind, f"{kind.lower()} is not allowed"), node.lineno)


def _check_name(node: Any, place: _Place, parent: Any) -> None:
    above = type(parent).__name__
    if above == "Call":
        if node.name != "range":
            raise Refused(f"there is no {node.name!r} here; {_CALLED}", node.lineno)
    elif node.name not in place.names:
        raise Refused(f"there is no {node.name!r} here; {_hint(node.name, place)}", node.lineno)
    elif node.name == "loop" and (above != "Getattr" or parent.attr not in LOOP_FIELDS):
        raise Refused(f"write loop.{', loop.'.join(sorted(LOOP_FIELDS))}", node.lineno)


def _hint(name: str, place: _Place) -> str:
    others = sorted(place.names - {"data"})
    return f"write data.{name}" + (f", or {', '.join(others)}" if others else "")


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
    names = [argument.key for argument in node.kwargs]
    if len(set(names)) < len(names) or not all(n.isascii() and n[0] != "_" for n in names):
        raise Refused("an argument is given twice, or has no proper name", node.lineno)


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
