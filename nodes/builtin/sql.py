"""sql-query and sql-poll."""

import time
from collections import deque
from collections.abc import Mapping

from nodes.base import BaseNode, BlockingNode, ProducerNode
from nodes.builtin.databases import Database, open_database
from nodes.builtin.items import add_fields
from nodes.builtin.schedule import interval_due, sleep_until
from nodes.builtin.sql_text import names_in
from nodes.contract import ExecutionCompleted, Json, NodeContext, NodeOutput
from orchestrator.exceptions import NodeFailed
from orchestrator.security.secret_values import scrub

CURSOR, KEY = "cursor", "idempotency_key"
"""Values of a statement that nobody has to give."""


class SqlQuery(BlockingNode):
    """Runs one statement for each item and adds its rows. Values are sent beside the statement and
    never become part of it. After a crash it runs again: `:idempotency_key` is then the same.
    """

    identifier = "sql-query"
    label = "SQL query"
    description = "Runs an SQL statement with values of each item and adds the rows to it."
    icon = "database"
    category = "databases"
    form_class = "nodes.builtin.sql_forms.SqlQueryForm"

    _database: Database | None = None

    async def setup(self) -> None:
        self._database = await open_database(self)
        self._sql = str(self.values["sql"])
        self._wants_key = KEY in names_in(self._sql)

    async def cleanup(self) -> None:
        if self._database is not None:
            await self._database.close()

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput:
        values = self.values
        given: dict[str, Json] = dict(values["values"])
        if self._wants_key:
            given[KEY] = context.idempotency_key
        result = await opened(self, self._database).execute(
            self._sql, given, max_rows=values["max_rows"], timeout=values["timeout"]
        )
        found = {"rows": result.rows, "count": result.count, "more": result.more}
        return item.with_data(add_fields(item.data, {str(values["target"]): found}))


class SqlPoll(ProducerNode):
    """Asks a database every so often for the rows behind the last one, and emits each.

    The statement gets the cursor as `:cursor`, and gives rows in the order of the cursor's column.
    The cursor is committed with the row, so that after a crash it goes on behind it. Two rows with
    the same value in that column are an error: one of them could be left out.
    """

    identifier = "sql-poll"
    label = "SQL poll"
    description = "Asks a database every so often and emits the rows that are new."
    icon = "database"
    category = "databases"
    form_class = "nodes.builtin.sql_forms.SqlPollForm"

    _database: Database | None = None

    async def setup(self) -> None:
        values = self.values
        state: Mapping[str, Json] = self.state or {
            "cursor": values["start"],
            "at": None,
            "polls": 0,
        }
        self._cursor: Json = state["cursor"]
        self._last: float | None = state["at"]
        self._polls: int = state["polls"]
        self._column = str(values["column"])
        self._rows: deque[dict[str, Json]] = deque()
        self._database = await open_database(self)

    async def cleanup(self) -> None:
        if self._database is not None:
            await self._database.close()

    async def execute(  # type: ignore[override]
        self, item: NodeOutput, context: NodeContext
    ) -> NodeOutput | ExecutionCompleted:
        times = self.values["times"]
        while not self._rows:
            if times is not None and self._polls >= times:
                return ExecutionCompleted()
            if context.mode != "bench":
                await sleep_until(interval_due(self._last, time.time(), self.values["interval"]))
            await self._poll()
            if context.mode == "bench" and not self._rows:
                raise NodeFailed(
                    "there are no new rows; forget the node's output to begin again",
                    node_id=self.id,
                    error_type="NothingNew",
                )
        row = self._rows.popleft()
        self._cursor = row[self._column]
        # With rows in hand the poll is not over: after a crash the rest is asked for at once.
        rest = len(self._rows) > 0
        self.state = {
            "cursor": self._cursor,
            "at": None if rest else self._last,
            "polls": self._polls - rest,
        }
        return item.with_data(row)

    async def _poll(self) -> None:
        values = self.values
        given = {**values["values"], CURSOR: self._cursor}
        result = await opened(self, self._database).execute(
            str(values["sql"]), given, max_rows=values["max_rows"], timeout=values["timeout"]
        )
        self._check(result.rows)
        self._rows.extend(result.rows)
        if not result.more:  # else the next rows are asked for as soon as these are emitted
            self._last, self._polls = time.time(), self._polls + 1

    def _check(self, rows: list[dict[str, Json]]) -> None:
        before = None
        for row in rows:
            value = row.get(self._column)
            if value is None:
                raise self._wrong(f"a row has no {self._column!r}")
            try:
                rises = before is None or value > before
            except TypeError:
                rises = False
            if not rises:
                raise self._wrong(
                    f"{self._column!r} must rise from row to row: {_shown(value)} comes after"
                    f" {_shown(before)}; order by it, and let it be unique"
                )
            before = value
        if rows and rows[-1][self._column] == self._cursor:
            raise self._wrong("the rows do not lie behind the cursor: where ... > :cursor")

    def _wrong(self, message: str) -> NodeFailed:
        return NodeFailed(message, node_id=self.id, error_type="WrongCursor")


def _shown(value: Json) -> str:
    """Return the beginning of a value; half of a secret would not be recognised any more."""
    return repr(scrub(str(value))[:50])


def opened(node: BaseNode, database: Database | None) -> Database:
    """Return the database of a node that is set up."""
    if database is None:
        raise NodeFailed("it is not set up", node_id=node.id)
    return database
