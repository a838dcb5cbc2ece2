"""A few nodes, conditions and shorthands for the tests of orchestrator.flow."""

from typing import Any

from nodes.base import BaseNode, BlockingNode, ConditionalNode, NonBlockingNode, ProducerNode
from nodes.contract import NodeConfig, NodeOutput, PoolType
from orchestrator.exceptions import Problem, TemplateInvalid, UnknownNodeType
from orchestrator.flow.builder import FlowBuilder
from orchestrator.flow.graph import FlowGraph
from orchestrator.flow.schema import parse_workflow


class Source(ProducerNode):
    identifier = "source"


class Step(BlockingNode):
    identifier = "step"

    async def execute(self, item: NodeOutput) -> NodeOutput:
        return item

    def validate(self) -> list[Problem]:
        if "limit" in self.config.form and not isinstance(self.config.form["limit"], int):
            return [Problem("data.form.limit", "must be a number"), Problem("data.form", "wrong")]
        return []


class Branch(ConditionalNode):
    identifier = "branch"


class Switch(ConditionalNode):
    identifier = "switch"

    def ports(self) -> tuple[str, ...]:
        return tuple(self.config.form["cases"])


class Keeper(BlockingNode):
    identifier = "keeper"
    stateful = True
    execution_pool = PoolType.THREAD


class FileWriter(BlockingNode):
    identifier = "file"
    staged = True

    def writes_path(self) -> str | None:
        return self.config.form["path"]


class Reader(ProducerNode):
    identifier = "reader"
    queue_role = "reader"


class Writer(NonBlockingNode):
    identifier = "writer"
    queue_role = "writer"


class Broken(BlockingNode):
    identifier = "broken"

    def __init__(self, config: NodeConfig) -> None:
        raise RuntimeError("no luck")


TYPES: dict[str, type[BaseNode]] = {
    cls.identifier: cls
    for cls in (Source, Step, Branch, Switch, Keeper, FileWriter, Reader, Writer, Broken)
}


def create(config: NodeConfig) -> BaseNode:
    if config.type not in TYPES:
        raise UnknownNodeType(f"unknown node type '{config.type}'")
    return TYPES[config.type](config)


def compile_condition(text: str):
    if "(" in text:
        raise TemplateInvalid("unexpected '('")
    return lambda data: bool(data.get(text))


def node(node_id: str, kind: str = "step", form: Any = None, **config: Any) -> dict[str, Any]:
    return {"id": node_id, "type": kind, "data": {"form": form or {}, "config": config}}


def edge(source: str, target: str, handle: str | None = None, **more: Any) -> dict[str, Any]:
    name = f"{source}-{target}-{handle}"
    return {"id": name, "source": source, "target": target, "sourceHandle": handle, **more}


def workflow(nodes: list[dict], *edges: tuple[str, ...] | dict, **more: Any) -> dict[str, Any]:
    wired = [e if isinstance(e, dict) else edge(*e) for e in edges]
    return {"name": "test", "nodes": nodes, "edges": wired, **more}


def builder() -> FlowBuilder:
    return FlowBuilder(create, compile_condition)


def build(nodes: list[dict], *edges: tuple[str, ...] | dict, **more: Any) -> FlowGraph:
    return builder().build(parse_workflow(workflow(nodes, *edges, **more)))


def paths(problems) -> list[str]:
    return [problem.path for problem in problems]
