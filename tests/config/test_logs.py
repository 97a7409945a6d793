"""What reaches the stream, and that logging never raises."""

import io
import json
import logging
import os
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.typing import EventDict

from task_queue.config import logger as own
from task_queue.config import logs

LIBRARIES = ("", "alembic", "pykka", "sqlalchemy", "waitress")


class Unshowable:
    def __repr__(self) -> str:
        message = "no"
        raise RuntimeError(message)


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


class Full(io.BytesIO):
    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


@pytest.fixture
def stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


@pytest.fixture(autouse=True)
def _logging_as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(own, "_kept", None)
    root = logging.getLogger()
    handlers = root.handlers[:]
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    root.handlers = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


def text(stream: io.TextIOWrapper) -> str:
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def lines(stream: io.TextIOWrapper) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(stream).splitlines()]


def test_a_json_line_has_time_level_event_and_fields_in_this_order(
    stream: io.TextIOWrapper,
) -> None:
    logs.configure("json", "INFO", stream)
    structlog.get_logger().info("task completed", id="0190", attempt=1)
    [line] = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "id", "attempt"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["attempt"]) == ("info", "task completed", 1)


def test_levels_below_the_least_one_are_dropped(stream: io.TextIOWrapper) -> None:
    logs.configure("json", "WARNING", stream)
    for logger in (structlog.get_logger(), logging.getLogger("some.library")):
        logger.info("dropped")
        logger.warning("kept")
    assert [line["event"] for line in lines(stream)] == ["kept", "kept"]


def test_each_line_that_is_severe_enough_can_be_kept_elsewhere_too(
    stream: io.TextIOWrapper,
) -> None:
    kept: list[tuple[object, object]] = []

    def keep(event: EventDict) -> None:
        kept.append((event["level"], event["event"]))

    logs.configure("json", "INFO", stream, keep=keep)
    for logger in (structlog.get_logger(), own.get_logger(), logging.getLogger("mine")):
        logger.debug("dropped")
        logger.warning("kept %s", 1) if logger.__class__ is logging.Logger else logger.info("kept")
    assert kept == [("info", "kept"), ("info", "kept"), ("warning", "kept 1")]


def test_context_such_as_the_request_id_is_on_every_line(stream: io.TextIOWrapper) -> None:
    logs.configure("json", "INFO", stream)
    structlog.contextvars.bind_contextvars(request_id="r-1")
    structlog.get_logger().info("ours")
    logging.getLogger("waitress").info("theirs")
    assert [line["request_id"] for line in lines(stream)] == ["r-1", "r-1"]


def test_library_lines_have_the_same_form_and_name_their_logger(stream: io.TextIOWrapper) -> None:
    logs.configure("json", "INFO", stream)
    logging.getLogger("waitress").warning("%d threads", 3)
    [line] = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "logger"]
    assert (line["event"], line["logger"], line["level"]) == ("3 threads", "waitress", "warning")


@pytest.mark.parametrize(
    ("name", "silent", "heard"),
    [
        ("pykka", logging.ERROR, logging.CRITICAL),
        ("alembic", logging.INFO, logging.WARNING),
        ("sqlalchemy.engine", logging.INFO, logging.WARNING),
    ],
)
def test_chatty_libraries_are_silent_until_it_matters(
    stream: io.TextIOWrapper, name: str, silent: int, heard: int
) -> None:
    logs.configure("json", "DEBUG", stream)
    logging.getLogger(name).log(silent, "chatter")
    logging.getLogger(name).log(heard, "news")
    assert [line["event"] for line in lines(stream)] == ["news"]


def test_a_chatty_librarys_own_level_does_not_undercut_the_least_level(
    stream: io.TextIOWrapper,
) -> None:
    logs.configure("json", "ERROR", stream)
    logging.getLogger("alembic").warning("dropped")
    assert text(stream) == ""


