"""What an examination finds."""

import enum
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.exceptions import OrchestratorError
from orchestrator.security.secret_values import scrub

PATIENCE = 15.0
"""Seconds that one examination may take."""
CLOCKS_APART = 2.0


class Status(enum.StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line. check: what was looked at. advice: what to do; empty when there is nothing."""

    check: str
    status: Status
    message: str
    advice: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def ok(check: str, message: str) -> Finding:
    return Finding(check=check, status=Status.OK, message=message)


def warn(check: str, message: str, advice: str) -> Finding:
    return Finding(check=check, status=Status.WARN, message=message, advice=advice)


def fail(check: str, message: str, advice: str) -> Finding:
    return Finding(check=check, status=Status.FAIL, message=message, advice=advice)


def patiently(
    check: str, look: Callable[[], Iterable[Finding]], patience: float = PATIENCE
) -> list[Finding]:
    """Return what a look finds. One that raises or hangs is a finding as well: what is wrong with
    one thing must not keep the others from being looked at."""
    done: Future[list[Finding]] = Future()

    def work() -> None:
        try:
            done.set_result(list(look()))
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name=f"doctor {check}", daemon=True).start()
    try:
        return done.result(patience)
    except TimeoutError:
        message = f"gave no answer within {patience:g} s"
        return [fail(check, message, "See whether it is overloaded, or cut off by the network.")]
    except OrchestratorError as error:
        return [fail(check, error.message, "The message says what to set.")]
    except Exception as error:
        message = scrub(f"could not be looked at: {type(error).__name__}: {error}")
        return [fail(check, message, "The same will happen to the processes that need it.")]


def apart(check: str, whose: str, ahead: float) -> Finding:
    """Judge by how many seconds another clock is ahead of ours."""
    if abs(ahead) <= CLOCKS_APART:
        return ok(check, f"{whose} and this machine are {abs(ahead):.2f} s apart")
    way = "ahead of" if ahead > 0 else "behind"
    return warn(
        check,
        f"{whose} is {abs(ahead):.1f} s {way} this machine",
        "Run NTP on both. Leases and retries follow the servers' clocks; ages, schedules and logs "
        "follow each machine's own.",
    )
