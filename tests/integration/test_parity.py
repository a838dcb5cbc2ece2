"""`manage.py parity`: what it finds, what it does not report, and what it leaves alone."""

import io
import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from orchestrator.conf import orchestrator_settings
from orchestrator.engine import SlotAssignment
from orchestrator.models import Workflow
from orchestrator.runtime.engine import flow_engine
from orchestrator.runtime.taps import Taps
from orchestrator.security.actors import SYSTEM
from orchestrator.services import workflows
from orchestrator.services.bench.cache import BenchCache, CachedOutput, Origin, payload
from orchestrator.services.stores import with_store
from tests.integration.loops import counter, edge, line, part, queue, sink

ROOT = Path(__file__).parents[2]
ACCESS = '127.0.0.1 - - [21/Nov/2026:16:00:00 +0000] "GET /%d HTTP/1.1" %d -\n'


@pytest.fixture
def parity(tmp_path):
    """Compare a workflow and return the exit code and what was printed."""

    def run(workflow, *options):
        if isinstance(workflow, dict):
            path = tmp_path / "workflow.json"
            path.write_text(json.dumps(workflow))
            workflow = path
        told = io.StringIO()
        try:
            call_command("parity", str(workflow), *map(str, options), stdout=told, no_color=True)
        except SystemExit as end:
            return end.code, told.getvalue()
        return 0, told.getvalue()

    return run


@pytest.fixture
def lines(tmp_path):
    """Write a file of JSON lines."""

    def write(*values):
        path = tmp_path / "items.jsonl"
        path.write_text("".join(json.dumps(value) + "\n" for value in values))
        return path

    return write


def files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["hello-loops", "orders"])
def test_an_example_has_no_differences(parity, name):
    code, told = parity(ROOT / "examples" / f"{name}.json")
    assert code == 0, told
    assert "no differences in " in told


def test_log_triage_has_no_differences(parity):
    log = orchestrator_settings().files_dir / "logs/access.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("".join(ACCESS % (n, 500 if n % 3 else 200) for n in range(9)) + "no access\n")
    code, told = parity(ROOT / "examples/log-triage.json")
    assert code == 0, told
    assert "8 file-writer: 1 compared, no differences\n" in told
    assert "  7 batch: 1 item flushed in production\n" in told


