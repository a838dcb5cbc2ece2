"""Template text in dead letters: shown and replayed as it is."""

import time

import pytest

from tests.integration.letters import letter, on_store, started, waiting
from tests.security.texts import S5

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("live_redis")]


def test_a_replay_hands_the_texts_in_as_they_were(api, hello_loops, renderings, tally):
    on_store(lambda queue: queue.forget("hello-loops"))
    workflow = started(hello_loops)
    client = api("operator")
    seen = tally("S5", "dead letter, replay", time.thread_time)
    for hostile in S5:
        data = {"x": hostile, hostile: {"x": [hostile]}}
        row = letter(workflow, item=data, node_input=data, message=hostile)
        with seen.attempt():
            shown = client.get(f"/dead-letters/{row.pk}/").json()
            answer = client.post(f"/dead-letters/{row.pk}/replay", {"from": "node"})
        assert answer.status_code == 202, answer.content
        entered = waiting("hello-loops")[-1]
        for found in (shown["item"], shown["node_input"], entered.item.data, entered.start.data):
            if found != data:
                seen.escaped.append((hostile, found))
        if shown["message"] != hostile:
            seen.escaped.append((hostile, shown["message"]))
    assert (renderings.compiled, renderings.rendered) == (0, 0)
