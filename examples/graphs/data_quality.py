"""Clean a table until it is good enough: the functions of `data-quality.json`, in Python.

Every parameter is filled by its name: with the result of the task before, or a key of the state.
"""

from pathlib import Path

from examples.tools import quality
from nodes import files
from orchestrator.graphs import Graph, task

pipeline = (
    Graph("data quality")
    .add_node("profile", task(quality.profile))
    .add_node("anomalies", task(quality.anomalies))
    .add_node("rules", task(quality.rules))
    .add_node("apply", task(quality.apply))
    .add_node("score", task(quality.score))
    .add_node("accept", lambda state: {"verdict": "accepted"})
    .add_node("reject", lambda state: {"verdict": "rejected"})
    .add_edge("profile", "anomalies")
    .add_edge("anomalies", "rules")
    .add_edge("rules", "apply")
    .add_edge("apply", "score")
    .add_edge("score", "accept", condition=lambda state: state["score"] >= state["goal"])
    .add_edge("score", "profile", condition="data.score < data.goal", budget=5, on_limit="reject")
    .set_entry_point("profile")
)

if __name__ == "__main__":
    files.configure(Path(__file__).parent.parent / "data")
    result = pipeline.run({"path": "quality.csv", "goal": 0.98})
    rounds = result.path.count("score")
    print(result.state["verdict"], result.state["score"], f"in {rounds} rounds")  # noqa: T201
