"""http-poll: what is new, where it goes on after a crash."""

import asyncio
import time

import pytest

from nodes.builtin.http_poll import HttpPoll
from nodes.contract import ExecutionCompleted
from nodes.testing import RecordingContext, driven
from orchestrator.exceptions import EgressDenied, NodeFailed, WorkflowInvalid
from tests.web_server import Reply, WebServer


class Source:
    """What a server has; `replies` are given one after the other, and the last one stays."""

    def __init__(self, *replies):
        self.replies = [r if isinstance(r, Reply) else Reply(data=r) for r in replies]

    def __call__(self, request):
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        etag = reply.headers.get("ETag")
        if etag and request.headers.get("if-none-match") == etag:
            return Reply(304, headers={"ETag": etag})
        return reply


@pytest.fixture
def serve(open_egress):
    servers = []

    def start(*replies):
        answer = replies[0] if callable(replies[0]) else Source(*replies)
        servers.append(WebServer(answer).__enter__())
        open_egress(f"127.0.0.1:{servers[-1].port}")
        return servers[-1]

    yield start
    for server in servers:
        server.__exit__()


def polling(server, state=None, context=None, **form):
    form = {"url": server.url, "interval": 0.01, **form}
    return driven(HttpPoll, form, state=state, context=context)


async def test_each_item_of_a_list_is_emitted_once(serve):
    server = serve([{"a": 1}, {"a": 2}, 3], [{"a": 1}, {"a": 2}, 3], [{"a": 4}])
    async with polling(server, times=3) as run:
        assert await run.all() == [{"a": 1}, {"a": 2}, {"value": 3}, {"a": 4}]
        assert isinstance(await run.item(), ExecutionCompleted)
    assert len(server.requests) == 3


async def test_an_object_is_one_item_unless_it_holds_the_list(serve):
    server = serve({"rows": [{"a": 1}, {"a": 2}]})
    async with polling(server, times=1) as run:
        assert await run.all() == [{"rows": [{"a": 1}, {"a": 2}]}]
    async with polling(server, times=1, items_field="rows") as run:
        assert await run.all() == [{"a": 1}, {"a": 2}]
    async with polling(server, times=1, items_field="other") as run:
        with pytest.raises(NodeFailed, match="no list in 'other'"):
            await run.item()


async def test_what_the_server_calls_unchanged_is_not_emitted(serve):
    one, two = Reply(data=[1], headers={"ETag": '"1"'}), Reply(data=[2], headers={"ETag": '"2"'})
    server = serve(one, one, two, two)
    async with polling(server, times=4) as run:
        assert await run.all() == [{"value": 1}, {"value": 2}]
        state = run.node.state
    assert [r.headers.get("if-none-match") for r in server.requests] == [None, '"1"', '"1"', '"2"']
    async with polling(server, state=state, times=5) as run:
        assert await run.all() == []
    assert server.requests[-1].headers["if-none-match"] == '"2"'


async def test_last_modified_is_sent_back(serve):
    date = "Sat, 21 Nov 2026 10:00:00 GMT"
    server = serve(Reply(data=[1], headers={"Last-Modified": date}))
    async with polling(server, times=2) as run:
        await run.all()
    assert [r.headers.get("if-modified-since") for r in server.requests] == [None, date]


async def test_the_cursor_is_the_greatest_of_the_items(serve):
    server = serve([{"id": 7}, {"id": 9}, {"id": 8}], [], [{"id": 10}])
    form = {"cursor": "items", "cursor_field": "id", "cursor_param": "since", "query": {"q": "x"}}
    async with polling(server, times=4, **form) as run:
        await run.all()
    sent = [request.query for request in server.requests]
    assert sent == [
        {"q": ["x"]}, {"q": ["x"], "since": ["9"]}, {"q": ["x"], "since": ["9"]},
        {"q": ["x"], "since": ["10"]},
    ]  # fmt: skip


async def test_a_cursor_may_be_a_field_of_the_answer(serve):
    server = serve({"rows": [1], "next": "abc"}, {"rows": []}, {"rows": [2], "next": "abd"})
    form = {"cursor": "answer", "cursor_field": "next", "cursor_param": "c", "items_field": "rows"}
    async with polling(server, times=4, **form) as run:
        assert await run.all() == [{"value": 1}, {"value": 2}]
    assert [r.query.get("c") for r in server.requests] == [None, ["abc"], ["abc"], ["abd"]]


