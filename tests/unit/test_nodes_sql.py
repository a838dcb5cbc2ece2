"""sql-query and sql-poll, on PostgreSQL and SQLite."""

import asyncio
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal

import pytest

from nodes import files
from nodes.builtin.databases import parse_postgres
from nodes.builtin.sql import SqlPoll, SqlQuery
from nodes.builtin.sql_text import for_psycopg, names_in
from nodes.builtin.sql_values import to_json
from nodes.contract import ExecutionCompleted
from nodes.testing import RecordingContext, driven
from orchestrator.exceptions import EgressDenied, InvalidRequest, NodeFailed, WorkflowInvalid
from orchestrator.security.credentials import Credential
from tests.postgres import PASSWORD, running
from tests.waiting import eventually


@pytest.fixture(scope="module")
def postgres():
    with running() as server:
        yield server


class Place:
    """A database under test: `driven` makes a node that uses it."""

    def __init__(self, form, credentials, run):
        self._form, self._credentials, self.run = form, credentials, run

    def driven(self, node_class, form, **options):
        return driven(node_class, {**self._form, **form}, credentials=self._credentials, **options)


@pytest.fixture(params=["postgres", "sqlite"])
def place(request, tmp_path, open_egress):
    files.configure(tmp_path / "files")
    if request.param == "sqlite":
        connection = sqlite3.connect(tmp_path / "files" / "shop.db", isolation_level=None)
        place = Place({"file": "shop.db"}, {}, lambda sql: connection.execute(sql).fetchall())
    else:
        server = request.getfixturevalue("postgres")
        open_egress(f"127.0.0.1:{server.port}")
        credential = Credential("database-url", {"url": server.url})
        place = Place({"credential": "shop"}, {"shop": credential}, server.run)
    place.run("drop table if exists orders")
    place.run("create table orders (id integer primary key, name text, total real)")
    place.run("insert into orders values (1, 'Ada', 1.5), (2, 'Bob', 20)")
    yield place
    if request.param == "sqlite":
        connection.close()


async def test_rows_become_a_field_of_the_item(place):
    form = {
        "sql": "select id, name from orders where total > :least order by id",
        "values": {"least": "{{ data.least }}"},
    }
    async with place.driven(SqlQuery, form) as run:
        assert await run.data({"least": 5}) == {
            "least": 5,
            "result": {"rows": [{"id": 2, "name": "Bob"}], "count": 1, "more": False},
        }
        assert (await run.data({"least": 0, "result": "is taken"}))["result_2"]["count"] == 2


@pytest.mark.parametrize("name", ["x'; drop table orders; --", "{{ 7 * 7 }}", ":id", "%(id)s", "%"])
async def test_a_value_is_never_part_of_the_statement(place, name):
    form = {
        "sql": "insert into orders values (:id, :name, 0) -- 'it''s :not, 100%'",
        "values": {"id": 3, "name": "{{ data.name }}"},
        "target": "saved",
    }
    async with place.driven(SqlQuery, form) as run:
        found = await run.data({"name": name})
    assert found["saved"] == {"rows": [], "count": 1, "more": False}
    assert place.run("select name from orders where id = 3") == [(name,)]


async def test_no_more_rows_than_allowed(place):
    form = {"sql": "select id from orders order by id", "max_rows": 1}
    async with place.driven(SqlQuery, form) as run:
        found = await run.data({})
    assert found["result"] == {"rows": [{"id": 1}], "count": 1, "more": True}


async def test_lists_and_objects_are_json(place):
    form = {
        "sql": "insert into orders values (3, :name, 0)",
        "values": {"name": "{{ data.tags }}"},
    }
    if "credential" in place._form:
        form["sql"] = "insert into orders values (3, (:name)::text, 0)"
    async with place.driven(SqlQuery, form) as run:
        await run.data({"tags": ["a", {"b": 1}]})
    [(text,)] = place.run("select name from orders where id = 3")
    assert text.replace(" ", "") == '["a",{"b":1}]'


