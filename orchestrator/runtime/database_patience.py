"""A limit of the time for which a process waits for an answer of PostgreSQL.

Behind a cut-off network, or a proxy that has forgotten a connection, an answer may never come, and
no error either: whoever waited would do so for ever, and all that waits for it. Commands such as
`migrate` take as long as they need, so it is for processes that ask for it.
"""

from typing import Any

from django.db.backends.signals import connection_created

ANSWER = 15.0
"""Seconds for one answer; a lease is given up long before by those whose it is."""


def limit_answers(seconds: float = ANSWER) -> None:
    """Let every later connection of this process fail when an answer takes longer."""

    def prepare(sender: Any, connection: Any, **_: Any) -> None:
        if connection.vendor == "postgresql":
            raw = connection.connection
            raw.wait = _limited(raw, raw.wait, seconds)

    connection_created.connect(prepare, weak=False, dispatch_uid="database patience")


def _limited(raw: Any, wait: Any, seconds: float) -> Any:
    from psycopg import OperationalError, errors

    def limited(gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        try:
            return wait(gen, interval, seconds if timeout is None else timeout)
        except errors._WaitTimeout:
            if timeout is not None:
                raise
            raw.pgconn.finish()  # nobody knows what it will say, should it ever
            raise OperationalError(f"the database has not answered for {seconds:g} s") from None

    return limited
