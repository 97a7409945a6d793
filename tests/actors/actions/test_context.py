from typing import Any

import pytest
from structlog.testing import capture_logs

from task_queue.actors.actions.call import Call
from task_queue.actors.actions.context import MAX_MESSAGE_CHARS, Context
from task_queue.actors.errors import Cancelled, TimedOut
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.slot import Progress, Slot
from tests.fakes import NOW

TASK = ClaimedTask(Lease("task", 7), "sum", "{}", 2, 5)
LEASE = TASK.lease
NEXT = ClaimedTask(Lease("next", 7), "sum", "{}", 1, 5)


class Overtaken(Slot):
    """A slot on which a report comes just after the queue has looked."""

    def __init__(self, late: Progress) -> None:
        super().__init__()
        self.late: Progress | None = late

    def __getattribute__(self, name: str) -> object:
        value: object = super().__getattribute__(name)
        if name == "progress" and self.late is not None:
            self.progress, self.late = self.late, None
        return value


def test_an_action_knows_which_attempt_of_which_task_it_is() -> None:
    context = Context(Call(TASK, Slot("mail")))
    assert (context.id, context.queue, context.action) == ("task", "mail", "sum")
    assert (context.attempt, context.max_attempts) == (2, 5)


def test_an_action_knows_until_when_it_may_take_or_that_it_may_take_as_long_as_it_likes() -> None:
    passed = 100.0
    call = Call(TASK, Slot(), 5.0, lambda: passed)
    passed = 102.0
    assert Context(call, lambda: NOW).deadline == NOW + 3.0
    assert Context(Call(TASK, Slot())).deadline is None


def test_an_action_whose_deadline_is_over_may_stop_by_the_same_call() -> None:
    passed = 100.0
    context = Context(Call(TASK, Slot(), 5.0, lambda: passed))
    passed = 104.9
    context.stop_if_cancelled()
    passed = 105.0
    with pytest.raises(TimedOut, match="timed out after 5 s"):
        context.progress(0.5, stop_if_cancelled=True)
    assert not context.cancelled


def test_a_report_may_be_the_place_to_stop_at_and_is_kept_all_the_same() -> None:
    slot = Slot()
    context = Context(Call(TASK, slot))
    context.progress(0.1, stop_if_cancelled=True)
    slot.stop = LEASE
    context.progress(0.2)
    with pytest.raises(Cancelled):
        context.progress(0.3, stop_if_cancelled=True)
    assert slot.take_progress(LEASE) == Progress(LEASE, 0.3, None)


def test_what_an_action_logs_says_of_which_task_it_is() -> None:
    with capture_logs() as lines:
        Context(Call(TASK, Slot("mail"))).log.info("resized", width=640)
    (line,) = lines
    assert (line["event"], line["width"]) == ("resized", 640)
    assert (line["id"], line["queue"], line["action"], line["attempt"]) == (
        "task",
        "mail",
        "sum",
        2,
    )


def test_only_the_newest_report_is_there_to_be_taken_once() -> None:
    slot = Slot()
    context = Context(Call(TASK, slot))
    assert slot.take_progress(LEASE) is None
    context.progress(0)
    context.progress(0.5, "half")
    assert slot.take_progress(LEASE) == Progress(LEASE, 0.5, "half")
    assert slot.take_progress(LEASE) is None
    context.progress(1, None)
    assert slot.take_progress(LEASE) == Progress(LEASE, 1.0, None)


def test_what_a_former_task_of_the_consumer_reported_is_not_the_next_ones() -> None:
    slot = Slot()
    Context(Call(TASK, slot)).progress(1.0)
    assert slot.take_progress(NEXT.lease) is None


def test_a_report_that_comes_while_another_is_taken_is_not_lost() -> None:
    late = Progress(LEASE, 1.0, "late")
    slot = Overtaken(late)
    slot.progress = first = Progress(LEASE, 0.5, None)
    assert slot.take_progress(LEASE) == first
    assert slot.take_progress(LEASE) == late


@pytest.mark.parametrize("fraction", [-0.001, 1.001, float("nan"), float("inf"), "half", None])
def test_a_fraction_that_is_none_is_refused_and_not_reported(fraction: Any) -> None:  # noqa: ANN401
    slot = Slot()
    with pytest.raises(ValueError, match="from 0 to 1"):
        Context(Call(TASK, slot)).progress(fraction)
    assert slot.take_progress(LEASE) is None


def test_a_long_message_is_cut() -> None:
    slot = Slot()
    Context(Call(TASK, slot)).progress(0.1, "x" * (MAX_MESSAGE_CHARS + 1))
    assert slot.take_progress(LEASE) == Progress(LEASE, 0.1, "x" * MAX_MESSAGE_CHARS)


@pytest.mark.parametrize("message", ["a\x00b", "a\ud800b"])
def test_a_message_that_no_database_takes_is_made_to_fit(message: str) -> None:
    """A report shares its commit with others, and PostgreSQL has no NUL in a text."""
    slot = Slot()
    Context(Call(TASK, slot)).progress(0.1, message)
    progress = slot.take_progress(LEASE)
    assert progress is not None
    assert progress.message is not None
    assert "\x00" not in progress.message
    progress.message.encode("utf-8")


def test_an_action_that_nobody_asked_to_stop_goes_on() -> None:
    slot = Slot()
    context = Context(Call(TASK, slot))
    assert not context.cancelled
    context.stop_if_cancelled()
    slot.stop = NEXT.lease  # or that another was asked for
    assert not context.cancelled
    context.stop_if_cancelled()


def test_an_action_that_was_asked_to_stop_sees_it_and_may_stop_by_one_call() -> None:
    slot = Slot()
    context = Context(Call(TASK, slot))
    slot.stop = LEASE
    assert context.cancelled
    with pytest.raises(Cancelled):
        context.stop_if_cancelled()
