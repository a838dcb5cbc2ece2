"""Choices from a source that is slow, away, hanging, or simply wrong."""

import asyncio
import itertools
import threading
import time

import pytest
from django import forms

from forms.base import BaseForm
from forms.choices import MAX_CHOICES, MAX_FLIGHTS, ChoicesCache, saved_values
from forms.serializer import FormSerializer
from orchestrator.exceptions import NodeFailed
from tests.waiting import eventually


class Source:
    """What a form asks: it counts, and does what a test says."""

    def __init__(self, answer):
        self.answer = answer
        self.asked = 0

    def __call__(self, value):
        self.asked += 1
        return self.answer(value)


def make_form(answer, *, is_async=False, timeout=5.0, ttl=60.0):
    """Make a form class with a source of its own: class -> method of it."""
    source = Source(answer)

    class SourcedForm(BaseForm):
        template_fields = ("book",)
        choices_timeout = timeout
        choices_ttl = ttl
        shelf = forms.CharField(max_length=50, initial="a")
        book = forms.ChoiceField(required=False)
        page = forms.ChoiceField(required=False)

        def get_field_dependencies(self):
            return {"book": ["shelf"], "page": ["book"]}

        def populate_field(self, name, parent_value, form_values):
            return source(parent_value) if name == "book" else [1, 2]

    if is_async:

        async def populate_field(self, name, parent_value, form_values):
            return await source(parent_value) if name == "book" else [1, 2]

        SourcedForm.populate_field = populate_field
    return SourcedForm, source


def books(shelf):
    return [f"{shelf}1", f"{shelf}2"]


async def books_later(shelf):
    await asyncio.sleep(0.01)
    return books(shelf)


def offered(form):
    return [value for value, _ in form.fields["book"].choices]


@pytest.mark.parametrize(("answer", "is_async"), [(books, False), (books_later, True)])
def test_a_source_may_be_async_and_is_asked_from_anywhere(answer, is_async):
    form_class, source = make_form(answer, is_async=is_async)
    assert offered(form_class({"shelf": "sync"})) == ["sync1", "sync2"]

    async def inside():
        return offered(form_class({"shelf": "loop"}))

    assert asyncio.run(inside()) == ["loop1", "loop2"]
    found = []
    thread = threading.Thread(target=lambda: found.extend(offered(form_class({"shelf": "t"}))))
    thread.start()
    thread.join()
    assert found == ["t1", "t2"]
    assert source.asked == 3


def test_an_answer_is_kept_for_the_same_parents_of_the_same_form():
    form_class, source = make_form(books)
    other, other_source = make_form(books)
    for _ in range(3):
        assert offered(form_class({"shelf": "a"})) == ["a1", "a2"]
        offered(form_class({"shelf": "b"}))
        offered(other({"shelf": "a"}))
    assert (source.asked, other_source.asked) == (2, 1)


def test_an_answer_is_not_kept_longer_than_its_time():
    form_class, source = make_form(books, ttl=0.0)
    for _ in range(3):
        offered(form_class({}))
    assert source.asked == 3


def broken(shelf):
    raise ConnectionError("the library is closed")


def hanging(event):
    return lambda shelf: event.wait(60) and books(shelf)


@pytest.fixture
def event():
    event = threading.Event()
    yield event
    event.set()


def test_a_source_that_raises_is_an_error_in_place():
    form_class, _ = make_form(broken)
    form = form_class({"shelf": "a", "book": "a1", "page": "1"})
    message = "The choices cannot be read: ConnectionError: the library is closed"
    assert form.errors["book"] == [message]
    assert "book" in form.errors["page"][0]
    assert "shelf" not in form.errors
    fields = {field["name"]: field for field in FormSerializer(form).data["fields"]}
    assert fields["book"]["choices_error"] == message
    assert fields["book"]["value"] == "a1"
    assert fields["shelf"]["choices_error"] is None


def test_a_field_without_a_value_needs_no_source():
    form_class, _ = make_form(broken)
    assert form_class.problems({"shelf": "a"}) == []


@pytest.mark.parametrize("is_async", [False, True])
def test_a_source_that_takes_too_long_is_an_error_in_place(event, is_async):
    async def never(shelf):
        await asyncio.sleep(60)

    answer = never if is_async else hanging(event)
    form_class, source = make_form(answer, is_async=is_async, timeout=0.05)
    form = form_class({"book": "a1"})
    assert form.errors["book"] == ["The choices cannot be read: no answer within 0.05 s."]
    assert source.asked == 1


