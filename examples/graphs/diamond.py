from orchestrator.graphs import Graph

graph = (
    Graph("diamond")
    .add_node("load", lambda state: {"orders": [12, 7, 30]})
    .add_node("total", lambda state: {"total": sum(state["orders"])})
    .add_node("largest", lambda state: {"largest": max(state["orders"])})
    .add_node("report", lambda state: {"text": f"{state['total']}, at most {state['largest']}"})
    .add_edge("load", "total").add_edge("load", "largest")
    .add_edge("total", "report").add_edge("largest", "report")
    .set_entry_point("load")
)  # fmt: skip
print(graph.run().state["text"])  # noqa: T201