async def test_the_key_of_the_item_is_there_for_the_asking(place):
    sql = "select :idempotency_key as k" if "file" in place._form else (
        "select (:idempotency_key)::text as k"
    )  # fmt: skip
    async with place.driven(SqlQuery, {"sql": sql}) as run:
        assert (await run.data({}))["result"]["rows"] == [{"k": "key"}]


async def test_what_the_database_refuses_is_told_and_the_next_item_works(place):
    form = {"sql": "insert into orders values (:id, 'x', 0)", "values": {"id": "{{ data.id }}"}}
    async with place.driven(SqlQuery, form) as run:
        with pytest.raises(NodeFailed, match=r"(?i)unique"):
            await run.data({"id": 1})
        assert (await run.data({"id": 3}))["result"]["count"] == 1


async def test_a_statement_that_takes_too_long_is_ended(place):
    sql = "select pg_sleep(60)"
    if "file" in place._form:
        sql = "with recursive t(n) as (select 1 union all select n + 1 from t) select max(n) from t"
    async with place.driven(SqlQuery, {"sql": sql, "timeout": 0.3}) as run:
        begun = time.monotonic()
        with pytest.raises(NodeFailed, match=r"longer than 0\.3 s"):
            await run.data({})
        assert time.monotonic() - begun < 10
        with pytest.raises(NodeFailed, match="longer than"):
            await run.data({})


FORSAKEN = """
import asyncio, sys
import django
django.setup()
from nodes.builtin.sql import SqlQuery
from nodes.testing import driven
from orchestrator.security import egress
from orchestrator.security.credentials import Credential

async def main(url):
    egress.install(egress.EgressPolicy.parse(["127.0.0.0/8"], ()))
    form = {"credential": "shop", "sql": "select pg_sleep(600) as forsaken", "timeout": 3}
    credentials = {"shop": Credential("database-url", {"url": url})}
    async with driven(SqlQuery, form, credentials=credentials) as run:
        await run.data({})

asyncio.run(main(sys.argv[1]))
"""


def test_the_server_ends_a_statement_whose_process_was_killed(postgres):
    """It would not notice before it has rows to send."""
    active = (
        "select count(*) from pg_stat_activity where state = 'active' and query like '%forsaken'"
    )
    with subprocess.Popen([sys.executable, "-c", FORSAKEN, postgres.url]) as process:
        try:
            eventually(lambda: postgres.run(active) == [(1,)], 20)
        finally:
            process.kill()
    assert postgres.run(active) == [(1,)]
    eventually(lambda: postgres.run(active) == [(0,)], 20)


async def test_a_connection_that_was_ended_is_opened_again(postgres, open_egress):
    open_egress(f"127.0.0.1:{postgres.port}")
    credentials = {"shop": Credential("database-url", {"url": postgres.url})}
    form = {"credential": "shop", "sql": "select pg_backend_pid() as pid"}
    async with driven(SqlQuery, form, credentials=credentials) as run:
        pid = (await run.data({}))["result"]["rows"][0]["pid"]
        await asyncio.to_thread(postgres.run, f"select pg_terminate_backend({pid})")
        with pytest.raises(NodeFailed):
            await run.data({})
        assert (await run.data({}))["result"]["rows"][0]["pid"] != pid


POLL = {
    "sql": "select id, name from orders where id > :cursor order by id limit 2",
    "interval": 0.05,
}


async def test_a_poll_emits_what_is_new(place):
    async with place.driven(SqlPoll, {**POLL, "times": 3}) as run:
        assert [await run.data(), await run.data()] == [
            {"id": 1, "name": "Ada"},
            {"id": 2, "name": "Bob"},
        ]
        place.run("insert into orders values (5, 'Eve', 0)")
        assert await run.data() == {"id": 5, "name": "Eve"}
        assert isinstance(await run.item(), ExecutionCompleted)


