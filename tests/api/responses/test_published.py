"""What a publish is answered and what is logged of it."""

from collections.abc import Iterator

import pytest
from structlog.contextvars import bound_contextvars
from structlog.testing import capture_logs
from structlog.typing import EventDict

from task_queue.actors.errors import UnavailableError
from task_queue.actors.messages.queue import Publish
from task_queue.actors.tasks.conditions import Published
from task_queue.actors.tasks.task import Receipt, Task
from task_queue.api.responses.published import note_when_stored
from tests.fakes import NOW, a_task


@pytest.fixture
def logged() -> Iterator[list[EventDict]]:
    with capture_logs() as lines:
        yield lines


def noted(*tasks: Task) -> Publish:
    """A publish by a request with an id."""
    publish = Publish(tasks, NOW)
    with bound_contextvars(request_id="mine"):
        note_when_stored(publish)
    return publish


def test_a_task_is_logged_as_queued_by_whoever_says_so_and_before_he_goes_on(
    logged: list[EventDict],
) -> None:
    publish = noted(task := a_task())
    assert logged == []
    publish.reply_to.answer(None)
    assert logged == [
        {
            "event": "task queued",
            "log_level": "info",
            "id": task.id,
            "action": task.action,
            "request_id": "mine",
        }
    ]


def test_a_batch_is_logged_by_its_size(logged: list[EventDict]) -> None:
    first = a_task()
    noted(first, a_task()).reply_to.answer(None)
    (line,) = logged
    assert (line["event"], line["count"], line["first_id"]) == ("tasks queued", 2, first.id)


def test_a_task_that_was_there_before_is_logged_as_not_queued_again(
    logged: list[EventDict],
) -> None:
    receipts = (Receipt("before", "queued", duplicate=True),)
    noted(a_task()).reply_to.answer(Published(receipts=receipts))
    (line,) = logged
    assert (line["event"], line["id"]) == ("task not queued again", "before")


def test_a_publish_that_is_refused_is_not_logged_as_queued(logged: list[EventDict]) -> None:
    noted(a_task()).reply_to.fail(UnavailableError("away"))
    assert logged == []
