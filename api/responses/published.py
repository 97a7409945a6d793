"""The answers to publishes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus

from orjson import dumps
from structlog.contextvars import get_contextvars

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.queue import Publish
from task_queue.actors.tasks.conditions import Published
from task_queue.actors.tasks.task import Receipt, Task
from task_queue.api.responses import rate_limit
from task_queue.api.responses.answer import JSON, Answer, Headers
from task_queue.api.responses.urls import url
from task_queue.config.logger import get_logger

Shape = Callable[[Sequence[Receipt], Headers], Answer]
"""Makes an answer of what became of the tasks, and of headers that go with it."""

_log = get_logger()


def one(receipts: Sequence[Receipt], headers: Headers) -> Answer:
    """Return the answer to `POST /tasks`."""
    (receipt,) = receipts
    body: dict[str, object] = {"id": receipt.task_id, "status": receipt.status}
    status = HTTPStatus.ACCEPTED
    if receipt.duplicate:
        body["duplicate"] = True
        status = HTTPStatus.OK
    location = ("Location", url(f"/tasks/{receipt.task_id}"))
    return Answer(status, [("Content-Type", JSON), location, *headers], dumps(body))


def batch(receipts: Sequence[Receipt], headers: Headers) -> Answer:
    """Return the answer to `POST /tasks/batch`."""
    ids = [receipt.task_id for receipt in receipts]
    body: dict[str, object] = {"ids": ids, "count": len(ids)}
    if duplicates := sum(receipt.duplicate for receipt in receipts):
        body["duplicates"] = duplicates
    return Answer(HTTPStatus.ACCEPTED, [("Content-Type", JSON), *headers], dumps(body))


def prepared(tasks: Sequence[Task], shape: Shape) -> Answer:
    """Return the answer that is right if each task is simply stored."""
    return shape([Receipt(task.id, task.status.shown, duplicate=False) for task in tasks], [])


def note_when_stored(publish: Publish) -> None:
    """Have it logged what becomes of the tasks, once that is known.

    The thread that answers the publish does it. It is that which afterwards tells of the tasks that
    were claimed in the same commit, so that no task is seen to run before it is seen to be queued.
    """
    request_id = get_contextvars().get("request_id")
    publish.reply_to.then(partial(_note, publish, {"request_id": request_id} if request_id else {}))


def decided(publish: Publish, shape: Shape, published: Published | None) -> Answer | None:
    """Return what is answered to what became of the tasks; None: as prepared."""
    return None if published is None else shape(published.receipts, headers(publish, published))


def headers(publish: Publish, published: Published) -> Headers:
    """Return the headers that tell of the limits, and of a repetition."""
    limits = {} if publish.conditions is None else publish.conditions.limits
    told = rate_limit.left(limits, published.room)
    if published.replayed:
        told.append(("Idempotency-Replayed", "true"))
    return told


def _note(publish: Publish, fields: Mapping[str, str]) -> None:
    """Log a publish, if it was not refused: a single task by its id, a batch by its size."""
    try:
        published = publish.reply_to.outcome()
    except TaskQueueError:
        return
    what, ids = "queued", [task.id for task in publish.tasks]
    if published is not None:
        ids = [receipt.task_id for receipt in published.receipts]
        if published.replayed or all(receipt.duplicate for receipt in published.receipts):
            what = "not queued again"
    if len(ids) == 1:
        _log.info(f"task {what}", id=ids[0], action=publish.tasks[0].action, **fields)
    else:
        _log.info(f"tasks {what}", count=len(ids), first_id=ids[0], **fields)
