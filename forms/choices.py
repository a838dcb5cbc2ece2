"""The choices of a field from a source that may be slow, or away.

Each question is asked in a thread of its own, so that whoever waits for the answer can stop
waiting. One key is asked once at a time, and one field has at most MAX_FLIGHTS questions on their
way: a source that never answers holds that many threads and no more.
"""

import asyncio
import inspect
import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from typing import Any

logger = logging.getLogger(__name__)

Choices = list[tuple[Any, Any]]
Key = tuple[type, str, str]
"""Form class, field, and the parents' values as JSON."""

MAX_CHOICES = 10_000
MAX_FLIGHTS = 4
MAX_ANSWERS = 512

_saved: ContextVar[bool] = ContextVar("values_were_checked_when_saved", default=False)


class ChoicesUnavailable(Exception):
    """The source of a field's choices gives none."""


@contextmanager
def saved_values() -> Iterator[None]:
    """Accept the values of fields whose source is away: they were checked when they were saved."""
    token = _saved.set(True)
    try:
        yield
    finally:
        _saved.reset(token)


def are_saved_values() -> bool:
    """Whether the form is made of values that were checked when they were saved."""
    return _saved.get()


def pairs(choices: Iterable[Any] | None) -> Choices:
    """Return choices as (value, label) pairs; a bare value is its own label."""
    return [
        (choice[0], choice[1]) if isinstance(choice, list | tuple) else (choice, choice)
        for choice in choices or ()
    ]


@dataclass(slots=True, kw_only=True)
class _Answer:
    until: float
    choices: Choices
    error: str = ""

    def get(self) -> Choices:
        if self.error:
            raise ChoicesUnavailable(self.error)
        return self.choices


@dataclass(slots=True, kw_only=True)
class _Flight:
    """A question on its way."""

    begun: float
    timeout: float
    answer: _Answer | None = None

    def left(self) -> float:
        return self.begun + self.timeout - monotonic()


class ChoicesCache:
    """Answers by key, for a time. A failure is kept for as long as it took."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._answers: OrderedDict[Key, _Answer] = OrderedDict()
        self._flights: dict[Key, _Flight] = {}

    def get(self, key: Key, ask: Callable[[], Any], *, timeout: float, ttl: float) -> Choices:
        """Return the choices that `ask` gives, which may be a coroutine function.

        Raises:
            ChoicesUnavailable: it raised, or did not answer in time.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._fresh(key) or self._has_place(key), timeout)
            if (known := self._fresh(key)) is not None:
                return known.get()
            flight = self._flights.get(key) or self._start(key, ask, timeout, ttl)
            if flight is not None:
                self._changed.wait_for(lambda: flight.answer is not None, max(0, flight.left()))
                if flight.answer is not None:
                    return flight.answer.get()
        raise ChoicesUnavailable(_no_answer(timeout))

    def clear(self) -> None:
        """Forget all answers."""
        with self._changed:
            self._answers.clear()

    def _fresh(self, key: Key) -> _Answer | None:
        known = self._answers.get(key)
        return known if known is not None and known.until > monotonic() else None

    def _has_place(self, key: Key) -> bool:
        """Whether to go on: the question can be asked, or it is of no use to wait until it can."""
        flights = self._same_source(key)
        return (
            key in self._flights
            or len(flights) < MAX_FLIGHTS
            or all(flight.left() <= 0 for flight in flights)
        )

    def _same_source(self, key: Key) -> list[_Flight]:
        return [flight for other, flight in self._flights.items() if other[:2] == key[:2]]

    def _start(
        self, key: Key, ask: Callable[[], Any], timeout: float, ttl: float
    ) -> _Flight | None:
        if len(self._same_source(key)) >= MAX_FLIGHTS:
            return None
        flight = self._flights[key] = _Flight(begun=monotonic(), timeout=timeout)
        threading.Thread(
            target=self._fly, args=(key, flight, ask, ttl), name=f"choices {key[1]}", daemon=True
        ).start()
        return flight

    def _fly(self, key: Key, flight: _Flight, ask: Callable[[], Any], ttl: float) -> None:
        choices, error = _asked(ask, flight.timeout)
        now = monotonic()
        kept = now - flight.begun if error else ttl
        with self._changed:
            flight.answer = _Answer(until=now + kept, choices=choices, error=error)
            self._answers[key] = flight.answer
            self._answers.move_to_end(key)
            while len(self._answers) > MAX_ANSWERS:
                self._answers.popitem(last=False)
            del self._flights[key]
            self._changed.notify_all()


def _asked(ask: Callable[[], Any], timeout: float) -> tuple[Choices, str]:
    try:
        given = ask()
        if inspect.isawaitable(given):
            given = asyncio.run(_within(given, timeout))
        if isinstance(given, str):
            raise TypeError("a text is no list of choices")
        choices = pairs(islice(given or (), MAX_CHOICES + 1))
        if len(choices) > MAX_CHOICES:
            raise ValueError(f"there are more than {MAX_CHOICES}")
        return choices, ""
    except ChoicesUnavailable as error:
        return [], str(error)
    except BaseException as error:  # it is anybody's code, and nobody waits for this thread
        logger.warning("choices cannot be read", exc_info=True)
        return [], f"The choices cannot be read: {type(error).__name__}: {str(error)[:200]}"
    finally:
        if (database := sys.modules.get("django.db")) is not None:
            database.connections.close_all()


async def _within(given: Any, timeout: float) -> Any:
    try:
        async with asyncio.timeout(timeout) as limit:
            return await given
    except TimeoutError:
        if limit.expired():
            raise ChoicesUnavailable(_no_answer(timeout)) from None
        raise


def _no_answer(timeout: float) -> str:
    return f"The choices cannot be read: no answer within {timeout:g} s."


cache = ChoicesCache()
"""What this process knows."""
os.register_at_fork(after_in_child=cache.__init__)  # type: ignore[misc]
