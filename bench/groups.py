"""W3: a group of 100 members and a join in one process, beside `asyncio.gather` and LangGraph Send.

Ours is a whole run of a graph: a group node with 100 members, and a node that adds up what they
returned. `gather` awaits the same coroutine functions and calls the same function; LangGraph sends
one state to each of 100 tasks and joins them by a reducer. Rounds are interleaved; medians are
compared.

    python bench/groups.py [ROUNDS]
"""

import asyncio
import operator
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orchestrator.graphs import Graph, Group

MEMBERS = 100
RUNS = 500
LANGGRAPH_RUNS = 15
BUDGET = 0.5

NAMES = [f"m{number}" for number in range(MEMBERS)]
EXPECTED = MEMBERS * 2


async def member(state: dict) -> int:
    return state["value"] + 1


def join(state: dict) -> dict:
    return {"total": sum(state[name] for name in NAMES)}


async def groups_a_second(run: Callable[[], Awaitable[dict]], runs: int) -> float:
    if (await run())["total"] != EXPECTED:
        raise SystemExit("a group did not add up to what its members return")
    begun = time.perf_counter()
    for _ in range(runs):
        await run()
    return runs / (time.perf_counter() - begun)


async def gather() -> float:
    """Return groups a second of `asyncio.gather` and a call."""
    state = {"value": 1}

    async def run() -> dict:
        found = await asyncio.gather(*[member(state) for _ in NAMES])
        return join(dict(zip(NAMES, found, strict=True)))

    return await groups_a_second(run, RUNS)


async def ours() -> float:
    """Return groups a second of runs of a graph."""
    graph = Graph("w3").add_node("group", Group("group", dict.fromkeys(NAMES, member)))
    graph.add_node("join", join).add_edge("group", "join").set_entry_point("group")

    async def run() -> dict:
        return (await graph.arun({"value": 1})).state

    return await groups_a_second(run, RUNS)


async def langgraph() -> float | None:
    """Return groups a second of LangGraph Send, or None without the package."""
    try:
        from langgraph.graph import END, START, StateGraph
        from langgraph.types import Send
    except ImportError:
        return None

    class State(TypedDict, total=False):
        value: int
        found: Annotated[list[int], operator.add]
        total: int

    async def member_node(state: State) -> State:
        return {"found": [await member(state)]}

    async def join_node(state: State) -> State:
        return {"total": sum(state["found"])}

    graph = StateGraph(State)
    graph.add_node("member", member_node)
    graph.add_node("join", join_node)
    graph.add_conditional_edges(
        START, lambda state: [Send("member", state) for _ in NAMES], ["member"]
    )
    graph.add_edge("member", "join")
    graph.add_edge("join", END)
    compiled = graph.compile()
    return await groups_a_second(lambda: compiled.ainvoke({"value": 1}), LANGGRAPH_RUNS)


async def main(rounds: int) -> int:
    contenders = {"asyncio.gather": gather, "ours": ours, "LangGraph Send": langgraph}
    seen: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            speed = await measure()
            if speed is not None:
                seen[name].append(speed)
    medians = {name: statistics.median(speeds) for name, speeds in seen.items() if speeds}
    for name, speed in medians.items():
        print(f"{name:<16} {speed:10,.0f} groups of {MEMBERS}/s")
    if "LangGraph Send" in medians:
        print(f"ours / LangGraph Send {medians['ours'] / medians['LangGraph Send']:8.1f}")
    else:
        print("LangGraph is not installed: pip install -r requirements-bench.txt")
    ratio = medians["ours"] / medians["asyncio.gather"]
    verdict = "reached" if ratio >= BUDGET else "NOT reached"
    print(f"ours / asyncio.gather {ratio:8.2f}   at least {BUDGET:g}: {verdict}")
    return 0 if ratio >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)))
