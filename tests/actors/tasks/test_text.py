import pytest

from task_queue.actors.tasks.text import (
    MAX_SHOWN_CHARS,
    counted,
    described,
    one_line,
    shown,
    titled,
)


class Unspeakable(Exception):  # noqa: N818 - a stand-in
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("é", '"é"'),
        (10**30, "1" + 30 * "0"),  # beyond 64 bits
        ("\ud800", '"\\ud800"'),
        ("sum\u200b\u00a0", '"sum\\u200b\\u00a0"'),
        ({"a": [1, None, True]}, '{"a":[1,null,true]}'),
        ({1}, '"{1}"'),  # not JSON
        ("x" * (MAX_SHOWN_CHARS - 2), f'"{"x" * (MAX_SHOWN_CHARS - 2)}"'),
        ("x" * (MAX_SHOWN_CHARS - 1), f'"{"x" * (MAX_SHOWN_CHARS - 1)}…'),
    ],
)
def test_a_value_is_shown_as_json_and_cut_where_it_gets_long(value: object, expected: str) -> None:
    assert shown(value) == expected


def test_a_value_is_cut_at_the_given_length() -> None:
    assert shown("x" * 300, 200) == f'"{"x" * 199}…'


def test_a_foreign_text_is_shown_in_one_line_without_control_characters() -> None:
    assert one_line(" a\r\n\x1b[31mb\tc ") == "a [31mb c"
    assert one_line("x" * 300) == "x" * 200


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("no such city"), "ValueError: no such city"),
        (ValueError(), "ValueError"),
        (AssertionError(" \n"), "AssertionError"),
        (Unspeakable(), "Unspeakable: an error whose text cannot be shown"),
    ],
)
def test_an_error_without_text_does_not_end_in_a_colon(error: Exception, expected: str) -> None:
    assert titled(error) == expected


def test_an_error_without_text_is_described_by_its_type_or_as_asked_for() -> None:
    assert described(TimeoutError()) == "TimeoutError"
    assert described(TimeoutError(), "timed out") == "timed out"
    assert described(TimeoutError("too slow"), "timed out") == "too slow"


def test_a_noun_follows_its_count() -> None:
    assert [counted(count, "task") for count in (0, 1, 2)] == ["0 tasks", "1 task", "2 tasks"]
