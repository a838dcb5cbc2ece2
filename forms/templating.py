"""Templates over `data`: the only place that touches Jinja.

What a template may be is an allow-list, checked on its syntax tree before anything is compiled or
computed: expressions, filters and conditions over the item's `data`. What it may reach is JSON:
look-ups never touch the attributes of Python objects. What it may cost is bounded: size and
nesting when it is saved; numbers, texts, output and time when it is rendered.

The result of a rendering is data. It is never looked at as a template again, and a template that
is one expression gives the expression's value as it is, so that no text is ever evaluated.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial, wraps
from time import monotonic
from typing import Any, NoReturn

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError
from jinja2.lexer import TokenStream
from jinja2.parser import Parser
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import missing
from jinja2.visitor import NodeTransformer

from forms.functions import FILTERS, METHODS, TESTS, short_range
from forms.limits import MAX_ITEMS, MAX_OUTPUT, bounded, number, text, too_large, weigh
from forms.syntax import MAX_SOURCE, Refused, check
from orchestrator.exceptions import TemplateFailed, TemplateInvalid

MAX_SECONDS = 0.25

_JSON_TYPES = frozenset((str, int, float, bool, type(None), list, dict))
_JOIN = "join the operands of ~"
"""The name of a filter that no template can write."""
_NO_METHODS: dict[str, Any] = {}
_RANGE = partial(short_range)


class _Missing(StrictUndefined):
    """What a look-up gives that finds nothing. Its message says what there is."""

    __slots__ = ()

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


class _Scope:
    """The context of one rendering: the one name `data`, and a deadline."""

    __slots__ = ("data", "deadline")

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data if isinstance(data, dict) else dict(data)
        self.deadline = monotonic() + MAX_SECONDS

    def resolve_or_missing(self, name: str) -> Any:
        if name == "data":
            return self.data
        return _RANGE if name == "range" else missing

    def tick(self) -> None:
        if monotonic() > self.deadline:
            raise TemplateFailed(f"the template takes longer than {MAX_SECONDS} s")


class _ValueCode(CodeGenerator):
    """Yields the value of an output instead of its text."""

    def _output_child_pre(self, node: Any, frame: Frame, finalize: Any) -> None:
        self.write(finalize.src)

    def _output_child_post(self, node: Any, frame: Frame, finalize: Any) -> None:
        self.write(")")


@pass_context
def _finalize(scope: Any, value: Any) -> Any:
    # Takes the context so that Jinja cannot fold constants while it compiles.
    if type(value) in _JSON_TYPES:
        return value
    if isinstance(value, _Missing):
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
        if isinstance(value, _Missing):
            value.require()
    scope.tick()
    return bounded(function(*args, **kwargs))


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


class _Environment(ImmutableSandboxedEnvironment):
    """Reaches JSON and the listed methods of JSON types, nothing else."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})
    code_generator_class = _ValueCode

    def getattr(self, obj: Any, attribute: str) -> Any:
        # The item's own fields come first: `data.items` is the field named items.
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        method = METHODS.get(type(obj), _NO_METHODS).get(attribute)
        return self._missing(obj, attribute) if method is None else partial(method, obj)

    def getitem(self, obj: Any, argument: Any) -> Any:
        try:
            if isinstance(obj, dict) or (isinstance(obj, list | str) and type(argument) is int):
                return obj[argument]
        except (LookupError, TypeError):
            pass
        return self._missing(obj, argument)

    def _missing(self, obj: Any, name: Any) -> Any:
        if isinstance(obj, _Missing):
            obj.require()
        return _Missing(obj=obj, name=name)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return attr in METHODS.get(type(obj), _NO_METHODS)

    def is_safe_callable(self, obj: Any) -> bool:
        return isinstance(obj, partial)

    def wrap_str_format(self, value: Any) -> None:
        return None

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        if not __self.is_safe_callable(__obj):
            if isinstance(__obj, _Missing):
                __obj.require()
            raise TemplateFailed(f"a {type(__obj).__name__} cannot be called")
        return _call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        context.tick()
        if operator == "+" and isinstance(left, str | list):
            return _added(left, right)
        for value in (left, right):
            if isinstance(value, _Missing):
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
        position = 0
        try:
            for _, kind, value in self.lexer.tokeniter(source, None, None, state):
                # Looked for, because `{%-` drops the white space before it.
                position = max(position, source.find(value, position))
                yield position + 1, kind, value
                position += len(value)
        except TemplateSyntaxError as error:
            raise TemplateSyntaxError(error.message or "", position + 1) from None


