"""What actions print: it is told apart by task, kept and logged, with bounds."""

import asyncio
import io
import re
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from task_queue.actors.actions.prints import (
    MAX_LINE_CHARS,
    MAX_LINES,
    PRINTS,
    Prints,
    fields_of_present_task,
    keep_log_line,
    output_is_caught,
)
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.text import MAX_STDERR_CHARS

# Each test is decorated, as pytest itself replaces the streams between a fixture and a test.
TASK = ClaimedTask(Lease("one", 7), "sum", "{}", 2, 5)
FIELDS = {"id": "one", "action": "sum", "attempt": 2}


def printed(action: Callable[[], object], task: ClaimedTask = TASK) -> str | None:
    """What is kept of what the action prints."""
    prints = Prints(task)

    def run() -> None:
        PRINTS.set(prints)
        action()

    copy_context().run(run)
    return prints.close()


def logged(action: Callable[[], object]) -> list[Any]:
    """What the lines say that are logged of it."""
    with capture_logs() as lines:
        printed(action)
    assert all(line.items() >= FIELDS.items() for line in lines)
    return [line["text"] for line in lines if line["event"] == "printed"]


def in_every_way() -> None:
    print("print", 1)
    sys.stdout.write("half a ")
    sys.stderr.write("line\r\n\n")
    sys.stdout.buffer.write(b"bytes \xff\n")
    sys.stdout.writelines(["a\n", "b\n"])
    warnings.warn("careful", stacklevel=1)
    try:
        int("no")
    except ValueError:
        traceback.print_exc()
    print("outermost", file=sys.__stdout__)
    print("\ud800\x00", end="", flush=True)


@pytest.mark.filterwarnings("always:careful")
@output_is_caught()
def test_what_an_action_prints_in_whatever_way_is_kept_and_logged_by_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        warnings, "showwarning", lambda message, *_: sys.stderr.write(f"warned: {message}\n")
    )
    kept = printed(in_every_way)
    assert kept is not None
    begin, _, end = kept.partition("Traceback")
    assert begin == "print 1\nhalf a line\r\n\nbytes \ufffd\na\nb\nwarned: careful\n"
    assert end.endswith("'no'\noutermost\n\\ud800\ufffd")
    lines = logged(in_every_way)
    assert lines[:6] == ["print 1", "half a line", "bytes \ufffd", "a", "b", "warned: careful"]
    assert lines[-3:] == [
        "ValueError: invalid literal for int() with base 10: 'no'",
        "outermost",
        "\\ud800\ufffd",
    ]


@output_is_caught()
def test_lines_of_the_log_are_kept_between_what_is_printed_and_each_begins_a_line() -> None:
    def talk() -> None:
        print("one")
        keep_log_line({"event": "logged", "level": "info"})
        print("half", end="")
        keep_log_line({"event": "again", "level": "info"})
        print(" a line")

    kept = printed(talk)
    assert kept is not None
    without_times = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", kept)
    assert without_times == "one\ninfo logged\nhalf\ninfo again\n a line\n"
    assert logged(talk) == ["one", "half a line"]  # the log has the others already


def test_lines_of_the_log_outside_of_tasks_are_not_kept() -> None:
    prints = Prints(TASK)
    keep_log_line({"event": "nobody's", "level": "info"})
    assert prints.close() is None


def test_of_many_lines_of_the_log_the_last_are_kept() -> None:
    prints = Prints(TASK)
    for _ in range(2):
        prints.log("x" * MAX_STDERR_CHARS)
    prints.log("last\n")
    kept = prints.close()
    assert kept is not None
    assert len(kept) == MAX_STDERR_CHARS
    assert kept.endswith("x\nlast\n")


@output_is_caught()
def test_an_action_that_prints_nothing_leaves_nothing() -> None:
    assert printed(lambda: None) is None
    assert logged(lambda: None) == []


@output_is_caught()
def test_tasks_that_run_at_once_are_told_apart_and_threads_of_nobody_have_lines_without_an_id() -> (
    None
):
    both = threading.Barrier(2, timeout=30)
    kept: dict[str, str | None] = {}

    def run(name: str) -> None:
        def talk() -> None:
            for number in range(3):
                both.wait()
                print(name, number)

        kept[name] = printed(talk, TASK._replace(lease=Lease(name, 1)))

    with capture_logs() as lines:
        threads = [threading.Thread(target=run, args=(name,)) for name in ("a", "b")]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        print("nobody's")
    assert kept == {name: f"{name} 0\n{name} 1\n{name} 2\n" for name in ("a", "b")}
    *of_tasks, nobodys = lines
    assert all(line["text"].startswith(line["id"]) for line in of_tasks)
    assert nobodys == {"event": "printed", "log_level": "info", "text": "nobody's"}


@output_is_caught()
def test_coroutines_and_their_threads_print_for_their_task() -> None:
    async def talk() -> None:
        await asyncio.gather(asyncio.to_thread(print, "thread"))
        print("loop")

    assert printed(lambda: asyncio.run(talk())) == "thread\nloop\n"


@output_is_caught()
def test_a_loop_that_prints_floods_neither_the_log_nor_the_memory() -> None:
    def flood() -> None:
        for number in range(5 * MAX_LINES):
            print("line", number)
        print("x" * 10 * MAX_STDERR_CHARS, end="")

    with capture_logs() as lines:
        kept = printed(flood)
    assert kept == "x" * MAX_STDERR_CHARS
    *first, last = lines
    assert [line["text"] for line in first] == [f"line {number}" for number in range(MAX_LINES)]
    assert last == {
        "event": "not all that it printed is logged",
        "log_level": "warning",
        "lines": 5 * MAX_LINES,
        **FIELDS,
    }


@output_is_caught()
def test_a_long_line_is_cut_in_the_log_and_one_that_never_ends_is_logged_in_parts() -> None:
    def bar() -> None:
        for _ in range(3 * MAX_LINE_CHARS):
            print("\r50 %", end="")

    (line,) = logged(lambda: print("x" * 3 * MAX_LINE_CHARS))
    assert line == f"{'x' * MAX_LINE_CHARS}…"
    assert len(logged(bar)) == 3 * 5


@output_is_caught()
def test_the_streams_are_such_as_libraries_expect_and_an_action_cannot_close_them() -> None:
    streams: list[Any] = [sys.stdout, sys.stderr]
    for stream in streams:
        assert (stream.encoding, stream.isatty(), stream.writable()) == ("utf-8", False, True)
        assert isinstance(stream.name, str)
        assert isinstance(stream, cast("Any", io.TextIOBase))
        stream.reconfigure(line_buffering=True)
        stream.close()
        stream.buffer.close()
        assert not stream.closed
        with pytest.raises(TypeError):
            stream.write(b"x")
    assert printed(lambda: print("still")) == "still\n"


@output_is_caught()
def test_a_log_line_can_ask_for_the_task_that_runs() -> None:
    fields: list[object] = []
    printed(lambda: fields.append(fields_of_present_task()))
    assert fields == [FIELDS]
    assert fields_of_present_task() == {}


@output_is_caught()
def test_the_streams_are_as_before_at_the_end() -> None:
    inside = sys.stdout
    with output_is_caught():
        assert sys.stdout is not inside
    assert sys.stdout is inside
