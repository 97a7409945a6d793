"""The names that users import."""

import pickle
from typing import Any

import task_queue
import task_queue.client
import task_queue.testing


def test_every_public_name_is_there_and_listed() -> None:
    for module in (task_queue, task_queue.client, task_queue.testing):
        assert all(hasattr(module, name) for name in module.__all__)
        assert set(module.__all__) <= set(dir(module))


def test_a_name_that_is_not_public_is_none() -> None:
    assert not hasattr(task_queue, "QueueActor")


def pickled(error: Exception) -> Any:  # noqa: ANN401 - an error of the same kind
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - our own


def test_what_actions_raise_can_be_pickled() -> None:
    again = pickled(task_queue.RetryLater(5, "too early"))
    assert (again.seconds, str(again)) == (5, "too early")
    assert str(pickled(task_queue.Reject("never"))) == "never"
