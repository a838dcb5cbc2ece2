"""A run that survives `kill -9`: start it again and it goes on where it was.

python -m examples.graphs.resume runs.db
"""

import sys
import time

from orchestrator.checkpoint_file import CheckpointFile
from orchestrator.graphs import Graph


def work(state):
    time.sleep(state["pause"])
    print("part", state["done"] + 1, flush=True)  # noqa: T201
    return {"done": state["done"] + 1}


parts = Graph("parts").add_node("work", work).set_entry_point("work")
parts.add_edge("work", "work", condition="data.done < data.parts")

if __name__ == "__main__":
    with CheckpointFile(sys.argv[1]) as file:
        file.run(parts, "nightly", {"done": 0, "parts": 20, "pause": 0.05})
