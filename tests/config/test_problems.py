"""Pydantic's errors in words: where, in which model, and what is said."""

from collections.abc import Mapping
from typing import Annotated

import pytest
from pydantic import BaseModel, Field

from task_queue.config.problems import look_up, predicate, way_to


class Inner(BaseModel):
    size: Annotated[int | None, Field(ge=1)] = None


class Outer(BaseModel):
    one: Inner | None = None
    many: list[Inner] = []
    named: Mapping[str, Inner] = {}


@pytest.mark.parametrize(
    ("path", "start", "text"),
    [
        ((), "", ""),
        (("a",), "", "a"),
        (("tasks", 17, "backoff", "cap"), "", "tasks[17].backoff.cap"),
        (("a", 0), "data", "data.a[0]"),
        ((0, "a"), "data", "data[0].a"),
    ],
)
def test_the_way_to_a_value_is_written_as_in_a_program(
    path: tuple[int | str, ...], start: str, text: str
) -> None:
    assert way_to(path, start) == text


@pytest.mark.parametrize(
    ("path", "holder", "known"),
    [
        (("one",), Outer, True),
        (("other",), Outer, False),
        (("one", "size"), Inner, True),
        (("many", 3, "size"), Inner, True),
        (("many", 3, "other"), Inner, False),
        (("named", "mail", "other"), Inner, False),
        (("other", "deeper"), Outer, False),
    ],
)
def test_the_model_of_a_value_is_looked_up(
    path: tuple[int | str, ...], holder: type[BaseModel], *, known: bool
) -> None:
    found, field = look_up(Outer, path)
    assert (found, field is not None) == (holder, known)


def test_own_words_go_before_those_of_the_table() -> None:
    assert predicate("string_type", {}) == "must be a string"
    assert predicate("string_type", {}, {"string_type": "must be a text"}) == "must be a text"
    assert predicate("greater_than_equal", {"ge": 5}, {}) == "must be at least 5"
    assert predicate("date_type", {}) is None
