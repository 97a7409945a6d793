"""The names that users import."""

import task_queue
import task_queue.testing


def test_every_public_name_is_there_and_listed() -> None:
    for module in (task_queue, task_queue.testing):
        assert all(hasattr(module, name) for name in module.__all__)
        assert set(module.__all__) <= set(dir(module))


def test_a_name_that_is_not_public_is_none() -> None:
    assert not hasattr(task_queue, "QueueActor")
