import functools
from collections.abc import Callable
from typing import Any

import pytest

from actors.actions.context import MAX_MESSAGE_CHARS, Context, takes_context
from actors.errors import Cancelled
from actors.task import ClaimedTask, Lease
from actors.wire import Progress, Wire

TASK = ClaimedTask(Lease("task", 7), "sum", "{}", 2, 5)
LEASE = TASK.lease
NEXT = ClaimedTask(Lease("next", 7), "sum", "{}", 1, 5)


class Overtaken(Wire):
    """A wire on which a report comes just after the queue has looked."""

    def __init__(self, late: Progress) -> None:
        super().__init__()
        self.late: Progress | None = late

    def __getattribute__(self, name: str) -> object:
        value: object = super().__getattribute__(name)
        if name == "progress" and self.late is not None:
            self.progress, self.late = self.late, None
        return value


def test_an_action_knows_which_attempt_of_which_task_it_is() -> None:
    context = Context(TASK, Wire())
    assert (context.task_id, context.attempt, context.max_attempts) == ("task", 2, 5)


def test_only_the_newest_report_is_there_to_be_taken_once() -> None:
    wire = Wire()
    context = Context(TASK, wire)
    assert wire.take_progress(LEASE) is None
    context.progress(0)
    context.progress(0.5, "half")
    assert wire.take_progress(LEASE) == Progress(LEASE, 0.5, "half")
    assert wire.take_progress(LEASE) is None
    context.progress(1, None)
    assert wire.take_progress(LEASE) == Progress(LEASE, 1.0, None)


def test_what_a_former_task_of_the_consumer_reported_is_not_the_next_ones() -> None:
    wire = Wire()
    Context(TASK, wire).progress(1.0)
    assert wire.take_progress(NEXT.lease) is None


def test_a_report_that_comes_while_another_is_taken_is_not_lost() -> None:
    late = Progress(LEASE, 1.0, "late")
    wire = Overtaken(late)
    wire.progress = first = Progress(LEASE, 0.5, None)
    assert wire.take_progress(LEASE) == first
    assert wire.take_progress(LEASE) == late


@pytest.mark.parametrize("fraction", [-0.001, 1.001, float("nan"), float("inf")])
def test_a_fraction_that_is_none_is_refused_and_not_reported(fraction: float) -> None:
    wire = Wire()
    with pytest.raises(ValueError, match="from 0 to 1"):
        Context(TASK, wire).progress(fraction)
    assert wire.take_progress(LEASE) is None


def test_a_long_message_is_cut() -> None:
    wire = Wire()
    Context(TASK, wire).progress(0.1, "x" * (MAX_MESSAGE_CHARS + 1))
    assert wire.take_progress(LEASE) == Progress(LEASE, 0.1, "x" * MAX_MESSAGE_CHARS)


@pytest.mark.parametrize("message", ["a\x00b", "a\ud800b"])
def test_a_message_that_no_database_takes_is_made_to_fit(message: str) -> None:
    """A report shares its commit with others, and PostgreSQL has no NUL in a text."""
    wire = Wire()
    Context(TASK, wire).progress(0.1, message)
    progress = wire.take_progress(LEASE)
    assert progress is not None
    assert progress.message is not None
    assert "\x00" not in progress.message
    progress.message.encode("utf-8")


def test_an_action_that_nobody_asked_to_stop_goes_on() -> None:
    wire = Wire()
    context = Context(TASK, wire)
    assert not context.cancelled
    context.stop_if_cancelled()
    wire.stop = NEXT.lease  # or that another was asked for
    assert not context.cancelled
    context.stop_if_cancelled()


def test_an_action_that_was_asked_to_stop_sees_it_and_may_stop_by_one_call() -> None:
    wire = Wire()
    context = Context(TASK, wire)
    wire.stop = LEASE
    assert context.cancelled
    with pytest.raises(Cancelled):
        context.stop_if_cancelled()


# --- who wants a context --------------------------------------------------------------------


class Act:
    def __call__(self, data: Any) -> None:  # noqa: ANN401 - an action's data
        """Take the data alone."""

    def with_context(self, data: Any, context: Context) -> None:  # noqa: ANN401
        """Take both."""


def alone(data: Any) -> None:  # noqa: ANN401
    """Take the data alone."""


def with_default(data: Any, tries: int = 3) -> None:  # noqa: ANN401
    """Take the data alone: the second parameter is the action's own business."""


def with_rest(data: Any, *rest: Any, **more: Any) -> None:  # noqa: ANN401
    """Take the data alone."""


def both(data: Any, context: Context) -> None:  # noqa: ANN401
    """Take both."""


def both_by_position(data: Any, context: Context, /) -> None:  # noqa: ANN401
    """Take both."""


@pytest.mark.parametrize(
    "function", [alone, with_default, with_rest, Act(), functools.partial(both, {}), int]
)
def test_a_function_of_one_parameter_gets_the_data_alone(function: Callable[..., Any]) -> None:
    assert not takes_context(function)


@pytest.mark.parametrize("function", [both, both_by_position, Act().with_context])
def test_a_function_of_two_parameters_gets_the_context_too(function: Callable[..., Any]) -> None:
    assert takes_context(function)
