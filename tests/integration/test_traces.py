"""Traces: which items are followed, where to, and that they cost nothing when they are off."""

import gzip
import http.server
import json
import subprocess
import sys
import threading
from collections import Counter

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

from nodes.base import ConditionalNode
from nodes.contract import NodeOutput
from orchestrator.execution.envelope import seal
from orchestrator.runtime.tracing import TRACEPARENT, LoopTraces
from storage.records import inbox
from tests.integration.loops import House, counter, edge, line, part, queue, sink
from tests.local_runs import ROOT, LocalRuns
from tests.waiting import until


@pytest.fixture
async def house(store, tmp_path):
    house = House(store, tmp_path)
    yield house
    await house.close()


class Recorded:
    """What loops of this process tell, in memory. Use it as `traces`."""

    def __init__(self, per_second=1_000_000):
        self._exporter = InMemorySpanExporter()
        self._provider = TracerProvider()
        self._provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self._per_second = per_second

    def __call__(self, job):
        return LoopTraces(job, self._provider.get_tracer("test"), self._per_second)

    @property
    def spans(self):
        return self._exporter.get_finished_spans()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def way(self, item_id):
        """Names and parents' names of the spans of the trace in which an item was produced."""
        first = next(s for s in self.spans if s.attributes.get("orchestrator.item") == item_id)
        trace = first.context.trace_id
        found = {s.context.span_id: s for s in self.spans if s.context.trace_id == trace}
        names = {number: span.name for number, span in found.items()}
        return {
            (span.name, names.get(span.parent.span_id) if span.parent else None)
            for span in found.values()
        }


async def test_one_trace_follows_an_item_through_every_loop(house):
    async def forget(node, item):
        return NodeOutput(item.id, item.data)  # without what it came with

    house.node(forget)
    second = [
        part("w2", "queue-writer", queue_name="q2"),
        part("r2", "queue-reader", queue_name="q2"),
    ]
    workflow = line(counter(3), part("f", "forget"), queue(), second, sink())
    traces = Recorded()
    await house.run(workflow, "in", "r", "r2", traces=traces)
    assert house.values() == [0, 1, 2]
    assert traces.way("in:1:2") == {
        ("iteration in", None),
        ("counter in", "iteration in"),
        ("forget f", "iteration in"),
        ("queue-writer w", "iteration in"),
        ("iteration r", "queue-writer w"),
        ("queue-writer w2", "iteration r"),
        ("iteration r2", "queue-writer w2"),
        ("file-writer sink", "iteration r2"),
    }
    assert len({span.context.trace_id for span in traces.spans}) == 3
    read = [span.attributes for span in traces.named("iteration r")]
    (about,) = (found for found in read if found["orchestrator.item"] == "in:1:2")
    told = {"workflow": "w", "version": 1, "activation": 1, "loop": "r", "slot": 0}
    assert {f"orchestrator.{name}": value for name, value in told.items()}.items() <= about.items()
    assert 0 <= about["orchestrator.age_seconds"] < 60


async def test_branches_and_the_background_belong_to_their_iteration(house):
    async def choose(node, item):
        node.set_output(item.data["value"] % 2 == 0)
        return item

    async def later(node, item):
        return item

    house.node(choose, ConditionalNode)
    house.behind(later)
    nodes = [counter(4), part("c", "choose"), part("l", "later"), part("x", "debug"), sink()]
    edges = ["in c", "c:yes l", "l sink", "l x"]
    traces = Recorded()
    workflow = {"name": "w", "nodes": nodes, "edges": [edge(text) for text in edges]}
    await house.run(workflow, traces=traces)
    assert traces.way("in:1:1") == {
        ("iteration in", None),
        *((name, "iteration in") for name in ("counter in", "choose c", "later l", "debug x")),
        ("file-writer sink", "iteration in"),
    }
    assert traces.way("in:1:2") == {
        ("iteration in", None),
        ("counter in", "iteration in"),
        ("choose c", "iteration in"),
    }
    for span in traces.named("later l"):
        (whole,) = (
            s for s in traces.named("iteration in") if s.context.span_id == span.parent.span_id
        )
        assert whole.end_time >= span.end_time


async def test_an_iteration_that_leaves_nothing_behind_ends_its_span(house):
    traces = Recorded()
    await house.run(line(counter(2), part("d", "debug")), traces=traces)
    items = [s.attributes["orchestrator.item"] for s in traces.named("iteration in")]
    assert items == ["in:1:1", "in:1:2"]


async def test_what_a_node_measures_itself_is_below_its_span(house):
    seen = []

    async def look(node, item):
        seen.append((item.data["value"], get_current_span().get_span_context().span_id))
        return item

    house.node(look)
    traces = Recorded(per_second=1)
    await house.run(line(counter(3), part("l", "look"), sink()), traces=traces)
    own = {span.context.span_id for span in traces.named("look l")}
    assert own == {span for _, span in seen if span}
    assert seen[0][1] and not seen[1][1]


async def test_what_a_batch_held_back_begins_a_trace(house):
    traces = Recorded()
    workflow = line(counter(3), part("b", "batch", {"size": 10}), queue(), sink())
    await house.run(workflow, "in", "r", traces=traces)
    (read,) = traces.named("iteration r")
    (writer,) = traces.named("queue-writer w")
    assert read.parent.span_id == writer.context.span_id
    produced = {s.context.trace_id for s in traces.named("counter in")}
    assert len(produced) == 3 and read.context.trace_id not in produced


def fail_at_first(house):
    """Let nodes of the type `once` refuse each item the first time."""
    seen = Counter()

    async def once(node, item):
        seen[item.id] += 1
        if seen[item.id] == 1:
            raise ValueError("not yet")
        return item

    house.node(once)


