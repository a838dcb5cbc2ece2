"""The JSON of a one-shot graph -> a graph that can run, with everything that is wrong at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from forms.binding import has_template
from forms.templating import compile_condition
from nodes import tool_schema
from nodes.contract import NodeConfig, NodeKind
from nodes.tools import ToolRegistry
from orchestrator.engine import FlowEngine
from orchestrator.exceptions import InvalidPayload, Problem, UnknownTool
from orchestrator.execution.compiled import CompiledGraph, compile_graph
from orchestrator.flow import run_checks
from orchestrator.flow.builder import FlowBuilder, LoadedFlow
from orchestrator.flow.graph import FlowGraph
from orchestrator.flow.graph_json import GROUP, TOOL, as_written, expand
from orchestrator.flow.problems import json_path, problem_of, raise_if_any
from orchestrator.flow.processors import NodeValidator
from orchestrator.flow.schema import digest
from orchestrator.runtime.engine import flow_engine
from storage.tasks import MAX_LABELS

MAX_NODES, MAX_EDGES = 1000, 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedGraph:
    """A graph that passed every check; `digest` covers what runs of it."""

    flow: LoadedFlow
    compiled: CompiledGraph
    digest: str

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What is odd but does not keep it from running."""
        return self.compiled.warnings


def load_graph(raw: Any, engine: FlowEngine | None = None) -> LoadedGraph:
    """Build and check a graph from its JSON. Every call makes node instances of its own.

    Raises:
        WorkflowInvalid: with every problem and its path in the JSON as it came.
    """
    engine = engine or flow_engine()
    expanded, problems = expand(raw)
    builder = FlowBuilder(engine.registry.create, compile_condition)
    processors = (NodeValidator(), ToolValidator(engine.tools), loop_only)
    flow = builder.inspect(expanded, processors, node_cap=MAX_NODES, edge_cap=MAX_EDGES)
    problems += flow.problems
    known = {problem.path for problem in problems}
    problems += (p for p in run_checks.problems(flow.graph) if p.path not in known)
    raise_if_any(dict.fromkeys(as_written(raw, problem) for problem in problems))
    code = digest(flow.spec)
    compiled = compile_graph(flow.graph, recorded=True, digest=code, tools=engine.tools)
    return LoadedGraph(flow=flow, compiled=compiled, digest=code)


def loop_only(graph: FlowGraph) -> list[Problem]:
    """Find settings of which only a loop, or no worker, can keep the promise."""
    problems = []
    labels: set[str] = set()
    for node in graph.nodes.values():
        path = f"nodes[{node.index}]"
        before = len(labels)
        labels.update(node.config.options.runs_on)
        if before <= MAX_LABELS < len(labels):
            message = f"a run has one worker, and a worker at most {MAX_LABELS} labels"
            problems.append(Problem(f"{path}.data.config.runs_on", message))
        if node.node.stateful and node.node.kind is not NodeKind.PRODUCER:
            message = "remembers things from item to item; a run has one item"
            problems.append(Problem(f"{path}.type", message))
        if node.config.options.retry is not None:
            message = "a run does not try a node again: retry the run"
            problems.append(Problem(f"{path}.data.config.retry", message))
    return problems


class ToolValidator:
    """Finds tools that there are not, and arguments that do not fit; what a template will give is
    not known yet. Members of groups are looked at, too."""

    def __init__(self, tools: ToolRegistry) -> None:
        self._tools = tools

    def __call__(self, graph: FlowGraph) -> list[Problem]:
        return [problem for node in graph.nodes.values() for problem in self._check(node)]

    def _check(self, node: Any) -> Iterator[Problem]:
        path = f"nodes[{node.index}].data.form"
        for place, call in _calls(node.config):
            yield from self._fits(f"{path}{place}", call)

    def _fits(self, path: str, call: Mapping[str, Any]) -> Iterator[Problem]:
        name, arguments = call.get("tool"), call.get("arguments") or {}
        if isinstance(name, int | float):  # a form would make a text of it
            yield Problem(f"{path}.tool", "must be text")
        if not isinstance(name, str) or not isinstance(arguments, dict):
            return  # the form says so
        try:
            found = tool_schema.check(self._tools.get(name), arguments)
        except UnknownTool as error:
            yield problem_of(f"{path}.tool", error)
        except InvalidPayload:
            return  # what is no JSON is reported with its place
        else:
            for loc, message in found:
                if not _given_by_template(arguments, loc):
                    yield Problem(f"{path}.{json_path(('arguments', *loc))}", message)


def _calls(config: NodeConfig) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tools that a node calls, each with its place in the form."""
    if config.type == TOOL:
        yield "", config.form
    elif config.type == GROUP:
        yield from _members(config.form, "")


def _members(group: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    members = group.get("members")
    for index, member in enumerate(members if isinstance(members, list) else ()):
        if isinstance(member, dict):
            at = f"{place}.members[{index}]"
            yield at, member
            yield from _members(member, at)


def _given_by_template(value: Any, loc: tool_schema.Loc) -> bool:
    """Tell whether what is found wrong at a place is yet to be rendered."""
    for part in loc:
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            break  # a part that names a kind of value, not a place
    return isinstance(value, str) and has_template(value)
