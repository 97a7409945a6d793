"""A line of the log as it is kept with an attempt."""

import re
from typing import Any

import pytest

from task_queue.actors.actions.log_line import log_line


class Unshowable:
    def __str__(self) -> str:
        message = "no"
        raise RuntimeError(message)


def line(**event: Any) -> str:  # noqa: ANN401 - any member
    """The line without its time."""
    found = re.fullmatch(r"\d\d:\d\d:\d\d (.*)\n", log_line(event), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize(
    ("event", "text"),
    [
        ({"event": "resized", "level": "info", "width": 640}, "info resized width=640"),
        ({"event": "two words", "level": "error", "a": "b c"}, "error two words a='b c'"),
        ({"event": "e", "level": "info", "a": "", "b": None, "c": "x=1"}, "info e a='' c='x=1'"),
        ({"event": None, "level": "info", "a": [1, 2]}, "info None a='[1, 2]'"),
        ({"event": "e", "level": "info", "a": Unshowable()}, "info e a=<Unshowable>"),
        ({"event": "e", "level": "info", "a": "b\nc"}, "info e a='b\\nc'"),
    ],
)
def test_a_line_has_time_level_event_and_members(event: dict[str, Any], text: str) -> None:
    assert line(**event) == text


def test_what_the_attempt_says_itself_is_left_out() -> None:
    said = {"id": "0190", "queue": "tasks", "action": "sum", "attempt": 2, "timestamp": "now"}
    assert line(event="e", level="info", _record=1, logger="mine", **said) == "info e logger=mine"


@pytest.mark.parametrize("caught", [True, False])
def test_a_traceback_stands_below_the_line(caught: bool) -> None:  # noqa: FBT001
    try:
        _ = 1 // 0
    except ZeroDivisionError as error:
        exc_info: Any = True if caught else error
        first, *below = line(event="e", level="error", exc_info=exc_info).splitlines()
    assert first == "error e"
    assert below[0] == "Traceback (most recent call last):"
    assert below[-1].startswith("ZeroDivisionError")


def test_a_traceback_that_is_a_text_already_stands_below_it_too() -> None:
    assert line(event="e", level="error", exception="Traceback\nE") == "error e\nTraceback\nE"


def test_an_error_that_cannot_be_shown_loses_its_traceback_alone() -> None:
    broken = (RuntimeError, "no error", None)
    assert line(event="e", level="error", exc_info=broken).startswith("error e")