def test_it_is_a_command_with_an_exit_code(tmp_path):
    path = tmp_path / "clock.json"
    path.write_text(json.dumps(line(counter(3), part("c", "clock"))))
    command = [sys.executable, "manage.py", "parity", str(path), "--seed", "7"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 1, ended.stderr
    assert "c clock: 3 compared, 3 differences\n" in ended.stdout
    assert ended.stdout.endswith("3 differences in 6 outputs of 2 nodes (seed 7)\n")


def test_nothing_is_written_for_production(parity):
    folder = orchestrator_settings().files_dir
    parity(line(counter(1), sink("untouched.jsonl")))
    before = files(folder)
    code, told = parity(line(counter(5), sink("untouched.jsonl", mode="replace")))
    assert code == 0 and "sink file-writer: 5 compared, no differences" in told
    assert files(folder) == before
    assert not (folder / "untouched.jsonl").exists()


def test_a_difference_is_told_once_with_both_sides(parity):
    after = part("after", "data-transformer", {"fields": {"double": "{{ data.value * 2 }}"}})
    code, told = parity(line(counter(20), part("c", "clock"), after))
    assert code == 1
    assert "c clock: 20 compared, 20 differences\n  item in:1:1, output.at\n    bench:  " in told
    assert "  and 10 more\n" in told
    assert "after data-transformer: 20 compared, no differences, 20 that follow" in told


def test_what_depends_on_the_pool_differs(parity):
    bound = part("b", "thread-bound")
    assert parity(line(counter(3), bound))[0] == 0
    code, told = parity(line(counter(3), bound, part("x", "debug", pool="thread")))
    assert code == 1
    assert "output.known\n    bench:      true\n    production: false\n" in told


def test_a_change_in_place_is_seen_by_who_else_has_the_item(parity):
    workflow = line(counter(3), part("a", "spoiler"))
    workflow["nodes"].append(part("b", "debug"))
    workflow["edges"].append(edge("in b"))
    code, told = parity(workflow)
    assert code == 1
    found = told.partition("b debug: ")[2]
    assert "output.spoiled\n    bench:      (absent)\n    production: true\n" in found


def test_what_depends_on_the_order_of_arrival_differs(parity):
    code, told = parity(line(counter(20), part("a", "arrival")), "--seed", 1)
    assert code == 1 and "output.place" in told


def test_items_come_out_of_a_queue_in_another_order(parity):
    batch = part("b", "batch", {"size": 1})  # which keeps its loop in order
    code, told = parity(line(counter(20), batch, *queue(), part("a", "arrival")), "--seed", 1)
    assert code == 1 and "output.place" in told


def test_a_loop_of_the_process_pool_is_alone_with_its_modules(parity):
    workflow = line(
        counter(1), part("a", "arrival"), *queue(), part("b", "arrival", pool="process")
    )
    code, told = parity(workflow)
    assert code == 0, told


@pytest.mark.parametrize(
    ("kind", "found"),
    [("pair", "<tuple (1, 2)>"), ("number-keys", "<int 1>")],
)
def test_what_json_cannot_hold_differs(parity, kind, found):
    code, told = parity(line(counter(2), part("n", kind)))
    assert code == 1
    assert found in told


def test_a_failure_is_compared_too(parity):
    code, told = parity(line(counter(5), part("n", "fails-at-two"), sink()))
    assert code == 0, told
    assert "n fails-at-two: 5 compared, no differences" in told
    assert "sink file-writer: 4 compared" in told
    code, told = parity(line(counter(4), part("n", "fails-elsewhere"), sink()))
    assert code == 1


def test_a_retry_is_left_out(parity):
    retry = {"max_attempts": 3, "delay": 30}
    code, told = parity(line(counter(3), part("n", "fails-at-two", retry=retry)))
    assert code == 0, told


def test_what_a_failure_cuts_off_is_no_difference(parity):
    workflow = line(counter(3), part("a", "fails-at-two"))
    workflow["nodes"] += [part("wait", "static-delay", {"seconds": 0.3}), part("b", "debug")]
    workflow["edges"] += [edge("in wait"), edge("wait b")]
    code, told = parity(workflow)
    assert code == 0, told
    assert "b debug: 1 item of one side only" in told


def test_a_condition_that_fails_is_compared(parity):
    workflow = line(counter(2), part("a", "debug"))
    workflow["edges"][0]["condition"] = "data.absent.deep"
    code, told = parity(workflow)
    assert code == 0, told
    assert "in counter: 4 compared" in told


def test_a_loop_that_keeps_state_has_its_items_in_order(parity):
    batch = part("b", "batch", {"size": 3})
    workflow = line(counter(7), *queue(), batch, part("d", "deduplicate", {"key": "count"}), sink())
    code, told = parity(workflow)
    assert code == 0, told
    assert "b batch: 7 compared" in told and "b batch: 1 item flushed" in told
    assert "sink file-writer: 2 compared" in told


def test_a_batch_behind_a_producer_goes_on_where_it_was(parity):
    code, told = parity(line(counter(4), part("b", "batch", {"size": 2}), sink()))
    assert code == 0, told
    assert "sink file-writer: 2 compared" in told


def test_what_a_node_kept_of_an_item_that_fails_behind_it_is_dropped(parity):
    seen = part("s", "deduplicate", {"key": "{{ data.value - data.value % 2 }}"})
    workflow = line(counter(6), seen, part("n", "fails-at-two"), sink())
    code, told = parity(workflow)
    assert code == 0, told
    assert "n fails-at-two: 4 compared" in told and "sink file-writer: 3 compared" in told


def test_a_join_gets_what_both_branches_gave(parity):
    large = {"field": "value", "operator": "greater", "value": 2}
    workflow = line(counter(6), part("if", "if-condition", large))
    form = {"fields": {"a": "{{ data.value }}"}}
    workflow["nodes"] += [part(n, "data-transformer", form) for n in "xyj"]
    ends = ("if:yes x", "if:yes y", "if:no y", "x j", "y j")
    workflow["edges"] += map(edge, ends)
    code, told = parity(workflow)
    assert code == 0, told
    assert "j data-transformer: 6 compared" in told and "x data-transformer: 3 compared" in told


def test_a_cycle_is_followed(parity):
    up = part("up", "data-transformer", {"fields": {"n": "{{ data.value }}"}})
    done = {"field": "{{ data.n_3 is defined or data.value > 2 }}", "operator": "equals"}
    check = part("if", "if-condition", {**done, "value": "true"})
    workflow = line(counter(4), up, check)
    workflow["nodes"].append(part("end", "debug"))
    workflow["edges"] += [edge("if:no up"), edge("if:yes end")]
    code, told = parity(workflow)
    assert code == 0, told
    assert "up data-transformer: 10 compared" in told and "end debug: 4 compared" in told


def test_every_pool_and_several_slots_take_part(parity):
    workflow = line(
        counter(6), part("t", "debug", pool="thread"), part("w", "queue-writer", queue_name="q"),
        part("r", "queue-reader", queue_name="q", replicas=2), part("p", "debug", pool="process"),
        part("w2", "queue-writer", queue_name="q2"), part("r2", "queue-reader", queue_name="q2"),
        part("b", "batch", {"size": 3}), sink(),
    )  # fmt: skip
    code, told = parity(workflow)
    assert code == 0, told
    assert "no differences in 50 outputs of 9 nodes" in told


def test_given_items_take_the_place_of_the_source(parity, lines):
    workflow = line(
        part("in", "schedule", {"interval": 3600}), part("n", "debug"), *queue(), sink()
    )
    path = lines(*({"value": n} for n in range(5)))
    code, told = parity(workflow, "--from", "file", "--file", path, "--loop", "in")
    assert code == 0, told
    assert "n debug: 5 compared" in told and "sink file-writer: 5 compared" in told
    assert "in schedule: 0 compared" in told
    code, told = parity(
        line(counter(20), part("a", "arrival")), "--from", "file", "--file", path, "--loop", "in",
        "--seed", 1,
    )  # fmt: skip
    assert code == 1 and "output.place" in told


def test_a_source_that_waits_is_not_waited_for(parity):
    code, told = parity(line(part("in", "schedule", {"interval": 3600}), part("n", "debug")))
    assert code == 1  # it reads the clock
    assert "in schedule: 1 compared, 1 difference\n" in told
    assert "  in schedule: what it would have given later\n" in told


def test_given_items_enter_at_a_reader_that_nobody_feeds(parity, lines):
    workflow = line(part("r", "queue-reader", queue_name="outside"), part("a", "arrival"))
    path = lines(*({"loop": "r", "data": {"value": n}} for n in range(9)))
    code, told = parity(workflow, "--from", "file", "--file", path, "--seed", 2)
    assert code == 1, told
    assert "r queue-reader: 9 compared, no differences" in told and "output.place" in told


def test_items_and_seed_are_taken(parity):
    code, told = parity(line(counter(), part("a", "debug")), "--items", 3, "--seed", 11)
    assert (code, told.splitlines()[-1]) == (0, "no differences in 6 outputs of 2 nodes (seed 11)")


def test_a_loop_that_does_not_start_is_told(parity):
    code, told = parity(line(part("in", "file-reader", {"path": "absent"}), sink()))
    assert code == 1
    assert "loop in: node in: absent cannot be read" in told


def test_a_node_that_ends_its_process_is_told(parity):
    form = {"value": 1, "action": "exit"}
    code, told = parity(line(counter(3), part("n", "faulty", form)))
    assert code == 1
    assert "its process ended (exit code 9)" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "file"], "go together"),
        (["--items", "0"], "a number from 1"),
        (["--from", "tap"], "a file has no tap"),
        (["--from", "file", "--file", "absent.jsonl"], "absent.jsonl: No such file"),
    ],
)
def test_bad_usage_is_told(parity, options, message):
    with pytest.raises(CommandError, match=message) as refused:
        parity(line(counter(1), sink()), *options)
    assert refused.value.returncode in (1, 2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{", "line 1: not JSON"),
        ('{"value": 1}', "no loop named"),
        ('{"loop": "x", "data": {}}', "no loop 'x'; there are in"),
        ('{"loop": "in", "data": []}', "an item's data is an object"),
        ("\n", "no items of the workflow's sources"),
    ],
)
def test_a_bad_file_is_told_with_its_line(parity, tmp_path, given, message):
    path = tmp_path / "given.jsonl"
    path.write_text(given)
    with pytest.raises(CommandError, match=message):
        parity(line(counter(1), sink()), "--from", "file", "--file", path)