class _Simplifier(NodeTransformer):
    """Makes `~` a filter, so that its size is checked, and a tuple a list, which JSON has."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        operands = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(operands, _JOIN, [], [], None, None, lineno=node.lineno)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return nodes.List(node.items, lineno=node.lineno)


def _make_environment() -> _Environment:
    environment = _Environment(
        undefined=_Missing,
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
    environment.filters |= {"default": _default, "d": _default, _JOIN: _guarded(FILTERS["join"])}
    environment.tests = {name: _guarded(function) for name, function in TESTS.items()}
    environment.tests |= {
        "defined": _is_defined,
        "undefined": lambda value: not _is_defined(value),
    }
    return environment


_environment = _make_environment()


class CompiledTemplate:
    """A template ready to be rendered, many times and from any thread.

    single: it is exactly one expression, so that rendering gives a value of any JSON type.
    """

    __slots__ = ("_root", "_weighed", "single")

    def __init__(self, tree: nodes.Template) -> None:
        output = _only_expression(tree)
        self.single = output is not None
        # A plain path gives a part of the item, whose size was checked when it was encoded.
        self._weighed = not _is_path(output)
        tree = _Simplifier().visit(tree).set_environment(_environment)
        code = _environment.compile(tree)
        self._root = Template.from_code(_environment, code, {}).root_render_func

    def __call__(self, data: Mapping[str, Any]) -> Any:
        """Render for one item's data.

        Raises:
            TemplateFailed: a name is missing, an operation fails, or a limit is reached.
        """
        try:
            values = self._root(_Scope(data))  # type: ignore[arg-type]
            return self._value(values) if self.single else self._text(values)
        except TemplateFailed:
            raise
        except Exception as error:
            raise TemplateFailed(str(error) or type(error).__name__) from None

    def _value(self, values: Iterator[Any]) -> Any:
        value = next(values)
        if self._weighed:
            weigh(value)
        return value

    def _text(self, values: Iterator[Any]) -> str:
        pieces: list[str] = []
        left = MAX_OUTPUT
        for value in values:
            piece = text(value)
            left -= len(piece)
            if left < 0:
                raise too_large()
            pieces.append(piece)
        return "".join(pieces)


def _only_expression(tree: nodes.Template) -> nodes.Expr | None:
    if len(tree.body) == 1 and isinstance(output := tree.body[0], nodes.Output):
        if len(output.nodes) == 1 and not isinstance(output.nodes[0], nodes.TemplateData):
            return output.nodes[0]
    return None


def _is_path(node: nodes.Node | None) -> bool:
    while isinstance(node, nodes.Getattr) or (
        isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const)
    ):
        node = node.node
    return isinstance(node, nodes.Name)


def is_template(value: Any) -> bool:
    """Whether a raw form value is a text with template marks."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def parse_template(source: str) -> None:
    """Check a template as far as that is possible without compiling or computing anything.

    Raises:
        TemplateInvalid: with line and column of what is wrong.
    """
    _parse(source, _template)


def compile_template(source: str) -> CompiledTemplate:
    """Check a template and make it ready; call the result with an item's data.

    Raises:
        TemplateInvalid: with line and column of what is wrong.
    """
    return CompiledTemplate(_parse(source, _template))


def compile_condition(source: str) -> Callable[[Mapping[str, Any]], bool]:
    """Make a condition, such as `data.value > 100`, ready to be asked for an item's data.

    Raises:
        TemplateInvalid: with line and column of what is wrong.
    """
    if is_template(source):
        raise TemplateInvalid("write the bare expression, without {{ }} or {% %}")
    compiled = CompiledTemplate(_parse(source, _expression))

    def holds(data: Mapping[str, Any]) -> bool:
        return bool(compiled(data))

    return holds


def _template(source: str) -> nodes.Template:
    return Parser(_environment, source).parse()


def _expression(source: str) -> nodes.Template:
    parser = Parser(_environment, source, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail("the expression ends here, but more follows", parser.stream.current.lineno)
    return nodes.Template([nodes.Output([expression], lineno=1)], lineno=1)


def _parse(source: str, parse: Callable[[str], nodes.Template]) -> nodes.Template:
    if len(source.encode(errors="surrogatepass")) > MAX_SOURCE:
        raise TemplateInvalid(f"a template has at most {MAX_SOURCE // 1024} KB")
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    try:
        tree = parse(source)
        check(tree)
    except TemplateSyntaxError as error:
        raise _located(error.message or "not a template", error.lineno, source) from None
    except Refused as error:
        raise _located(error.message, error.position, source) from None
    except RecursionError:
        raise TemplateInvalid("the template is nested too deeply") from None
    except ValueError:  # Python refuses to read a number of thousands of digits.
        raise TemplateInvalid("a number is too large") from None
    return tree


def _located(message: str, position: int | None, source: str) -> TemplateInvalid:
    before = source[: max(0, (position or 1) - 1)]
    return TemplateInvalid(
        message, line=before.count("\n") + 1, column=len(before) - before.rfind("\n")
    )
