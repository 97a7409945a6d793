"""Lines that say the same again: the first is shown, then how many there were."""

from collections.abc import Callable, Iterator

import pytest
import structlog
from structlog.testing import LogCapture

from task_queue.config.repeats import COUNT_SECONDS, MAX_KINDS, Repeats
from tests.harness import ServerProcess


class Log:
    """What is shown of lines that are logged at moments of a test's choice."""

    def __init__(self) -> None:
        self.now = 0.0
        self.repeats = Repeats(lambda: self.now)
        self._capture = LogCapture()
        structlog.configure(
            processors=[structlog.processors.add_log_level, self.repeats, self._capture],
            cache_logger_on_first_use=False,
        )
        self.logger = structlog.get_logger()

    @property
    def lines(self) -> list[tuple[str, object]]:
        """The events shown, each with the count or the status in it."""
        return [
            (str(line["event"]), line.get("count", line.get("status")))
            for line in self._capture.entries
        ]


@pytest.fixture
def log() -> Iterator[Log]:
    yield Log()
    structlog.reset_defaults()


def test_of_warnings_that_are_the_same_the_first_is_shown_and_then_how_many_there_were(
    log: Log,
) -> None:
    for _ in range(1_000):
        log.logger.warning("request", status=503)
    log.logger.warning("request", status=500)
    log.repeats.tell()
    assert log.lines == [("request", 503), ("request", 500)]
    log.now = COUNT_SECONDS
    log.repeats.tell()
    assert log.lines[2:] == [("more of the same", 999)]


def test_while_they_go_on_only_counts_are_shown_and_once_they_have_stopped_the_next_is_again(
    log: Log,
) -> None:
    for moment in range(4):
        log.now = moment * COUNT_SECONDS
        log.repeats.tell()
        for _ in range(10):
            log.logger.warning("request", status=503)
    counts = [("more of the same", count) for count in (9, 10, 10)]
    assert log.lines == [("request", 503), *counts]
    for moment in (4, 5):
        log.now = moment * COUNT_SECONDS
        log.repeats.tell()
    log.logger.warning("request", status=503)
    assert log.lines[4:] == [("more of the same", 10), ("request", 503)]


def test_at_the_end_nothing_is_left_untold(log: Log) -> None:
    for _ in range(3):
        log.logger.warning("late result refused, the lease is lost", id="any")
    log.repeats.tell(at_once=True)
    assert log.lines[1:] == [("more of the same", 2)]


def test_what_clients_did_wrong_is_shown_ten_times(log: Log) -> None:
    for _ in range(12):
        log.logger.info("request", status=400)
    log.repeats.tell(at_once=True)
    assert log.lines == [("request", 400)] * 10 + [("more of the same", 2)]


def test_lines_about_tasks_and_of_actions_are_never_counted(log: Log) -> None:
    for _ in range(3):
        log.logger.warning("task failed", id="1")
        log.logger.warning("request", action="own")
        log.logger.warning({"an": "object"})
    log.repeats.tell(at_once=True)
    assert len(log.lines) == 9


def test_the_kinds_that_are_counted_have_a_bound(log: Log) -> None:
    for number in range(2 * MAX_KINDS):
        log.logger.error("request failed", method="GET", path=f"/{number}")
        log.logger.error("request failed", method="GET", path=f"/{number}")
    assert len(log.lines) == MAX_KINDS + 2 * MAX_KINDS


@pytest.mark.system
def test_an_outage_is_a_line_and_a_count(serve: Callable[..., ServerProcess]) -> None:
    server = serve(f"database.min_free_bytes={2**50}").start()
    for _ in range(50):
        assert server.post("sum").status_code == 503
    assert server.terminate() == 0
    warnings = [line for line in server.log if line["level"] == "warning"]
    shown = [line for line in warnings if line["event"] == "request"]
    counted = [line for line in warnings if line["event"] == "more of the same"]
    assert len(shown) == 1
    assert {(line["of"], line["status"]) for line in counted} == {("request", 503)}
    assert sum(line["count"] for line in counted) == 49
