"""The database as processes with an event loop use it: in a thread, and it may be away."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import sync_to_async
from django.db import Error, InterfaceError, OperationalError, close_old_connections, connection

from orchestrator.exceptions import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")
_READ_ONLY = "25006"
"""What PostgreSQL says to a write after it has become the standby of another server."""


def is_away(error: BaseException) -> bool:
    """Tell whether the database cannot be reached or takes no writes; it may again, later."""
    if isinstance(error, OperationalError | InterfaceError):
        return True
    return isinstance(error, Error) and getattr(error.__cause__, "sqlstate", "") == _READ_ONLY


def afresh(work: Callable[[], T]) -> T:
    """Call, and call again at once if the connection that there was has ended.

    For work that may be done twice. After an error the next call opens a connection.
    """
    before = connection.connection
    try:
        return work()
    except Error:
        # A transaction that could not be rolled back has let go of it, and may have opened another.
        kept = connection.connection is before
        ended = before is not None and not (kept and connection.is_usable())
        close_old_connections()
        if not ended:
            raise
    return work()


def in_thread(work: Callable[P, T]) -> Callable[P, Any]:
    """Return a function to await that calls one in the thread that is for the database.

    It raises `StoreUnavailable` when the database is away. The next call opens a connection then.
    """

    @wraps(work)
    def translated(*args: P.args, **options: P.kwargs) -> T:
        try:
            return work(*args, **options)
        except Error as error:
            close_old_connections()
            if is_away(error):
                raise StoreUnavailable(f"the database is away: {error}") from error
            raise

    return sync_to_async(translated)
