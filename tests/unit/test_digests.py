"""A digest of what is kept does not depend on how a database keeps it."""

import pytest

from orchestrator.flow.digests import digest_of
from orchestrator.flow.schema import digest


def test_a_digest_is_of_the_value_and_not_of_its_text():
    given = {"b": [-0.0, -0.05, 1.0], "a": 'say "-0.0" \\', "-0.0": {"y": 1, "x": -0.0}}
    kept = {"-0.0": {"x": 0.0, "y": 1}, "a": 'say "-0.0" \\', "b": [0.0, -0.05, 1.0]}
    assert digest_of(given) == digest_of(kept)


@pytest.mark.parametrize("other", [["0.0"], [0.0, 0.0], [-0.01], [0]])
def test_what_differs_has_another_digest(other):
    assert digest_of(other) not in (digest_of(["-0.0"]), digest_of([-0.0]))


def test_a_graph_is_the_same_after_it_was_kept():
    def graph(zero):
        form = {"fields": {"zero": zero}}
        node = {"id": "a", "type": "data-transformer", "data": {"form": form}}
        return {"name": "Zero", "entry_point": "a", "nodes": [node], "edges": []}

    assert digest(graph(-0.0)) == digest(graph(0.0))
