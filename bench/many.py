"""Many loops in one runner, and large graphs.

First a runner gets a thousand loops at once: half are producers that wait for their next item, half
read queues in which nothing comes. How long until all run, what does each take of the memory, and
what do they take of a processor while nothing happens? Then workflows of up to 10,000 nodes are
validated and built, in one piece and as many loops. `backlog.py` has the memory over a million
items.

    python bench/many.py [LOOPS] [LOOPS IN A WORKFLOW] [SECONDS OF IDLING] [NODES]
"""

import gc
import sqlite3
import sys
import time
from typing import Any

import redis
from deployed import Deployed, chain, cpu, deployed, memory, tree
from sides import private_server

from forms.templating import compile_condition
from nodes.registry import NodeRegistry
from orchestrator.flow.builder import FlowBuilder
from orchestrator.flow.processors import NodeValidator, QueueMapper, WebhookPaths

LOOPS, IN_WORKFLOW, IDLE, NODES = 1000, 10, 20.0, 10_000
START_BUDGET, CPU_BUDGET, MEMORY_BUDGET = 10.0, 0.05, 150.0
BUILD_BUDGET, LINEAR_BUDGET = 2.0, 1.3
_PATIENCE = 300.0
_ROUNDS = 3
_BRANCH = 5
"""Nodes between two forks."""


def verdict(text: str, reached: bool) -> bool:
    print(f"{text}: {'reached' if reached else 'NOT reached'}", flush=True)
    return reached


# Loops


