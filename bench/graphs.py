"""A state graph of five nodes beside LangGraph, without and with a checkpoint after every step.

Both run the same async functions on the same state. With checkpoints both write to SQLite files in
one folder, in WAL mode and with every commit synced to the disk: ours to a CheckpointFile, theirs
with AsyncSqliteSaver. `behind` writes while the next step runs, which is LangGraph's default
(durability="async"); `waits` begins a step when the checkpoint before it is on the disk ("sync").
Rounds are interleaved; medians are compared.

    python bench/graphs.py [ROUNDS]
"""

import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import TypedDict

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from orchestrator.checkpoint_file import CheckpointFile
from orchestrator.graphs import Graph

NODES = 5
RUNS = {"ours": 5000, "langgraph": 100}
CHECKPOINTED = {"ours": 100, "langgraph": 40}
BUDGETS = {"plain": 100, "behind": 5, "waits": 5}
NAMES = [f"n{index}" for index in range(NODES)]
Once = Callable[[str], Awaitable[object]]


class State(TypedDict):
    value: int


async def count(state: State) -> State:
    return {"value": state["value"] + 1}


def our_graph() -> Graph:
    graph = Graph("chain").set_entry_point(NAMES[0])
    for name in NAMES:
        graph.add_node(name, count)
    for source, target in pairwise(NAMES):
        graph.add_edge(source, target)
    return graph


def their_graph():
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State)
    for name in NAMES:
        graph.add_node(name, count)
    for source, target in zip([START, *NAMES], [*NAMES, END], strict=True):
        graph.add_edge(source, target)
    return graph


async def seconds(once: Once, runs: int, label: str) -> float:
    """Return the seconds of one run; every run has an id of its own."""
    gc.collect()
    begun = time.perf_counter()
    for number in range(runs):
        await once(f"{label}-{number}")
    return (time.perf_counter() - begun) / runs


async def measure(rounds: int, folder: Path) -> dict[tuple[str, str], list[float]]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    ours, theirs = our_graph(), their_graph()
    plain = theirs.compile()
    behind = CheckpointFile(folder / "behind.db", wait=False)
    waits = CheckpointFile(folder / "waits.db")
    async with AsyncSqliteSaver.from_conn_string(str(folder / "theirs.db")) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous = FULL")
        kept = theirs.compile(checkpointer=saver)

        def with_id(run: str) -> dict:
            return {"configurable": {"thread_id": run}}

        contenders: dict[tuple[str, str], Once] = {
            ("plain", "ours"): lambda run: ours.arun({"value": 0}),
            ("plain", "langgraph"): lambda run: plain.ainvoke({"value": 0}),
            ("behind", "ours"): lambda run: behind.arun(ours, run, {"value": 0}),
            ("behind", "langgraph"): lambda run: kept.ainvoke({"value": 0}, with_id(run)),
            ("waits", "ours"): lambda run: waits.arun(ours, run, {"value": 0}),
            ("waits", "langgraph"): lambda run: kept.ainvoke(
                {"value": 0}, with_id(run), durability="sync"
            ),
        }
        seen: dict[tuple[str, str], list[float]] = {key: [] for key in contenders}
        for key, once in contenders.items():
            await seconds(once, 5, f"warm-{'-'.join(key)}")
        for number in range(rounds):
            for (kind, who), once in contenders.items():
                runs = (RUNS if kind == "plain" else CHECKPOINTED)[who]
                seen[kind, who].append(await seconds(once, runs, f"{kind}-{number}"))
    for file in (behind, waits):
        checked = file.newest(f"{'behind' if file is behind else 'waits'}-0-0")
        if checked is None or checked.state != {"value": NODES}:
            raise SystemExit("a checkpoint is not what it should be")
        file.close()
    return seen


async def main(rounds: int) -> None:
    try:
        import langgraph.checkpoint.sqlite  # noqa: F401
    except ImportError:
        raise SystemExit(
            "LangGraph is not installed: pip install -r requirements-bench.txt"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        seen = await measure(rounds, Path(folder))
    medians = {key: statistics.median(found) for key, found in seen.items()}
    for kind, budget in BUDGETS.items():
        ours, theirs = medians[kind, "ours"], medians[kind, "langgraph"]
        verdict = "reached" if theirs / ours >= budget else "NOT reached"
        print(
            f"{kind:<8} ours {ours * 1e6:8.1f} us   LangGraph {theirs * 1e6:8.1f} us   "
            f"{theirs / ours:6.1f} times; at least {budget}: {verdict}"
        )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
