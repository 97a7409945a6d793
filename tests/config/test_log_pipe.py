"""A log that has to be read holds nobody up, and loses only what is not read."""

import json
import logging
import os
import select
from collections.abc import Iterator
from contextlib import suppress

import pytest
import structlog

from task_queue.config import log_pipe, logs
from task_queue.config import logger as own


class Pipe:
    """The standard error of a service."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def fill(self) -> None:
        os.set_blocking(self.writer, False)
        with suppress(BlockingIOError):
            while True:
                os.write(self.writer, b" " * select.PIPE_BUF)
        os.set_blocking(self.writer, True)

    def read(self) -> str:
        found = b""
        with suppress(BlockingIOError):
            while piece := os.read(self.reader, 65_536):
                found += piece
        return found.decode()


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    monkeypatch.setattr(own, "_kept", None)
    monkeypatch.setattr(log_pipe, "WAIT_SECONDS", 0.01)
    root, pipe = logging.getLogger(), Pipe()
    handlers, level = root.handlers[:], root.level
    with os.fdopen(pipe.writer, "w") as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        logs.configure("json", "INFO")
        yield pipe
    os.close(pipe.reader)
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def events(text: str) -> list[str]:
    return [json.loads(line)["event"] for line in text.splitlines() if line.strip()]


def test_lines_that_nobody_reads_are_lost_and_counted(pipe: Pipe) -> None:
    log = structlog.get_logger()
    log.info("read")
    assert events(pipe.read()) == ["read"]
    pipe.fill()
    for _ in range(3):
        log.info("not read")
    logging.getLogger("library").warning("not read")
    pipe.read()
    log.info("read again")
    lines = [json.loads(line) for line in pipe.read().splitlines()]
    assert [line["event"] for line in lines] == [
        "read again",
        "lines of this log were lost, nobody read it",
    ]
    assert lines[1]["lines"] == 4


def test_a_line_that_is_broken_off_does_not_run_into_the_next(pipe: Pipe) -> None:
    log = structlog.get_logger()
    log.info("long", text="x" * 200_000)
    first = pipe.read()
    assert len(first) < 200_000
    log.info("next")
    assert events(pipe.read())[:1] == ["next"]


def test_a_log_that_nobody_will_ever_read_does_no_harm() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    line = b"lost\n"
    log = log_pipe.LogPipe(writer)
    assert [log.write(line), log.write(line)] == [len(line)] * 2
    assert (log.lost, log.take_lost()) == (2, 0), "nobody can be told"
    os.close(writer)