async def test_a_retry_goes_on_in_the_trace_and_says_so(house):
    fail_at_first(house)
    policy = {"max_attempts": 2, "delay": 0.01}
    traces = Recorded()
    await house.run(line(counter(2), part("o", "once", retry=policy), sink()), traces=traces)
    assert sorted(house.values()) == [0, 1]
    outcomes = Counter(
        s.attributes.get("orchestrator.outcome") for s in traces.named("iteration in")
    )
    assert outcomes == {"retried": 2, None: 2}
    for item in ("in:1:1", "in:1:2"):
        assert ("iteration in", "iteration in") in traces.way(item)
    failed = [s for s in traces.named("once o") if s.status.status_code is StatusCode.ERROR]
    assert [span.status.description for span in failed] == ["ValueError: not yet"] * 2


async def test_a_retry_of_what_was_not_followed_is_not_followed(house):
    fail_at_first(house)
    policy = {"max_attempts": 2, "delay": 1.3, "jitter": 0}  # when another trace may begin
    traces = Recorded(per_second=1)
    await house.run(line(counter(2), part("o", "once", retry=policy), sink()), traces=traces)
    items = [s.attributes["orchestrator.item"] for s in traces.named("iteration in")]
    assert items == ["in:1:1", "in:1:1"]


async def test_a_dead_letter_ends_its_trace_as_failed(house):
    async def no(node, item):
        raise LookupError("never")

    house.node(no)
    traces = Recorded()
    await house.run(line(counter(1), part("n", "no"), sink()), traces=traces)
    (span,) = traces.named("iteration in")
    assert span.attributes["orchestrator.outcome"] == "failed"
    assert span.attributes["orchestrator.failed_node"] == "n"
    assert span.status.description == "LookupError: never"


async def test_so_many_traces_begin_in_a_second_and_the_rest_pass_plainly(house):
    traces = Recorded(per_second=3)
    workflow = line(counter(2000), queue(), sink())
    await house.run(workflow, "in", "r", traces=traces)
    assert house.values() == list(range(2000))
    begun = len(traces.named("iteration in"))
    assert 3 <= begun < 2000
    assert len(traces.named("iteration r")) == begun
    entries = {s.parent.span_id for s in traces.named("iteration r")}
    assert entries == {s.context.span_id for s in traces.named("queue-writer w")}


async def test_what_comes_from_outside_begins_a_trace_or_goes_on_in_its_own(house):
    traces = Recorded()
    workflow = line(part("in", "counter", {"start": 5, "interval": 60}), sink())
    runner = house.start(workflow, traces=traces)
    above = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    unfollowed = "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
    for number, metadata in enumerate(
        [{}, {TRACEPARENT: above}, {TRACEPARENT: unfollowed}, {TRACEPARENT: ["no", 1]}]
    ):
        item = NodeOutput(f"out:{number}", {"value": number}, metadata)
        body = seal(item, activation=1, version=1, born=1.0)
        await house.store.queue.put("w", inbox("in"), body, op_id=f"op{number}")
    await until(lambda: len(house.rows()) >= 5)
    await house.stop(runner)
    found = {s.attributes["orchestrator.item"]: s for s in traces.named("iteration in")}
    assert found["out:0"].parent is None and found["out:3"].parent is None
    assert f"{found['out:1'].context.trace_id:032x}" == above[3:35]
    assert "out:2" not in found


async def test_nothing_is_added_to_items_when_traces_are_off(house):
    await house.run(line(counter(1), queue()))
    (entry,) = await house.store.queue.peek("w", "q", 10)
    assert TRACEPARENT not in entry.body.decode()


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes what the exporter sends, as an OpenTelemetry collector does."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def runs(tmp_path, redis_url):
    return LocalRuns(tmp_path, redis_url)


def test_processes_send_their_spans_and_logs_name_the_trace(runs, collector):
    runs.environment |= {
        "TRACES_PER_SECOND": "100",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.server_port}",
        "LOG_FORMAT": "json",
        "LOG_LEVEL": "INFO",
    }
    workflow = line(counter(5), queue(), part("d", "debug"), sink())
    path = runs.data_dir / "traced.json"
    path.write_text(json.dumps(workflow))
    assert runs.run("run_workflow", path) == 0, runs.told
    spans = {}
    for request in collector.received:
        for group in request.resource_spans:
            about = {a.key: a.value.string_value for a in group.resource.attributes}
            assert about["service.name"] == "workflow-orchestrator"
            for scope in group.scope_spans:
                spans |= {span.span_id: span for span in scope.spans}
    writers = {i: s for i, s in spans.items() if s.name == "queue-writer w"}
    readers = [s for s in spans.values() if s.name == "iteration r"]
    assert len(writers) == len(readers) == 5, runs.told
    for span in readers:
        assert writers[span.parent_span_id].trace_id == span.trace_id
    lines = [json.loads(x) for x in runs.told.splitlines() if x.startswith('{"timestamp"')]
    told = {x["trace_id"] for x in lines if x.get("node") == "d"}
    assert told == {span.trace_id.hex() for span in readers}


def test_without_the_package_it_says_what_to_install(runs, tmp_path):
    hidden = "import sys; sys.modules['opentelemetry'] = None; import runpy; sys.argv = sys.argv[1:]; runpy.run_path('manage.py', run_name='__main__')"  # noqa: E501
    for value, code in (("5", 1), ("", 0)):
        done = subprocess.run(
            [sys.executable, "-c", hidden, "manage.py", "nodes"],
            cwd=ROOT, env=runs.environment | {"TRACES_PER_SECOND": value},
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert ("pip install -r requirements-otel.txt" in done.stderr) == bool(value)