async def test_a_poll_goes_on_behind_what_was_committed(place):
    async with place.driven(SqlPoll, {**POLL, "interval": 3600}) as run:
        await run.data()
        state = run.node.state
    assert state["cursor"] == 1
    async with place.driven(SqlPoll, {**POLL, "interval": 3600}, state=state) as run:
        async with asyncio.timeout(10):  # the rest of that look does not wait for the next
            assert await run.data() == {"id": 2, "name": "Bob"}
        state = run.node.state
    place.run("insert into orders values (3, 'Cid', 0)")
    later = {**state, "at": time.time() - 4000}
    async with place.driven(SqlPoll, {**POLL, "interval": 3600}, state=later) as run:
        assert await run.data() == {"id": 3, "name": "Cid"}


async def test_more_rows_than_fit_are_asked_for_at_once(place):
    place.run("insert into orders values (3, 'Cid', 0), (4, 'Dan', 0), (5, 'Eve', 0)")
    form = {
        "sql": "select id from orders where id > :cursor order by id",
        "max_rows": 2,
        "times": 1,
    }
    async with place.driven(SqlPoll, form) as run:
        assert await run.all() == [{"id": n} for n in range(1, 6)]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select 1 as id, :cursor as x union all select 1, :cursor", "must rise from row to row"),
        ("select 2 as id, :cursor as x union all select 1, :cursor order by 1 desc", "must rise"),
        ("select id, total from orders where :cursor = :cursor order by total", None),
        ("select name, :cursor as x from orders", "a row has no 'id'"),
    ],
)
async def test_rows_that_would_lose_some_are_an_error(place, sql, message):
    if "credential" in place._form:
        sql = sql.replace(":cursor", "(:cursor)::int")
    async with place.driven(SqlPoll, {"sql": sql, "interval": 0.05}) as run:
        if message is None:  # every look gives all rows again
            await run.data()
            await run.data()
            message = "do not lie behind the cursor"
        with pytest.raises(NodeFailed, match=message):
            await run.data()


async def test_on_the_bench_a_poll_does_not_wait_and_says_when_nothing_is_new(place):
    context = RecordingContext(mode="bench")
    state = {"cursor": 1, "at": time.time(), "polls": 1}
    form = {**POLL, "interval": 3600}
    async with place.driven(SqlPoll, form, state=state, context=context) as run:
        assert await run.data() == {"id": 2, "name": "Bob"}
        with pytest.raises(NodeFailed, match="no new rows"):
            await run.data()


@pytest.mark.parametrize(
    "sql",
    [
        "attach database '{other}' as other",
        "vacuum into '{other}.copy'",
        "pragma journal_mode = wal",
        "select load_extension('{other}')",
    ],
)
async def test_a_statement_of_sqlite_reaches_no_other_file(tmp_path, sql):
    files.configure(tmp_path / "files")
    other = tmp_path / "other.db"
    sqlite3.connect(other).execute("create table secrets (x)").connection.close()
    form = {"file": "shop.db", "sql": sql.format(other=other)}
    async with driven(SqlQuery, form) as run:
        with pytest.raises(NodeFailed, match=r"not authorized|authorization denied"):
            await run.data({})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "other.db"]


async def test_a_file_stays_inside_the_files_folder(tmp_path):
    files.configure(tmp_path / "files")
    (tmp_path / "files" / "link.db").symlink_to(tmp_path / "other.db")
    with pytest.raises(WorkflowInvalid, match="inside the files folder"):
        async with driven(SqlQuery, {"file": "../other.db", "sql": "select 1"}):
            pass
    credential = {"c": Credential("database-url", {"url": "sqlite:///../other.db"})}
    form = {"credential": "c", "sql": "select 1"}
    with pytest.raises(NodeFailed, match="inside the files folder"):
        async with driven(SqlQuery, form, credentials=credential):
            pass
    async with driven(SqlQuery, {"file": "link.db", "sql": "select 1"}) as run:
        with pytest.raises(InvalidRequest, match="leads out of the files folder"):
            await run.data({})


async def test_a_database_that_is_closed_to_nodes_is_not_connected_to(postgres, open_egress):
    open_egress()
    credentials = {"shop": Credential("database-url", {"url": postgres.url})}
    form = {"credential": "shop", "sql": "select 1"}
    async with driven(SqlQuery, form, credentials=credentials) as run:
        with pytest.raises(EgressDenied, match=r"127\.0\.0\.1"):
            await run.data({})


