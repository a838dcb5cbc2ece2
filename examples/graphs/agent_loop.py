"""An agent: a task decides what is done next, jumps to it, and comes back until it is content.

`think` is left by jumps alone; `search` turns its pages with `next_iteration`; `look_up` is a new
task, which no edge leads to.
"""

from orchestrator.graphs import Graph, task

PAGES = [["walk", "run"], ["plan"], ["walk", "commit"]]


def think(state, context):
    if "found" not in state:
        context.next_task("search")
    elif "meaning" not in state:
        context.next_task(look_up)
    else:
        context.next_task("answer")


def search(state, context):
    """Look for the word page by page; the edge back to `think` waits for the last round."""
    page = state.get("page", 0)
    if state["word"] in PAGES[page]:
        return {"found": page}
    context.next_iteration({**state, "page": page + 1})


def look_up(state, context):
    context.next_task("think")
    return {"meaning": f"'{state['word']}' is on page {state['found']}"}


@task
def answer(meaning):
    return {"answer": f"{meaning}."}


agent = (
    Graph("agent")
    .add_node("think", think)
    .add_node("search", search)
    .add_node("answer", answer)
    .add_edge("search", "think")
    .set_entry_point("think")
)

if __name__ == "__main__":
    result = agent.run({"word": "commit"})
    print(result.state["answer"], "by way of", " -> ".join(result.path))  # noqa: T201
