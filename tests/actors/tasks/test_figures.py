"""What becomes of attempts, added up; and what is kept of it until it is written."""

import pytest

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.figures import MAX_UNWRITTEN, WRITE_SECONDS, Figures, Tally, Unwritten
from task_queue.actors.tasks.settlement import (
    Failure,
    Settlement,
    ack,
    drained,
    expire,
    nack,
    requeue,
)
from task_queue.actors.tasks.states import Outcome
from tests.fakes import NOW

CLAIMED = ClaimedTask(Lease("task-1", 1), "sum", "{}", 1, 5, ready_at=NOW - 2)
LAST = CLAIMED._replace(attempt=5)
ONE = Figures(published=1)


def failed(claimed: ClaimedTask = CLAIMED, outcome: Outcome = Outcome.FAILED) -> Settlement:
    failure = Failure("broken", outcome, started_at=NOW)
    return nack(claimed, failure, backoff=Backoff(1, 2, 3), now=NOW + 3, random=lambda: 0.5)


def put_off() -> Settlement:
    failure = Failure("later", retry_after=9.0, started_at=NOW)
    return nack(CLAIMED, failure, backoff=Backoff(1, 2, 3), now=NOW + 3, random=lambda: 0.5)


@pytest.mark.parametrize(
    ("settlement", "figures"),
    [
        (ack(CLAIMED, "1", NOW, NOW + 3), Figures(completed=1, run_seconds=3.0)),
        (failed(), Figures(failed=1, run_seconds=3.0)),
        (failed(LAST), Figures(failed=1, dead=1, run_seconds=3.0)),
        (failed(outcome=Outcome.TIMED_OUT), Figures(failed=1, run_seconds=3.0)),
        (failed(outcome=Outcome.CANCELLED), Figures()),
        (put_off(), Figures()),
        (drained(CLAIMED, NOW + 3), Figures()),
        (requeue(CLAIMED), Figures(started=-1)),
        (expire(CLAIMED, NOW), Figures(started=-1, dead=1)),
        (ack(CLAIMED, "1", NOW, NOW - 3), Figures(completed=1)),
    ],
    ids=[
        "completed",
        "failed",
        "failed for the last time",
        "timed out",
        "cancelled",
        "put off",
        "drained",
        "given back unrun",
        "expired before it began",
        "ended before it began, as the clock was set back",
    ],
)
def test_what_became_of_an_attempt_is_counted_once(
    settlement: Settlement, figures: Figures
) -> None:
    tally = Tally()
    tally.end(settlement)
    assert tally.figures() == figures


def test_a_wait_is_from_ready_to_started_and_never_less_than_nothing() -> None:
    tally = Tally()
    tally.start([CLAIMED, CLAIMED._replace(ready_at=NOW + 9)], NOW)
    assert tally.figures() == Figures(started=2, wait_seconds=2.0)


def test_figures_of_a_minute_are_added_up_and_given_out_after_a_second_once() -> None:
    unwritten = Unwritten(0.0)
    unwritten.note([("tasks", ONE), ("mail", ONE)], 119.0)
    unwritten.note([("tasks", ONE)], 119.9)
    unwritten.note([("tasks", ONE)], 120.0)
    assert unwritten.take_due(WRITE_SECONDS / 2) == ()
    rows = unwritten.take_due(WRITE_SECONDS)
    assert rows == (("mail", 1, ONE), ("tasks", 1, Figures(published=2)), ("tasks", 2, ONE))
    assert unwritten.take() == ()
    unwritten.put_back(rows)
    unwritten.note([("mail", ONE)], 60.0)
    assert unwritten.take_due(WRITE_SECONDS) == ()
    assert unwritten.take() == (("mail", 1, Figures(published=2)), *rows[1:])


def test_what_cannot_be_written_for_long_is_bounded_and_the_oldest_goes_first() -> None:
    unwritten = Unwritten(0.0)
    for minute in range(MAX_UNWRITTEN + 5):
        unwritten.note([("tasks", ONE)], minute * 60.0)
    minutes = [minute for _, minute, _ in unwritten.take()]
    assert minutes == list(range(5, MAX_UNWRITTEN + 5))
