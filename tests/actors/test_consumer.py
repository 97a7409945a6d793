import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, NoReturn

import pytest
from structlog.testing import capture_logs

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.prints import PRINTS, output_is_caught
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.actions.python.thread import ThreadAction
from task_queue.actors.actions.registry import Registry
from task_queue.actors.consumer import Actions, ConsumerActor
from task_queue.actors.errors import Cancelled, Reject, RetryLater, TimedOut
from task_queue.actors.messages.consumer import Deliver
from task_queue.actors.messages.queue import Ack, Nack, Ready
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.failures import MAX_FRAMES, Ended
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.text import MAX_ERROR_CHARS
from tests.fakes import NOW, Inbox, ManualClock, life, running

TASK = ClaimedTask(Lease("task", 1), "sum", '{"numbers":[1]}', 2, 5)
DEPTH = 3 * MAX_FRAMES


class OneAction:
    """Stands in for the registry."""

    def __init__(self, action: Callable[[], str], *, stop: bool = False) -> None:
        self.action = action
        self.stop = stop
        self.slot: Slot | None = None

    def run(self, claimed: ClaimedTask, slot: Slot) -> Done:
        assert claimed is TASK
        self.slot = slot
        if self.stop:  # somebody asks for it meanwhile
            slot.stop = claimed.lease
        return Done(self.action(), "said" if self.stop else None)


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError


class Nameless(type):
    """The type of errors that no traceback can be made of: it does not tell what it is called."""

    def __getattribute__(cls, name: str) -> object:
        if name == "__qualname__":
            raise ZeroDivisionError
        return super().__getattribute__(name)


class NamelessError(Exception, metaclass=Nameless):
    pass


def raises(error: BaseException) -> Callable[[], str]:
    def action() -> str:
        raise error

    return action


def outcome(actions: Actions) -> Ack | Nack:
    queue = Inbox()
    consumer = ConsumerActor(
        life("one"), queue=queue, actions=actions, now=lambda: NOW, monotonic=lambda: 0.0
    )
    consumer.receive(Deliver(TASK))
    (message,) = queue.messages
    assert isinstance(message, Ack | Nack)
    assert (message.consumer, message.claimed) == ("one", TASK)
    return message


def failure(action: Callable[[], str], *, stop: bool = False) -> Failure:
    message = outcome(OneAction(action, stop=stop))
    assert isinstance(message, Nack)
    assert message.failure.started_at == NOW
    return message.failure


def test_what_the_action_returns_is_acked_with_the_moment_it_began() -> None:
    assert outcome(OneAction(lambda: "1")) == Ack("one", TASK, "1", NOW)


@output_is_caught()
def test_what_the_action_prints_is_told_whether_it_succeeds_or_fails() -> None:
    def succeed() -> str:
        print("working")
        return "1"

    def fail() -> NoReturn:
        print("failing")
        raise ValueError

    with capture_logs():
        assert outcome(OneAction(succeed)) == Ack("one", TASK, "1", NOW, "working\n")
        assert failure(fail).stderr == "failing\n"
    assert PRINTS.get() is None


@output_is_caught()
def test_the_queue_can_see_what_an_action_that_hangs_has_printed() -> None:
    def hang() -> str:
        assert actions.slot is not None
        seen.append(actions.slot.printed())
        print("waiting")
        seen.append(actions.slot.printed())
        return "1"

    seen: list[str | None] = []
    actions = OneAction(hang)
    with capture_logs():
        outcome(actions)
    assert seen == [None, "waiting\n"]


def test_what_the_action_raises_is_nacked_with_its_kind_text_and_place() -> None:
    seen = failure(raises(ValueError("no")))
    assert (seen.error, seen.outcome, seen.permanent) == ("ValueError: no", Outcome.FAILED, False)
    assert seen.retry_after is None
    assert seen.traceback is not None
    assert seen.traceback.splitlines()[-1] == "ValueError: no"


def test_a_rejected_task_is_told_that_trying_again_is_no_use() -> None:
    seen = failure(raises(Reject("never")))
    assert (seen.error, seen.permanent, seen.outcome) == ("never", True, Outcome.FAILED)
    assert seen.traceback is not None


@pytest.mark.parametrize("seconds", [0, 12.5])
def test_a_task_for_later_is_told_with_its_seconds_and_needs_no_traceback(seconds: float) -> None:
    seen = failure(raises(RetryLater(seconds, "busy")))
    assert seen == Failure("busy", retry_after=seconds, started_at=NOW)
    assert failure(raises(RetryLater(1.5))).error == "to be run again in 1.5 s"


@pytest.mark.parametrize("seconds", [-1, float("nan"), "soon", None])
def test_later_by_seconds_that_are_none_is_a_failure_like_any_other(seconds: Any) -> None:  # noqa: ANN401 - what an action may pass
    error = RetryLater(1.0, "busy")
    error.seconds = seconds
    seen = failure(raises(error))
    assert (seen.error, seen.retry_after) == ("RetryLater: busy", None)


def test_later_takes_a_number_of_seconds_and_says_so() -> None:
    with pytest.raises(TypeError, match=r"^RetryLater takes seconds, a number, and not timedelta$"):
        RetryLater(timedelta(minutes=5), "busy")  # type: ignore[arg-type]


def test_an_action_that_was_asked_to_stop_and_does_is_cancelled() -> None:
    seen = failure(raises(Cancelled("bye")), stop=True)
    assert seen == Failure("bye", Outcome.CANCELLED, started_at=NOW)
    assert failure(raises(Cancelled()), stop=True).error == "cancelled"


