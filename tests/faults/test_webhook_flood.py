"""A flood of webhook requests while Redis is paused: what was answered 202 is worked on once."""

import asyncio
from collections import Counter

import httpx
import pytest

from tests.faults.workflows import ITEMS, linked, sink
from tests.waiting import eventually, until

pytestmark = pytest.mark.fault
AT_ONCE = 60
PAUSE = 5
"""Seconds, as long as a client waits for an answer of Redis."""


def hook(path):
    form = {"path": path, "check": "none"}
    return {"id": "hook", "type": "webhook", "data": {"form": form}}


class Flood:
    """Sends numbered requests, a few at once. Even numbers have a key and are sent again until
    they are taken; odd ones are sent once."""

    def __init__(self, url):
        self.url = url
        self.taken = set()
        self.answers = Counter()

    async def send_all(self, numbers):
        waiting = iter(numbers)
        limits = httpx.Limits(max_connections=AT_ONCE)
        async with httpx.AsyncClient(timeout=30, limits=limits) as client:

            async def work():
                for number in waiting:
                    await self._send(client, number)

            await asyncio.gather(*(work() for _ in range(AT_ONCE)))

    async def _send(self, client, number):
        keyed = number % 2 == 0
        headers = {"Idempotency-Key": f"n-{number}"} if keyed else {}
        while True:
            answer = await client.post(self.url, json={"n": number}, headers=headers)
            self.answers[answer.status_code] += 1
            if answer.status_code == 202:
                self.taken.add(number)
                return
            assert answer.status_code in (429, 503), answer.text
            assert int(answer.headers["Retry-After"]) > 0
            if not keyed:
                return
            await asyncio.sleep(0.2)


def test_a_flood_while_redis_is_paused(deployment, nemesis, section):
    deployment.start_runner()
    workflow = deployment.create(linked("Flood", hook("flood"), sink("out.jsonl")))
    deployment.post("/prod/start", workflow)
    deployment.wait_for(workflow, "running")
    flood = Flood(f"{deployment.url}/webhooks/flood")

    async def storm():
        sending = asyncio.create_task(flood.send_all(range(ITEMS)))
        await until(lambda: len(flood.taken) >= ITEMS / 8, 120)
        with nemesis.redis_paused():
            await asyncio.sleep(PAUSE)
        await sending

    asyncio.run(storm())

    def rows():
        return Counter(row["body"]["n"] for row in deployment.rows("out.jsonl"))

    eventually(lambda: flood.taken <= rows().keys(), 60)
    deployment.post("/prod/stop", workflow)
    deployment.wait_for(workflow, "stopped")
    worked = rows()
    lost, twice = flood.taken - worked.keys(), [n for n, times in worked.items() if times > 1]
    untold = worked.keys() - flood.taken
    section(
        "webhook flood, Redis paused for 5 s",
        f"{ITEMS} requests, answers {dict(flood.answers)}, taken {len(flood.taken)}, "
        f"lost {len(lost)}, twice {len(twice)}, worked on without a 202 {len(untold)}",
    )
    assert (lost, twice) == (set(), [])
    assert flood.answers[503] > 0, "the pause was not felt"
    assert {n for n in range(ITEMS) if n % 2 == 0} <= flood.taken
    assert all(n % 2 for n in untold)
    assert deployment.dead_letters(workflow) == []