def test_loops_that_feed_each_other_are_refused(parity):
    workflow = {"name": "round", "nodes": [], "edges": []}
    for reads, writes in (("a", "b"), ("b", "a")):
        options = {"overflow": "drop_oldest"}
        workflow["nodes"] += [
            part(f"r{reads}", "queue-reader", queue_name=reads),
            part(f"w{writes}", "queue-writer", queue_name=writes, **options),
        ]
        workflow["edges"].append(edge(f"r{reads} w{writes}"))
    with pytest.raises(CommandError, match="feed each other"):
        parity(workflow)


@pytest.mark.django_db
def test_a_saved_workflow_is_found_by_its_id(parity):
    workflows.create(SYSTEM, line(counter(2), sink()), workflow_id="saved")
    assert parity("saved")[0] == 0
    assert Workflow.objects.count() == 1
    with pytest.raises(CommandError, match="no workflow"):
        parity("unknown")


@pytest.mark.django_db(transaction=True)
def test_items_are_taken_from_the_bench(parity, live_redis):
    workflows.create(SYSTEM, line(counter(2), part("a", "debug"), sink()), workflow_id="saved")

    async def pin(store):
        cache = BenchCache(store.cache, "saved", "mine", 60)
        body = payload("output", "in", {"value": "pinned"})
        await cache.put("in", CachedOutput(origin=Origin.PIN), body)

    with_store(pin)
    code, told = parity("saved", "--from", "cache", "--session", "mine")
    assert code == 0, told
    assert "a debug: 1 compared" in told
    with pytest.raises(CommandError, match="no items of the workflow's sources: cache"):
        parity("saved", "--from", "cache", "--session", "another")