def test_an_exception_stays_on_one_line(stream: io.TextIOWrapper) -> None:
    logs.configure("json", "INFO", stream)
    for logger in (structlog.get_logger(), logging.getLogger("some.library")):
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            logger.exception("failed")
    for line in lines(stream):
        assert line["exception"].endswith(" by zero")


@pytest.mark.parametrize("format", ["json", "console"])
@pytest.mark.parametrize(
    "value",
    [object(), {1: {2}}, 2**70, "\ud800", b"\xff", float("nan"), Unshowable(), [Unshowable()]],
    ids=["object", "set", "big", "surrogate", "bytes", "nan", "unshowable", "nested"],
)
def test_a_value_that_does_not_fit_into_json_does_not_raise(
    stream: io.TextIOWrapper, format: str, value: object
) -> None:
    logs.configure(format, "INFO", stream)
    structlog.get_logger().info("odd", value=value, fine=1)
    assert "odd" in text(stream)
    if format == "json":
        assert lines(stream)[0]["fine"] == 1


def test_a_value_that_contains_itself_does_not_raise(stream: io.TextIOWrapper) -> None:
    logs.configure("json", "INFO", stream)
    circle: list[object] = []
    circle.append(circle)
    structlog.get_logger().info("odd", value=circle)
    assert lines(stream)[0]["value"] == "[[...]]"


def test_a_full_disk_loses_the_line_and_nothing_else() -> None:
    logs.configure("json", "INFO", io.TextIOWrapper(Full()))
    structlog.get_logger().info("lost")


def test_auto_is_json_for_a_file_and_the_console_for_a_terminal(stream: io.TextIOWrapper) -> None:
    logs.configure("auto", "INFO", stream)
    structlog.get_logger().info("hello")
    assert lines(stream)[0]["event"] == "hello"

    terminal = Terminal(io.BytesIO(), encoding="utf-8", write_through=True)
    logs.configure("auto", "INFO", terminal)
    structlog.get_logger().info("hello")
    logging.getLogger("some.library").warning("there")
    assert "hello" in text(terminal)
    assert "\x1b[" in text(terminal)
    assert not text(terminal).startswith("{")


def test_the_console_shows_no_local_variables(stream: io.TextIOWrapper) -> None:
    logs.configure("console", "INFO", stream)
    try:
        password = "hunter-2"
        int(password[:1])
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError" in text(stream)
    assert "hunter-2" not in text(stream)


def test_configuring_again_replaces_the_handler(stream: io.TextIOWrapper) -> None:
    logs.configure("json", "INFO", io.TextIOWrapper(io.BytesIO()))
    logs.configure("json", "INFO", stream)
    logging.getLogger("some.library").warning("once")
    assert len(lines(stream)) == 1
    ours = [handler for handler in logging.getLogger().handlers if handler.name == "task-queue"]
    assert len(ours) == 1


def test_who_closes_standard_error_does_not_lead_the_log_into_what_is_opened_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w+") as log, (tmp_path / "other").open("w+") as other:
        monkeypatch.setattr("sys.stderr", log)
        logs.configure("json", "INFO")
        os.dup2(other.fileno(), log.fileno())  # closes it, and another takes its number
        structlog.get_logger().info("hello")
        logging.getLogger("library").warning("hello")
        assert other.read() == ""
    lines = (tmp_path / "log").read_text().splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["hello", "hello"]


def test_our_lines_stay_as_they_are_whatever_an_action_tells_structlog(
    stream: io.TextIOWrapper, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = own.get_logger()
    logs.configure("json", "INFO", stream)
    structlog.configure(processors=[structlog.processors.LogfmtRenderer()])
    ours.info("ours")
    ours.bind(actor="queue").info("bound")
    own.get_logger().info("later")
    copy(ours).info("copied")
    structlog.get_logger().info("the action's", a=1)
    assert [line["event"] for line in lines(stream)] == ["ours", "bound", "later", "copied"]
    assert capsys.readouterr().out == 'a=1 event="the action\'s"\n'
