"""The Jinja environment in which templates run: it reaches JSON and the listed functions.

Look-ups never touch the attributes of Python objects, and every operation that can be costly looks
at the clock or at the size of what it made.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from time import monotonic, thread_time
from typing import Any, NoReturn

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.lexer import TokenStream
from jinja2.runtime import LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing

from forms.functions import FILTERS, METHODS, TESTS, short_range
from forms.limits import MAX_ITEMS, MAX_OUTPUT, bounded, number, too_large
from forms.syntax import LOOP_FIELDS, MAX_DEPTH, MAX_NODES, TOO_DEEP, TOO_MANY
from orchestrator.exceptions import TemplateFailed

MAX_SECONDS = 0.25
MORE_SECONDS = 0.05
MAX_ITERATIONS = 10_000

JOIN = "join the operands of ~"
"""The name of a filter that no template can write."""
EACH = "go through what a loop loops over"

_JSON_TYPES = frozenset((str, int, float, bool, type(None), list, dict))
_MAX_DIGITS = 400
_NO_METHODS: dict[str, Any] = {}
_RANGE = partial(short_range)


class NameMissing(UndefinedError):
    """A look-up found nothing; `found` is what was looked into."""

    def __init__(self, found: Any, message: str) -> None:
        super().__init__(message)
        self.found = found


class Missing(StrictUndefined):
    """What a look-up gives that finds nothing. Its message says what there is."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: Any = None) -> None:
        super().__init__(hint, obj, name, partial(NameMissing, obj))  # type: ignore[arg-type]

    @property
    def _undefined_message(self) -> str:
        if self._undefined_hint:
            return self._undefined_hint
        found = self._undefined_obj
        if isinstance(found, dict):
            names = ", ".join(str(name)[:40] for name in list(found)[:10])
            return f"{self._undefined_name!r} is missing; there is {names or 'nothing'}"
        if isinstance(found, list):
            return f"{self._undefined_name!r} is missing in a list of {len(found)}"
        kind = "null" if found is None else f"a {type(found).__name__}"
        return f"{self._undefined_name!r} is missing: {kind} has no fields"

    def require(self) -> NoReturn:
        """Raise, naming what is missing."""
        self._fail_with_undefined_error()


class Scope:
    """The context of one rendering: the one name `data`, and a deadline.

    On a busy machine the clock runs on while others work. What counts beyond the deadline is the
    time of the processor.
    """

    __slots__ = ("data", "deadline", "last")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data if isinstance(data, dict) else dict(data)
        self.deadline = monotonic() + MAX_SECONDS
        self.last: float | None = None

    def resolve_or_missing(self, name: str) -> Any:
        if name == "data":
            return self.data
        return _RANGE if name == "range" else missing

    def tick(self) -> None:
        if monotonic() > self.deadline:
            self._late()

    def _late(self) -> None:
        if self.last is None:
            self.last = thread_time() + MORE_SECONDS
        if thread_time() > self.last:
            raise TemplateFailed(f"the template takes longer than {MAX_SECONDS} s")