async def test_after_a_crash_it_goes_on_within_the_answer(serve):
    rows = [{"id": n} for n in range(5)]
    server = serve(Reply(data=rows, headers={"ETag": '"1"'}))
    async with polling(server, times=1) as run:
        assert [await run.data() for _ in range(3)] == rows[:3]
        state = run.node.state
    # One more has come behind those that were emitted.
    server.answer = Source([*rows, {"id": 5}])
    async with polling(server, state=state, times=1, interval="1h") as run:
        assert await run.all() == [{"id": 3}, {"id": 4}, {"id": 5}]
    assert "if-none-match" not in server.requests[-1].headers


async def test_after_a_crash_an_answer_that_begins_otherwise_is_emitted_as_a_whole(serve):
    server = serve([1, 2, 3])
    async with polling(server, times=1) as run:
        await run.data()
        await run.data()
        state = run.node.state
    server.answer = Source([0, 1, 2, 3])
    async with polling(server, state=state, times=1) as run:
        assert [data["value"] for data in await run.all()] == [0, 1, 2, 3]


async def test_the_committed_cursor_is_that_of_answers_emitted_to_the_end(serve):
    server = serve([{"id": 1}, {"id": 2}])
    form = {"cursor": "items", "cursor_field": "id", "cursor_param": "since"}
    async with polling(server, times=1, **form) as run:
        await run.data()
        assert run.node.state["cursor"] is None
        await run.data()
        assert run.node.state["cursor"] == 2


@pytest.mark.parametrize("status", [400, 404, 500, 503])
async def test_a_status_that_is_an_error_is_raised_and_asked_again(serve, status):
    server = serve(Reply(status), [1])
    async with polling(server, times=1) as run:
        with pytest.raises(NodeFailed, match=f"status {status}"):
            await run.item()
        assert run.node.state is None
        assert await run.all() == [{"value": 1}]


async def test_it_waits_as_long_as_the_server_asks_for(serve):
    server = serve(Reply(503, headers={"Retry-After": "1"}), [1])
    async with polling(server, times=1) as run:
        begun = time.monotonic()
        with pytest.raises(NodeFailed):
            await run.item()
        assert await run.all() == [{"value": 1}]
        assert time.monotonic() - begun > 0.9


async def test_it_waits_between_two_requests_and_may_be_cancelled_there(serve):
    server = serve([1], [2])
    async with polling(server, interval="1h") as run:
        assert await run.data() == {"value": 1}
        state = run.node.state
        waiting = asyncio.create_task(run.item())
        done, _ = await asyncio.wait([waiting], timeout=0.1)
        assert not done
        waiting.cancel()
        assert (await asyncio.gather(waiting, return_exceptions=True))[0].__class__.__name__ == (
            "CancelledError"
        )
        assert run.node.state == state
    assert len(server.requests) == 1


async def test_on_the_bench_it_asks_at_once_and_says_when_nothing_is_new(serve):
    server = serve([{"a": 1}])
    bench = RecordingContext(mode="bench")
    async with polling(server, context=bench, interval="1h") as run:
        assert await run.data() == {"a": 1}
        with pytest.raises(NodeFailed, match="nothing new"):
            await run.item()
    assert len(server.requests) == 2


async def test_what_is_closed_is_not_polled(serve):
    server = serve([1])
    async with driven(HttpPoll, {"url": f"http://127.0.0.2:{server.port}"}) as run:
        with pytest.raises(EgressDenied):
            await run.item()


@pytest.mark.parametrize(
    ("form", "path"),
    [
        ({"url": "http://a.test/{{ data.x }}"}, "url"),
        ({"interval": 0}, "interval"),
        ({"cursor": "items", "cursor_param": "since"}, "cursor_field"),
        ({"headers": {"Host": "x"}}, "headers"),
        ({"times": 0}, "times"),
    ],
)
async def test_settings_that_cannot_work_are_refused(form, path):
    with pytest.raises(WorkflowInvalid) as refused:
        async with driven(HttpPoll, {"url": "http://a.test", **form}):
            pass
    assert [problem.path for problem in refused.value.problems] == [f"data.form.{path}"]