def test_a_source_that_hangs_for_ever_holds_few_threads_and_nobody(event):
    form_class, source = make_form(hanging(event), timeout=0.01)
    for number in range(50):
        assert form_class({"shelf": f"s{number % 20}"}).choices_errors["book"]
    assert source.asked == MAX_FLIGHTS
    event.set()
    eventually(lambda: offered(form_class({"shelf": "s0"})) == ["s01", "s02"])


def test_one_question_is_asked_once_by_many(event):
    form_class, source = make_form(hanging(event))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(offered(form_class({})))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: source.asked)
    event.set()
    for thread in threads:
        thread.join()
    assert found == [["a1", "a2"]] * 8
    assert source.asked == 1


def test_more_questions_than_may_be_asked_at_once_wait_for_their_turn(event):
    form_class, source = make_form(hanging(event))
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(offered(form_class({"shelf": f"{n}."}))))
        for n in range(3 * MAX_FLIGHTS)
    ]
    for thread in threads:
        thread.start()
    eventually(lambda: source.asked == MAX_FLIGHTS)
    event.set()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([f"{n}.1", f"{n}.2"] for n in range(3 * MAX_FLIGHTS))


def test_a_source_that_is_back_is_asked_again():
    away = True

    def answer(shelf):
        return broken(shelf) if away else books(shelf)

    form_class, _ = make_form(answer)
    assert form_class.problems({"book": "a1"}) != []
    away = False
    eventually(lambda: form_class.problems({"book": "a1"}) == [])


@pytest.mark.parametrize(
    "answer",
    ["text", 5, [1, (2,)], itertools.count(), range(MAX_CHOICES + 1), [object], {"a": 1}.keys],
    ids=["text", "number", "odd pair", "endless", "too many", "class", "method"],
)
def test_whatever_a_source_gives_no_form_breaks(answer):
    form_class, _ = make_form(lambda shelf: answer)
    form = form_class({"book": "a1"})
    assert set(form.errors) == {"book"}
    FormSerializer(form).data["fields"]


def test_a_source_that_calls_exit_breaks_nothing():
    form_class, _ = make_form(lambda shelf: exit(3))
    assert "SystemExit" in form_class({"book": "a1"}).errors["book"][0]


def test_a_saved_value_is_accepted_while_the_source_is_away_when_a_loop_starts():
    form_class, _ = make_form(broken)
    raw = {"shelf": "a", "book": "a7", "page": "2"}
    assert form_class.bind(raw).static_values == raw
    assert {name for name, _ in form_class.problems(raw)} == {"book", "page"}
    with saved_values():
        assert form_class.problems(raw) == []
        assert form_class.problems({**raw, "page": "3"}) != []


def test_a_value_that_the_source_does_not_know_is_refused_when_a_loop_starts():
    form_class, _ = make_form(books)
    with pytest.raises(NodeFailed, match="book: Select a valid choice"):
        form_class.bind({"shelf": "a", "book": "a7"})


def test_choices_for_an_item_whose_source_is_away_fail_that_item():
    class ItemForm(BaseForm):
        shelf = forms.CharField()
        book = forms.ChoiceField()

        def get_field_dependencies(self):
            return {"book": ["shelf"]}

        def populate_field(self, name, parent_value, form_values):
            return broken(parent_value) if parent_value == "closed" else books(parent_value)

    bound = ItemForm.bind({"shelf": "{{ data.shelf }}", "book": "a1"})
    assert bound.render({"shelf": "a"})["book"] == "a1"
    with pytest.raises(NodeFailed, match="book: The choices cannot be read: ConnectionError"):
        bound.render({"shelf": "closed"})
    assert bound.render({"shelf": "a"})["book"] == "a1"


def test_a_failure_is_kept_for_as_long_as_it_took():
    cache = ChoicesCache()
    asked = []

    def fail():
        asked.append(time.monotonic())
        time.sleep(0.05)
        raise ConnectionError

    def ask():
        try:
            cache.get((object, "f", ""), fail, timeout=5, ttl=60)
        except Exception as error:
            return str(error)

    assert "ConnectionError" in ask()
    eventually(lambda: ask() and len(asked) == 2)
    assert asked[1] - asked[0] >= 0.1