def idle(name: str, loops: int, **config: Any) -> dict[str, Any]:
    """Return a workflow whose loops have nothing to do after a first item each."""
    parts = [
        chain(
            "",
            (f"in{n}", "counter", {"form": {"interval": 3600}}),
            (f"write{n}", "queue-writer", {"config": {"queue_name": f"q{n}", **config}}),
            (f"read{n}", "queue-reader", {"config": {"queue_name": f"q{n}"}}),
            (f"out{n}", "noop", {}),
        )
        for n in range(loops // 2)
    ]
    return {
        "name": name,
        "nodes": [node for part in parts for node in part["nodes"]],
        "edges": [edge for part in parts for edge in part["edges"]],
    }


def running(system: Deployed) -> int:
    """Return how many slots run, from the database: HTTP would take what is measured."""
    path = f"file:{system.folder / 'db.sqlite3'}?mode=ro"
    database = sqlite3.connect(path, uri=True, timeout=10)
    try:
        rows = "SELECT count(*) FROM orchestrator_loopslot WHERE state = 'running'"
        return int(database.execute(rows).fetchone()[0])
    finally:
        database.close()


def until_running(system: Deployed, count: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while (found := running(system)) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {found} of {count} loops run after {_PATIENCE:.0f} s")
        time.sleep(0.1)


def parts_of(system: Deployed) -> dict[str, list[int]]:
    """Return the pids of what is measured, by name."""
    [runner] = system.runners
    supervisor, *below = tree(runner.pid)
    return {"supervisor": [supervisor], "hosts": below, "web": [system.web]}


def many_loops(loops: int, in_workflow: int, seconds: float) -> bool:
    with private_server() as url, deployed(url) as system:
        server = redis.Redis.from_url(url)
        system.start(idle("first", 2))  # the host is there, and has loaded what it needs
        until_running(system, 2)
        time.sleep(2)
        pids = [pid for part in ("supervisor", "hosts") for pid in parts_of(system)[part]]
        before = memory(pids)
        names = [f"many-{n}" for n in range(loops // in_workflow)]
        for name in names:
            system.server.send("POST", "/workflows/", idle(name, in_workflow))
        begun = time.monotonic()
        for name in names:
            system.server.send("POST", "/prod/start", {"workflow_id": name})
        asked = time.monotonic() - begun
        until_running(system, loops + 2)
        started = time.monotonic() - begun
        time.sleep(5)
        grown = (memory(pids) - before) * 1024 / loops
        taken = idling(system, server, seconds)
        clients = server.info("clients")["connected_clients"]
    print(f"{loops} loops in {len(names)} workflows: asked for within {asked:.1f} s")
    print("   ".join(f"{name} {share:.1%}" for name, share in taken.items()), "of a core, idle")
    print(f"connections to the server: {clients}")
    busy = taken["supervisor"] + taken["hosts"]
    return all(
        [
            verdict(
                f"all run after {started:.1f} s   under {START_BUDGET:g}", started < START_BUDGET
            ),
            verdict(
                f"idle, the runner takes {busy:.1%} of a core   under {CPU_BUDGET:.0%}",
                busy < CPU_BUDGET,
            ),
            verdict(
                f"each loop takes {grown:.0f} KB   under {MEMORY_BUDGET:g}", grown < MEMORY_BUDGET
            ),
        ]
    )


def idling(system: Deployed, server: redis.Redis, seconds: float) -> dict[str, float]:
    """Return the share of a core that each part takes while nothing happens."""

    def taken() -> dict[str, float]:
        used = {name: cpu(*pids) for name, pids in parts_of(system).items()}
        told = server.info("cpu")
        return {**used, "server": told["used_cpu_user"] + told["used_cpu_sys"]}

    commands = server.info("stats")["total_commands_processed"]
    before, begun = taken(), time.monotonic()
    time.sleep(seconds)
    after, passed = taken(), time.monotonic() - begun
    asked = server.info("stats")["total_commands_processed"] - commands
    print(f"the server is asked for {asked / passed:,.0f} commands a second")
    return {name: (after[name] - before[name]) / passed for name in before}


# Graphs


def one_loop(count: int) -> dict[str, Any]:
    """Return one loop that forks and joins all along, with a template in each form."""
    nodes = [{"id": "n0", "type": "counter", "data": {}}]
    edges = []
    for n in range(1, count):
        form = {"fields": {"value": f"{{{{ data.value + {n} }}}}"}}
        nodes.append({"id": f"n{n}", "type": "data-transformer", "data": {"form": form}})
        near = n - 1 if n % _BRANCH else max(0, n - 2)
        edges.append({"id": f"e{n}", "source": f"n{near}", "target": f"n{n}"})
        if n % _BRANCH == 1 and n > 2:
            edges.append({"id": f"f{n}", "source": f"n{n - 2}", "target": f"n{n}"})
    return {"name": "one", "nodes": nodes, "edges": edges}


def many_queues(count: int) -> dict[str, Any]:
    """Return loops of a producer and of a reader, four nodes each pair."""
    return idle("many", count // 2)


def build_time(builder: FlowBuilder, workflow: dict[str, Any]) -> float:
    """Return the least seconds that it takes to validate and build a workflow."""
    cap = 10 * len(workflow["nodes"])
    times = []
    for _ in range(_ROUNDS):
        gc.collect()
        begun = time.perf_counter()
        builder.load(
            workflow, (QueueMapper(), NodeValidator(), WebhookPaths()), node_cap=cap, edge_cap=cap
        )
        times.append(time.perf_counter() - begun)
    return min(times)


def large_graphs(nodes: int) -> bool:
    registry = NodeRegistry()
    registry.discover(["contenders.noop"])
    builder = FlowBuilder(registry.create, compile_condition)
    reached = True
    for shape in (one_loop, many_queues):
        seen = []
        for size in (nodes // 4, nodes // 2, nodes):
            workflow = shape(size)
            seen.append(build_time(builder, workflow))
            edges = len(workflow["edges"])
            print(f"{shape.__name__}: {size:,} nodes, {edges:,} edges: {seen[-1]:.2f} s")
        growth = seen[-1] / seen[0] / 4
        name = shape.__name__
        text = f"{name}: {nodes:,} nodes in {seen[-1]:.2f} s   under {BUILD_BUDGET:g}"
        reached &= verdict(text, seen[-1] < BUILD_BUDGET)
        text = f"{name}: 4 times the nodes take 4 x {growth:.2f}   at most {LINEAR_BUDGET:g}"
        reached &= verdict(text, growth <= LINEAR_BUDGET)
    return reached


def main(
    loops: float = LOOPS,
    in_workflow: float = IN_WORKFLOW,
    seconds: float = IDLE,
    nodes: float = NODES,
) -> int:
    graphs = large_graphs(int(nodes))
    print()
    return 0 if many_loops(int(loops), int(in_workflow), seconds) & graphs else 1


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:5])))