class LoopScope(Scope):
    """The context of a template with loops, which run `left` times more, all together."""

    __slots__ = ("left",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self.left = MAX_ITERATIONS

    def each(self, values: list[Any]) -> Iterator[Any]:
        for value in values:
            self.left -= 1
            if self.left < 0:
                raise TemplateFailed(f"loops run at most {MAX_ITERATIONS} times")
            self.tick()
            yield value


class ValueCode(CodeGenerator):
    """Yields the value of an output instead of its text, looks at the clock at each comparison,
    and puts every expression on a line of its own, so that a failure can be located."""

    _depth = 0

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(node, nodes.Expr) or getattr(node, "ctx", "load") != "load":
            return super().visit(node, *args, **kwargs)
        if self._depth:
            self.newline(node)
        else:
            self.write("(")  # a line may end inside brackets only
        self._depth += 1
        super().visit(node, *args, **kwargs)
        self._depth -= 1
        if not self._depth:
            self.write(")")
        return None

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        self.write("(context.tick() or ")
        super().visit_Compare(node, frame)
        self.write(")")

    def _output_child_pre(self, node: Any, frame: Frame, finalize: Any) -> None:
        self.write(finalize.src)

    def _output_child_post(self, node: Any, frame: Frame, finalize: Any) -> None:
        self.write(")")


@pass_context
def _finalize(scope: Any, value: Any) -> Any:
    # Takes the context so that Jinja cannot fold constants while it compiles.
    if type(value) in _JSON_TYPES:
        return value
    if isinstance(value, Missing):
        value.require()
    if isinstance(value, Undefined):
        return ""  # an inline `if` without `else`
    if isinstance(value, partial):
        raise TemplateFailed("a method is not a value; call it with ()")
    raise TemplateFailed(f"a {type(value).__name__} is not a JSON value")


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    @pass_context
    @wraps(function)
    def run(scope: Any, *args: Any, **kwargs: Any) -> Any:
        return _call(scope, function, *args, **kwargs)

    return run


def _call(scope: Any, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    for value in args:
        if isinstance(value, Missing):
            value.require()
    scope.tick()
    return bounded(function(*args, **kwargs))


@pass_context
def _each(scope: Any, values: Any) -> Iterator[Any]:
    if isinstance(values, Missing):
        values.require()
    if not isinstance(values, list | dict):
        kind = "null" if values is None else f"a {type(values).__name__}"
        raise TemplateFailed(f"a loop goes through a list or an object, not through {kind}")
    return scope.each(list(values))  # type: ignore[no-any-return]


def _added(left: Any, right: Any) -> Any:
    if type(left) is not type(right):
        raise TemplateFailed(f"cannot add {type(left).__name__} and {type(right).__name__}; use ~")
    if len(left) + len(right) > (MAX_OUTPUT if isinstance(left, str) else MAX_ITEMS):
        raise too_large()
    return left + right


def _default(value: Any, default: Any = "", boolean: bool = False) -> Any:
    return default if isinstance(value, Undefined) or (boolean and not value) else value


def _is_defined(value: Any) -> bool:
    return not isinstance(value, Undefined)


class Environment(ImmutableSandboxedEnvironment):
    """Reaches JSON and the listed methods of JSON types, nothing else."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})
    code_generator_class = ValueCode

    def getattr(self, obj: Any, attribute: str) -> Any:
        # The item's own fields come first: `data.items` is the field named items.
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        method = METHODS.get(type(obj), _NO_METHODS).get(attribute)
        if method is not None:
            return partial(method, obj)
        if type(obj) is LoopContext and attribute in LOOP_FIELDS:
            return getattr(obj, attribute)
        return self._missing(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            if isinstance(obj, dict) or (isinstance(obj, list | str) and type(argument) is int):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self._missing(obj, argument)

    def _missing(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, Missing):
            obj.require()
        return Missing(obj=obj, name=name)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr in METHODS.get(type(obj), _NO_METHODS)

    def is_safe_callable(self, obj: Any) -> bool:
        return isinstance(obj, partial)

    def wrap_str_format(self, value: Any) -> None:
        return None

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if not __self.is_safe_callable(__obj):
            if isinstance(__obj, Missing):
                __obj.require()
            raise TemplateFailed(f"a {type(__obj).__name__} cannot be called")
        kwargs.pop("_loop_vars", None)  # added by Jinja inside of a loop
        return _call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        context.tick()
        if operator == "+" and isinstance(left, str | list):
            return _added(left, right)
        for value in (left, right):
            if isinstance(value, Missing):
                value.require()
            if not isinstance(value, int | float):
                raise TemplateFailed(f"{operator} does not take a {type(value).__name__}")
        if operator == "**" and abs(right) > 64:
            raise TemplateFailed("an exponent is at most 64")
        return number(self.binop_table[operator](number(left), number(right)))

    def _tokenize(
        self, source: str, name: str | None, filename: str | None = None, state: str | None = None
    ) -> TokenStream:
        # Jinja keeps lines only. Giving it offsets in their place keeps columns as well.
        return TokenStream(self.lexer.wrap(self._placed(source, state), name, filename), name, "")

    def _placed(self, source: str, state: str | None) -> Iterator[tuple[int, str, str]]:
        position = depth = count = 0
        try:
            for _, kind, value in self.lexer.tokeniter(source, None, None, state):
                # Looked for, because `{%-` drops the white space before it.
                position = max(position, source.find(value, position))
                depth += _step(kind, value)
                count += kind != "whitespace"
                if depth > MAX_DEPTH or count > MAX_NODES:
                    deep = depth > MAX_DEPTH
                    raise TemplateSyntaxError(TOO_DEEP if deep else TOO_MANY, 0)
                if kind in ("integer", "float") and len(value) > _MAX_DIGITS:
                    raise TemplateSyntaxError("the number is too large", 0)
                yield position + 1, kind, value
                position += len(value)
        except TemplateSyntaxError as error:
            raise TemplateSyntaxError(error.message or "", position + 1) from None


def _step(kind: str, value: str) -> int:
    """How much deeper a token leads; Jinja's parser calls itself for every bracket."""
    if kind != "operator":
        return 0
    return 1 if value in "([{" else -1 if value in ")]}" else 0


def _make_environment() -> Environment:
    environment = Environment(
        undefined=Missing,
        autoescape=False,
        optimized=False,
        finalize=_finalize,
        extensions=(),
        loader=None,
        cache_size=0,
        keep_trailing_newline=True,
    )
    environment.globals = {"range": _RANGE}
    environment.filters = {name: _guarded(function) for name, function in FILTERS.items()}
    environment.filters |= {"default": _default, "d": _default}
    environment.filters |= {JOIN: _guarded(FILTERS["join"]), EACH: _each}
    environment.tests = {name: _guarded(function) for name, function in TESTS.items()}
    environment.tests |= {
        "defined": _is_defined,
        "undefined": lambda value: not _is_defined(value),
    }
    return environment


environment = _make_environment()