@pytest.mark.django_db(transaction=True)
def test_items_are_taken_from_what_production_saw(parity, live_redis):
    workflow = line(counter(3, start=2), part("a", "fails-at-two"), sink("tapped.jsonl"))
    workflows.create(SYSTEM, workflow, workflow_id="saved")
    assignment = SlotAssignment(
        workflow="saved", version=1, activation=1, loop="in", slot=0, token=1
    )

    async def run(store):
        runner = flow_engine().runner(flow_engine().load(workflow), assignment, store.queue)
        await runner.run()
        await Taps(store.cache, runner.scope, runner.plan.steps.values()).publish()

    with_store(run, 60)
    code, told = parity("saved", "--from", "tap")
    assert code == 0, told
    assert "a fails-at-two: 1 compared" in told and "sink file-writer: 0 compared" in told


ALONE = {"schedule", "for-each", "sub-workflow", "redis-publish", "send-email"} | {
    "http-request", "http-poll", "http-response", "webhook"
}  # fmt: skip
"""What depends on the moment, on the whole loop, or on servers elsewhere."""


def test_all_other_built_in_nodes_are_the_same_on_both_sides(parity):
    rows = orchestrator_settings().files_dir / "parity/rows.csv"
    rows.parent.mkdir(exist_ok=True, parents=True)
    rows.write_text("value,name\n1,one\n7,seven\n")
    text = '{"order": "A-1 of 2026", "value": 3}\n\n{"order": "A-2 of 2025", "value": 5}\nno JSON'
    argument = {"value": "{{ data.value }}"}
    chain = [
        part("json", "parse-json", {"field": "line"}),
        part("regex", "parse-regex", {"field": "order", "pattern": r"(?P<year>\d{4})"}),
        part("data", "data-transformer", {"fields": {"next": "{{ data.value + 1 }}"}}),
        part("tool", "tool", {"tool": "double", "arguments": argument}),
        part("two", "group", {"members": [{"name": "m", "tool": "double", "arguments": argument}]}),
        part("seen", "deduplicate", {"key": "order"}),
        part("wait", "static-delay", {"seconds": 0.01}),
        part("waits", "dynamic-delay", {"seconds": "{{ data.value / 1000 }}"}),
        part("many", "batch", {"size": 2}),
        part("log", "debug"),
    ]
    workflow = line(
        *chain, *queue(), part("by", "switch", {"value": "count", "cases": {"2": "two"}})
    )
    workflow["nodes"] += [
        part("text", "string-iterator", {"text": text}),
        part("file", "file-reader", {"path": "parity/rows.csv", "format": "csv"}),
        counter(4),
        part("if", "if-condition", {"field": "value", "operator": "less", "value": 2}),
        sink("parity/two.csv", format="csv", columns=["count"]),
    ]
    workflow["edges"] += map(edge, ("text json", "by:two sink", "file if", "in if", "if:yes log"))
    with closing(sqlite3.connect(rows.parent / "rows.db", isolation_level=None)) as database:
        database.execute("create table if not exists t (id integer primary key, name text)")
        database.execute("insert or replace into t values (1, 'one'), (2, 'two')")
    name, behind = "select name from t where id = :id", "select id from t where id > :cursor"
    values = {"id": "{{ data.id }}"}
    workflow["nodes"] += [
        part("poll", "sql-poll", {"file": "parity/rows.db", "sql": behind, "times": 1}),
        part("query", "sql-query", {"file": "parity/rows.db", "sql": name, "values": values}),
        {**counter(6), "id": "even"},
        part("few", "filter", {"field": "value", "operator": "less", "value": 5}),
        part("rate", "rate-limit", {"limit": 1000}),
        part("pair", "merge", {"key": "{{ data.value // 2 }}"}),
        part("sum", "aggregate", {"figures": {"all": "sum(value)"}, "count": 2}),
    ]
    more = ("poll query", "query log", "even few", "few rate", "rate pair", "pair sum", "sum log")
    workflow["edges"] += map(edge, more)
    code, told = parity(workflow)
    assert code == 0, told
    kinds = ALONE | {node["type"] for node in workflow["nodes"]}
    built_in = {t for t in flow_engine().registry if t.__module__.startswith("nodes.builtin")}
    assert kinds == {node_class.identifier for node_class in built_in}


def test_an_item_keeps_its_name_through_other_ids_and_several_outputs(parity):
    workflow = line(
        counter(3), part("h", "headers", queue_name="q"), part("r", "queue-reader", queue_name="q"),
        part("b", "batch", {"size": 2}), sink(),
    )  # fmt: skip
    workflow["nodes"].append(part("a", "debug", pool="process"))
    workflow["edges"].append(edge("h a"))
    code, told = parity(workflow)
    assert code == 0, told
    assert "r queue-reader: 6 compared" in told and "sink file-writer: 3 compared" in told


def test_what_reads_the_id_of_its_item_differs(parity):
    code, told = parity(line(counter(1), part("i", "identity")))
    assert code == 1 and 'production: "in:1:1"' in told


def test_a_node_that_goes_rounds_is_refused(parity):
    workflow = line(counter(2), part("f", "for-each", {"field": "list"}))
    with pytest.raises(CommandError, match="go rounds cannot be replayed: f"):
        parity(workflow)
