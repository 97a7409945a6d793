"""The answers to publishes."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

import structlog
from orjson import dumps

from task_queue.actors.messages.queue import Publish
from task_queue.actors.tasks.conditions import Published
from task_queue.actors.tasks.task import Receipt, Task
from task_queue.api.responses import rate_limit
from task_queue.api.responses.answer import JSON, Answer, Headers

Shape = Callable[[Sequence[Receipt], Headers], Answer]
"""Makes an answer of what became of the tasks, and of headers that go with it."""

_log = structlog.get_logger()


def one(receipts: Sequence[Receipt], headers: Headers) -> Answer:
    """Return the answer to `POST /tasks`."""
    (receipt,) = receipts
    body: dict[str, object] = {"id": receipt.task_id, "status": receipt.status}
    status = HTTPStatus.ACCEPTED
    if receipt.duplicate:
        body["duplicate"] = True
        status = HTTPStatus.OK
    location = ("Location", f"/tasks/{receipt.task_id}")
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


def decided(publish: Publish, shape: Shape, published: Published | None) -> Answer | None:
    """Log what became of the tasks, and return what is answered; None: as prepared."""
    if published is None:
        _note([task.id for task in publish.tasks], publish.tasks[0].action, again=False)
        return None
    receipts = published.receipts
    ids = [receipt.task_id for receipt in receipts]
    again = published.replayed or all(receipt.duplicate for receipt in receipts)
    _note(ids, publish.tasks[0].action, again=again)
    limits = {} if publish.conditions is None else publish.conditions.limits
    headers = rate_limit.left(limits, published.room)
    if published.replayed:
        headers.append(("Idempotency-Replayed", "true"))
    return shape(receipts, headers)


def _note(task_ids: Sequence[str], action: str, *, again: bool) -> None:
    """Log a publish: a single task as a plain one is."""
    what = "not queued again" if again else "queued"
    if len(task_ids) == 1:
        _log.info(f"task {what}", id=task_ids[0], action=action)
    else:
        _log.info(f"tasks {what}", count=len(task_ids), first_id=task_ids[0])