def test_an_action_that_stops_though_nobody_asked_it_has_failed() -> None:
    seen = failure(raises(Cancelled("bye")))
    assert (seen.error, seen.outcome) == ("Cancelled: bye", Outcome.FAILED)


def test_an_action_that_was_asked_to_stop_and_goes_on_is_done() -> None:
    assert outcome(OneAction(lambda: "1", stop=True)) == Ack("one", TASK, "1", NOW, "said")


def test_an_action_that_took_too_long_says_so() -> None:
    seen = failure(raises(TimedOut("timed out after 5 s")))
    assert (seen.error, seen.outcome) == ("timed out after 5 s", Outcome.TIMED_OUT)


def test_what_became_of_an_attempt_in_another_process_is_told_as_it_is() -> None:
    ended = Failure("died", Outcome.CRASHED, stderr="why", contained=True)
    assert failure(raises(Ended(ended))) == replace(ended, started_at=NOW)


def test_a_process_that_the_action_has_forked_ends_where_the_action_does() -> None:
    """Else it would be a second server with the same sockets and the same database."""
    read, write = os.pipe()

    children: list[int] = []

    def fork() -> str:
        if (child := os.fork()) == 0:
            os.close(read)
            return "child"  # and here it would go on, if it were let
        children.append(child)
        os.close(write)
        return "parent"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # from Python 3.12 on, of the fork
        assert outcome(OneAction(fork)) == Ack("one", TASK, "parent", NOW)
    with os.fdopen(read, "rb") as pipe:
        assert pipe.read() == b""  # its end is closed: it is over
    assert os.waitpid(children[0], 0)[1] == 0


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_exception_is_the_tasks_failure_and_nobody_elses(error: BaseException) -> None:
    assert failure(raises(error)).error.partition(":")[0] == type(error).__name__


def test_an_error_that_cannot_say_its_text_is_a_failure_like_any_other() -> None:
    assert (
        failure(raises(Unspeakable())).error == "Unspeakable: an error whose text cannot be shown"
    )


def test_an_error_that_cannot_be_traced_is_a_failure_without_a_traceback() -> None:
    seen = failure(raises(NamelessError("no")))
    assert (seen.error, seen.traceback) == ("NamelessError: no", None)


# --- tracebacks -----------------------------------------------------------------------------


def dig(depth: int) -> str:
    if depth:
        return dig(depth - 1)
    text = "no gold"
    raise ValueError(text)


def test_a_traceback_begins_with_the_action_without_frames_of_ours() -> None:
    def action(_data: object) -> None:
        dig(0)

    thread = ThreadAction(
        PythonFunction(action), timeout_seconds=0.0, overdue_seconds=0.0, max_result_bytes=1024
    )
    message = outcome(Registry({"sum": thread}, None))
    assert isinstance(message, Nack)
    assert message.failure.traceback is not None
    frames = [line for line in message.failure.traceback.splitlines() if "  File" in line]
    assert [line.rpartition(" ")[2] for line in frames] == ["action", "dig"]
    assert all(__file__ in line for line in frames)


def test_a_traceback_keeps_the_innermost_frames_and_the_last_characters() -> None:
    deep = failure(lambda: dig(DEPTH)).traceback
    assert deep is not None
    assert "raise ValueError(text)" in deep
    assert "lambda" not in deep  # an outer frame
    long = failure(raises(ValueError("x" * 2 * MAX_ERROR_CHARS))).traceback
    assert long == "x" * (MAX_ERROR_CHARS - 1) + "\n"


def test_an_error_of_ours_before_the_action_began_has_a_traceback_all_the_same() -> None:
    """There the frames of ours are all there are."""
    message = outcome(Registry({}, None))
    assert isinstance(message, Nack)
    assert message.failure.permanent
    assert message.failure.traceback is not None
    assert message.failure.traceback.splitlines()[-1].startswith(
        "task_queue.actors.errors.Reject: action 'sum' is not known"
    )


# --- live -----------------------------------------------------------------------------------


def test_an_attempt_begins_when_its_action_does_not_when_it_was_claimed() -> None:
    queue, clock = Inbox(), ManualClock()

    def action() -> str:
        clock.advance(5)
        return "1"

    consumer = ConsumerActor(
        life("one"), queue=queue, actions=OneAction(action), now=clock, monotonic=lambda: 0.0
    )
    consumer.receive(Deliver(TASK))
    assert queue.wait_for(Ack, 0).started_at == NOW


def test_it_asks_for_its_first_task_when_it_starts_and_runs_the_next_after_a_failure() -> None:
    queue = Inbox()
    outcomes: list[Callable[[], str]] = [raises(SystemExit(1)), lambda: "{}"]

    def next_outcome() -> str:
        return outcomes.pop(0)()

    actions = OneAction(next_outcome)
    ref = ConsumerActor.start(
        life("one"),
        queue=queue,
        actions=actions,
        now=lambda: NOW,
        monotonic=lambda: 0.0,
    )
    with running(ref) as consumer:
        ready = queue.wait_for(Ready)
        assert ready.consumer == "one"
        consumer.tell(Deliver(TASK))
        consumer.tell(Deliver(TASK))
        queue.wait_for(Nack)
        queue.wait_for(Ack)
    assert ready.slot is actions.slot  # by which the queue reaches what runs
