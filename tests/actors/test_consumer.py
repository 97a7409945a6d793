from collections.abc import Callable

import pytest

from actors.consumer import ConsumerActor
from actors.errors import PermanentError
from actors.messages import Ack, Deliver, Nack, Ready
from actors.task import ClaimedTask, Lease
from tests.fakes import Inbox, life, running

TASK = ClaimedTask(Lease("task", 1), "sum", '{"numbers":[1]}', 2, 5)


class OneAction:
    def __init__(self, action: Callable[[], str]) -> None:
        self.action = action

    def run(self, action: str, data: str) -> str:
        assert (action, data) == ("sum", TASK.data)
        return self.action()


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise ValueError


def raises(error: BaseException) -> Callable[[], str]:
    def action() -> str:
        raise error

    return action


def outcome(action: Callable[[], str]) -> Ack | Nack:
    queue = Inbox()
    consumer = ConsumerActor(
        life("one"), queue=queue, actions=OneAction(action), monotonic=lambda: 0.0
    )
    consumer.receive(Deliver(TASK))
    (message,) = queue.messages
    assert isinstance(message, Ack | Nack)
    assert (message.consumer, message.claimed) == ("one", TASK)
    return message


def test_what_the_action_returns_is_acked() -> None:
    assert outcome(lambda: '{"output":1}') == Ack("one", TASK, '{"output":1}')


def test_what_the_action_raises_is_nacked_with_its_kind_and_text() -> None:
    assert outcome(raises(ValueError("no"))) == Nack("one", TASK, "ValueError: no", permanent=False)


def test_a_permanent_error_says_that_trying_again_is_no_use() -> None:
    assert outcome(raises(PermanentError("never"))) == Nack("one", TASK, "never", permanent=True)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_what_is_no_exception_is_the_tasks_failure_and_nobody_elses(error: BaseException) -> None:
    message = outcome(raises(error))
    assert isinstance(message, Nack)
    assert message.error.startswith(f"{type(error).__name__}: ")


def test_an_error_that_cannot_say_its_text_is_a_failure_like_any_other() -> None:
    message = outcome(raises(Unspeakable()))
    assert isinstance(message, Nack)
    assert message.error == "Unspeakable: an error whose text cannot be shown"


def test_it_asks_for_its_first_task_when_it_starts_and_runs_the_next_after_a_failure() -> None:
    queue = Inbox()
    outcomes: list[Callable[[], str]] = [raises(SystemExit(1)), lambda: "{}"]

    def next_outcome() -> str:
        return outcomes.pop(0)()

    actions = OneAction(next_outcome)
    ref = ConsumerActor.start(life("one"), queue=queue, actions=actions, monotonic=lambda: 0.0)
    with running(ref) as consumer:
        assert queue.wait_for(Ready).consumer == "one"
        consumer.tell(Deliver(TASK))
        consumer.tell(Deliver(TASK))
        queue.wait_for(Nack)
        queue.wait_for(Ack)
