"""Templates over `data`. Only this module and `environment` touch Jinja.

What a template may be is an allow-list, checked on its syntax tree before anything is compiled or
computed: expressions, filters and conditions over the item's `data`, and loops where they are
allowed (`advanced`). What it may cost is bounded: size and nesting when it is saved; numbers,
texts, iterations, output and time when it is rendered.

The result of a rendering is data. It is never looked at as a template again, and a template that
is one expression gives the expression's value as it is, so that no text is ever evaluated.
"""

from collections.abc import Callable, Iterator, Mapping
from traceback import walk_tb
from typing import Any

from jinja2 import nodes
from jinja2.environment import Template
from jinja2.exceptions import TemplateSyntaxError
from jinja2.parser import Parser
from jinja2.visitor import NodeTransformer

from forms.environment import EACH, JOIN, LoopScope, Scope, environment
from forms.limits import MAX_OUTPUT, text, too_large, weigh
from forms.syntax import MAX_SOURCE, TOO_DEEP, Refused, check
from orchestrator.exceptions import TemplateFailed, TemplateInvalid


class _Simplifier(NodeTransformer):
    """Makes `~` a filter, so that its size is checked, a tuple a list, which JSON has, and lets
    loops count their iterations."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        operands = nodes.List(node.nodes, lineno=node.lineno)
        return _filter(operands, JOIN)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return nodes.List(node.items, lineno=node.lineno)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = _filter(node.iter, EACH)
        return node


def _filter(node: nodes.Expr, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class CompiledTemplate:
    """A template ready to be rendered, many times and from any thread.

    single: it is exactly one expression, so that rendering gives a value of any JSON type.
    """

    __slots__ = ("_root", "_scope", "_source", "_template", "_weighed", "single")

    def __init__(self, source: str, tree: nodes.Template) -> None:
        output = _only_expression(tree)
        self.single = output is not None
        # A plain path gives a part of the item, whose size was checked when it was encoded.
        self._weighed = not _is_path(output)
        self._scope = Scope if tree.find(nodes.For) is None else LoopScope
        self._source = source
        tree = _Simplifier().visit(tree).set_environment(environment)
        self._template = Template.from_code(environment, environment.compile(tree), {})
        self._root = self._template.root_render_func

    def __call__(self, data: Mapping[str, Any]) -> Any:
        """Render for one item's data.

        Raises:
            TemplateFailed: a name is missing, an operation fails, or a limit is reached.
        """
        try:
            values = self._root(self._scope(data))  # type: ignore[arg-type]
            return self._value(values) if self.single else self._text(values)
        except TemplateFailed:
            raise
        except Exception as error:
            raise TemplateFailed(str(error) or type(error).__name__) from None

    def place(self, error: TemplateFailed) -> tuple[int, int] | None:
        """Return line and column of the expression that a rendering failed at, if it is known."""
        found = None
        origin: BaseException | None = error
        while origin is not None and found is None:
            for frame, line in walk_tb(origin.__traceback__):
                if frame.f_code.co_filename == self._root.__code__.co_filename:
                    found = line
            origin = origin.__context__
        if found is None:
            return None
        return _line_and_column(self._template.get_corresponding_lineno(found), self._source)

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


def parse_template(source: str, advanced: bool = False) -> None:
    """Check a template as far as that is possible without compiling or computing anything.

    advanced: whether it may have loops.

    Raises:
        TemplateInvalid: with line and column of what is wrong.
    """
    _parse(source, _template, advanced)


def compile_template(source: str, advanced: bool = False) -> CompiledTemplate:
    """Check a template and make it ready; call the result with an item's data.

    advanced: whether it may have loops.

    Raises:
        TemplateInvalid: with line and column of what is wrong.
    """
    return _compiled(*_parse(source, _template, advanced))


def compile_condition(source: str) -> Callable[[Mapping[str, Any]], bool]:
    """Make a condition, such as `data.value > 100`, ready to be asked for an item's data.

    Raises:
        TemplateInvalid: with line and column of what is wrong.
    """
    if is_template(source):
        raise TemplateInvalid("write the bare expression, without {{ }} or {% %}")
    compiled = _compiled(*_parse(source, _expression))

    def holds(data: Mapping[str, Any]) -> bool:
        return bool(compiled(data))

    return holds


def _compiled(source: str, tree: nodes.Template) -> CompiledTemplate:
    try:
        return CompiledTemplate(source, tree)
    except (SyntaxError, RecursionError, MemoryError):  # what Python cannot compile
        raise TemplateInvalid("the template cannot be compiled") from None


def _template(source: str) -> nodes.Template:
    return Parser(environment, source).parse()


def _expression(source: str) -> nodes.Template:
    parser = Parser(environment, source, state="variable")
    expression = parser.parse_expression()
    if not parser.stream.eos:
        parser.fail("the expression ends here, but more follows", parser.stream.current.lineno)
    return nodes.Template([nodes.Output([expression], lineno=1)], lineno=1)


def _parse(
    source: str, parse: Callable[[str], nodes.Template], advanced: bool = False
) -> tuple[str, nodes.Template]:
    if len(source.encode(errors="surrogatepass")) > MAX_SOURCE:
        raise TemplateInvalid(f"a template has at most {MAX_SOURCE // 1024} KB")
    source = source.replace("\r\n", "\n").replace("\r", "\n")
    try:
        tree = parse(source)
        check(tree, advanced)
    except TemplateSyntaxError as error:
        raise _located(error.message or "not a template", error.lineno, source) from None
    except Refused as error:
        raise _located(error.message, error.position, source) from None
    except RecursionError:
        raise TemplateInvalid(TOO_DEEP) from None
    except ValueError:  # Python refuses to read a number of thousands of digits.
        raise TemplateInvalid("a number is too large") from None
    return source, tree


def _located(message: str, position: int | None, source: str) -> TemplateInvalid:
    line, column = _line_and_column(position, source)
    return TemplateInvalid(message, line=line, column=column)


def _line_and_column(position: int | None, source: str) -> tuple[int, int]:
    before = source[: max(0, (position or 1) - 1)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")
