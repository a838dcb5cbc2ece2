"""W1: five no-op nodes in one process, beside a plain await loop and LangGraph.

Ours is a whole FlowRunner: a producer and four blocking nodes, statistics on, the feed published
four times a second, and each iteration committed to the memory store. The plain loop awaits the
same five node objects and does nothing else. Rounds are interleaved; medians are compared.

    python bench/chain.py [ROUNDS]
"""

import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nodes.base import BlockingNode, ProducerNode
from nodes.contract import ExecutionCompleted, NodeConfig, NodeOutput
from nodes.tools import ToolRegistry
from orchestrator.execution.context import Scope
from orchestrator.execution.job import LoopJob
from orchestrator.execution.runner import FlowRunner
from orchestrator.flow.analyzer import FlowAnalyzer
from orchestrator.flow.graph import Edge, FlowGraph, FlowNode
from orchestrator.runtime.publisher import Publisher
from storage.datastore import open_store
from storage.records import Lease

NODES = 5
ITERATIONS = 200_000
GRAPH_RUNS = 300
PLAIN_BUDGET, LANGGRAPH_BUDGET = 0.35, 300


class Source(ProducerNode):
    identifier = "source"
    left = ITERATIONS

    async def execute(self, item):
        self.left -= 1
        return item if self.left >= 0 else ExecutionCompleted()


class Pass(BlockingNode):
    identifier = "pass"

    async def execute(self, item):
        return item


def chain(part: type[BlockingNode] = Pass) -> FlowGraph:
    graph = FlowGraph(name="chain")
    for index, node_class in enumerate([Source, *[part] * (NODES - 1)]):
        config = NodeConfig(id=str(index), type=node_class.identifier)
        node = node_class(config)
        graph.add(FlowNode(id=config.id, type=config.type, index=index, config=config, node=node))
        if index:
            graph.connect(Edge(id=f"e{index}", source=str(index - 1), target=config.id))
    return graph


async def plain() -> float:
    """Return node executions a second of a loop that only awaits."""
    nodes = [Pass(NodeConfig(id=str(index), type="pass")) for index in range(NODES)]
    item = NodeOutput("item", {})
    begun = time.perf_counter()
    for _ in range(ITERATIONS):
        for node in nodes:
            item = await node.execute(item)
    return NODES * ITERATIONS / (time.perf_counter() - begun)


async def ours(part: type[BlockingNode] = Pass) -> float:
    """Return node executions a second of a FlowRunner."""
    graph = chain(part)
    [loop] = FlowAnalyzer(graph).loops()
    store = open_store("memory://")
    tools = ToolRegistry()
    scope = Scope(workflow="w", version=1, activation=1, loop=loop.id, tools=tools)
    lease = Lease(workflow="w", loop=loop.id, slot=0, token=1)
    runner = FlowRunner(
        LoopJob(graph=graph, loop=loop, scope=scope, lease=lease, store=store.queue)
    )
    publisher = Publisher(store.feed)

    async def feed() -> None:
        while True:
            await asyncio.sleep(0.25)
            publisher.update("w", lease.name, runner.snapshot())
            await publisher.publish()

    feeding = asyncio.create_task(feed())
    begun = time.perf_counter()
    await runner.run()
    seconds = time.perf_counter() - begun
    feeding.cancel()
    counts = [node["count"] for node in runner.snapshot()["nodes"].values()]
    if counts != [ITERATIONS] * NODES:
        raise SystemExit(f"not every node ran {ITERATIONS} times: {counts}")
    return NODES * ITERATIONS / seconds


async def langgraph() -> float | None:
    """Return node executions a second of a LangGraph chain, or None without the package."""
    try:
        from langgraph.graph import END, START, StateGraph
    except ImportError:
        return None
    graph = StateGraph(dict)
    names = [f"n{index}" for index in range(NODES)]

    async def no_op(state: dict) -> dict:
        return state

    for name in names:
        graph.add_node(name, no_op)
    for source, target in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(source, target)
    compiled = graph.compile()
    await compiled.ainvoke({"value": 1})
    begun = time.perf_counter()
    for _ in range(GRAPH_RUNS):
        await compiled.ainvoke({"value": 1})
    return NODES * GRAPH_RUNS / (time.perf_counter() - begun)


def report(name: str, ratio: float, budget: float) -> None:
    verdict = "reached" if ratio >= budget else "NOT reached"
    print(f"ours / {name:<10} {ratio:10.2f}   at least {budget:g}: {verdict}")


async def main(rounds: int) -> None:
    contenders = {"plain await": plain, "ours": ours, "langgraph": langgraph}
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            speed = await measure()
            if speed is not None:
                seen[name].append(speed)
    medians = {name: statistics.median(speeds) for name, speeds in seen.items() if speeds}
    for name, speed in medians.items():
        print(f"{name:<12} {speed:12,.0f} node executions/s")
    report("plain", medians["ours"] / medians["plain await"], PLAIN_BUDGET)
    if "langgraph" in medians:
        report("langgraph", medians["ours"] / medians["langgraph"], LANGGRAPH_BUDGET)
    else:
        print("LangGraph is not installed: pip install -r requirements-bench.txt")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