async def test_a_wrong_password_is_in_no_error(postgres, open_egress):
    open_egress(f"127.0.0.1:{postgres.port}")
    url = postgres.url.replace(PASSWORD, "wrong-password-of-mine")
    form = {"credential": "shop", "sql": "select 1"}
    async with driven(
        SqlQuery, form, credentials={"shop": Credential("database-url", {"url": url})}
    ) as run:
        with pytest.raises(NodeFailed, match="password authentication failed") as failed:
            await run.data({})
    assert "wrong-password-of-mine" not in repr(failed.value) + str(failed.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://a/b", "begin with postgresql"),
        ("postgresql:///shop", "name one host"),
        ("postgresql://a,b/shop", "name one host"),
        ("postgresql://h/d?host=/run/postgresql", "one option: sslmode"),
        ("postgresql://h/d?sslkey=/etc/key", "one option: sslmode"),
        ("postgresql://h/d?sslmode=maybe", "one option: sslmode"),
        ("postgresql://h:port/d", "cannot be read"),
        ("postgresql://[::1/d", "cannot be read"),
    ],
)
def test_an_address_says_where_and_who_and_nothing_else(url, message):
    with pytest.raises(InvalidRequest, match=message):
        parse_postgres(url)


def test_an_address_may_be_percent_encoded():
    place = parse_postgres("postgres://us%40er:p%3Aw@db.test:5433/na%2Fme?sslmode=require")
    assert (place.user, place.password, place.name) == ("us@er", "p:w", "na/me")
    assert (place.host, place.port, place.ssl_mode) == ("db.test", 5433, "require")


@pytest.mark.parametrize(
    ("sql", "names", "translated"),
    [
        ("select :a, :b, :a", ["a", "b"], "select %(a)s, %(b)s, %(a)s"),
        ("select x::int from t where y like 'a%'", [], "select x::int from t where y like 'a%%'"),
        ("select ':a' , \":b\" -- :c\n, :d", ["d"], "select ':a' , \":b\" -- :c\n, %(d)s"),
        ("select 'it''s :a', :b", ["b"], "select 'it''s :a', %(b)s"),
        (r"select E'it\'s :a', :b", ["b"], r"select E'it\'s :a', %(b)s"),
        ("select $$ :a $$, $x$ :b $$ $x$, :c", ["c"], "select $$ :a $$, $x$ :b $$ $x$, %(c)s"),
        ("/* :a\n */ select a[1:2], 5 % :m", ["m"], "/* :a\n */ select a[1:2], 5 %% %(m)s"),
    ],
)
def test_values_are_found_where_they_stand(sql, names, translated):
    assert names_in(sql) == names
    assert for_psycopg(sql) == translated


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("12.50"), 12.5),
        (Decimal("3.00"), 3),
        (Decimal("0.1234567890123456789"), "0.1234567890123456789"),
        (Decimal("NaN"), "NaN"),
        (2**60, str(2**60)),
        (float("inf"), "inf"),
        (b"\xff", "/w=="),
        ((1, [Decimal(2)]), [1, [2]]),
        ({"a": b""}, {"a": ""}),
    ],
)
def test_values_of_columns_as_json(value, expected):
    assert to_json(value) == expected


@pytest.mark.parametrize(
    ("node_class", "form", "message"),
    [
        (SqlQuery, {"sql": "select 1"}, "Choose a credential, or name a SQLite file"),
        (SqlQuery, {"file": "a.db", "sql": "select :a"}, "names a: give a value"),
        (SqlQuery, {"file": "a.db", "sql": "select 1", "values": {"a": 1}}, "does not name a"),
        (SqlQuery, {"file": "a.db", "sql": ""}, r"form\.sql"),
        (SqlQuery, {"credential": "none", "sql": "select 1"}, "no credential of this name"),
        (SqlPoll, {"file": "a.db", "sql": "select 1"}, "must name :cursor"),
    ],
)
async def test_settings_that_cannot_work_are_refused(node_class, form, message):
    with pytest.raises(WorkflowInvalid, match=message):
        async with driven(node_class, form):
            pass
