"""`POST /tasks` and `POST /tasks/batch`: a request becomes tasks on a queue."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any

import falcon
import orjson
import structlog
from uuid_utils import uuid7

from task_queue.actors.errors import InvalidDataError
from task_queue.actors.messages.queue import Publish
from task_queue.actors.system import QUEUE, ActorSystem
from task_queue.actors.tasks.conditions import Conditions, Published
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo, plain_task, task_of
from task_queue.actors.tasks.task import Receipt, Task
from task_queue.api.json_codec import dumps
from task_queue.api.requests import idempotency
from task_queue.api.requests.bodies import (
    BatchBody,
    PublishBody,
    members_of,
    plain_body,
    publish_body,
)
from task_queue.api.requests.validation import JSON, Limits, checked, read_json
from task_queue.api.responses import rate_limit
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.late import Late, leave_after

MEMORY_MEMBERS = ("action", "data", "queue", "delay_seconds", "run_at", "max_attempts")
"""What a queue can do whose tasks are no rows."""

_Headers = list[tuple[str, str]]
_Shape = Callable[[Sequence[Receipt], _Headers], Answer]

_log = structlog.get_logger()


class Publisher:
    """Publishes what requests ask for: `202` once it is as safe as its queue's driver makes it."""

    def __init__(
        self, system: ActorSystem, limits: Limits, now: Callable[[], float] = time.time
    ) -> None:
        """Store what is needed.

        Args:
            system: Whom to ask.
            limits: What one request may take.
            now: The present moment, Unix seconds.
        """
        self._system = system
        self._timeout = limits.answer_timeout_seconds
        self._now = now
        self._in_flight = idempotency.InFlight()

    def publish_one(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Publish the task in the body."""
        value = read_json(req)
        plain = plain_body(value)
        if plain is not None and idempotency.ENVIRON_KEY not in req.env:
            action, data, name = plain
            queue = self._system.queue_info.get(QUEUE if name is None else name)
            if (
                queue is not None
                and not queue.limits.bound_publishes
                and self._system.actions.knows(action)
            ):
                self._publish_plain(req, resp, queue, action, data)
                return
        body = publish_body(value)
        queue = check_wanted(self._system, body)
        now = self._now()
        task = _task(queue, body, now)
        self._send(req, resp, self._request(req, value, (task,), now), _as_one)

    def publish_batch(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Publish the tasks in the body, all or none."""
        value = read_json(req)
        bodies = checked(BatchBody, value).tasks
        queues = [
            check_wanted(self._system, body, f"tasks[{index}]") for index, body in enumerate(bodies)
        ]
        _check_together(queues)
        now = self._now()
        tasks = tuple(_task(queue, body, now) for queue, body in zip(queues, bodies, strict=True))
        self._send(req, resp, self._request(req, value, tasks, now), _as_batch)

    def _publish_plain(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        queue: QueueInfo,
        action: str,
        data: dict[str, Any],
    ) -> None:
        """The short way, which nearly all publishes go."""
        now = self._now()
        text = orjson.dumps(data).decode()
        check_data(self._system, action, text)
        task = plain_task(str(uuid7()), queue, action, text, now)
        publish = Publish((task,), now + self._timeout)
        reply = self._system.queues[queue.name].ask_later(publish)
        late = Late(reply, partial(_queued, task.id, task.action))
        if (changed := leave_after(req, late, self._timeout)) is not None:
            changed.fill(resp)
            return
        resp.status = HTTPStatus.ACCEPTED.value
        resp.set_header("Location", f"/tasks/{task.id}")
        resp.data = dumps({"id": task.id, "status": task.status.value})

    def _request(
        self, req: falcon.Request, value: object, tasks: tuple[Task, ...], now: float
    ) -> Publish:
        """What the queue is asked, of tasks that may ask for anything.

        Args:
            req: The request.
            value: The JSON value in its body.
            tasks: What it asks for.
            now: The present moment, Unix seconds.
        """
        queues = {task.queue: self._system.queue_info[task.queue] for task in tasks}
        limits = _limits_that_bind(tasks, queues)
        again = idempotency.asked_for(req, value, now)
        if again is not None and not queues[tasks[0].queue].durable:
            raise _not_in_memory(tasks[0].queue, "Idempotency-Key")
        conditions = Conditions(limits=limits, idempotency=again) if limits or again else None
        return Publish(tasks, now + self._timeout, conditions)

    def _send(
        self, req: falcon.Request, resp: falcon.Response, publish: Publish, shape: _Shape
    ) -> None:
        """Ask the queue, and answer with the shape of what came of it."""
        queue = self._system.queues[publish.tasks[0].queue]
        if publish.conditions is not None and publish.conditions.idempotency is not None:
            key = publish.conditions.idempotency.key
            self._in_flight.enter(key)
            self._in_flight.leave_with(publish.reply_to, key)
        late = Late(queue.ask_later(publish), partial(_published, publish, shape))
        answer = leave_after(req, late, self._timeout)
        (answer or shape(_stored(publish.tasks), [])).fill(resp)


class BatchResource:
    """`POST /tasks/batch` publishes several tasks, all or none."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Publish them."""
        self._publisher.publish_batch(req, resp)


def check_wanted(system: ActorSystem, body: PublishBody, where: str = "") -> QueueInfo:
    """The queue that a task is for, if there is one that does what the task asks for.

    Args:
        system: What there is.
        body: The task.
        where: Where it stands in the request's body, as in `tasks[17]`; empty: it is the body.

    Raises:
        InvalidRequestError: The action or the queue is not known, or the queue's driver cannot do
            something that is asked for.
    """
    prefix = f"{where}." if where else ""
    if not system.actions.knows(body.action):
        known = ", ".join(system.actions.names)
        message = f"{prefix}action {body.action!r} is not known; known: {known}"
        raise InvalidRequestError("unknown action", message)
    check_data(system, body.action, orjson.dumps(body.data or {}).decode(), prefix)
    queue = system.queue_info.get(body.queue or QUEUE)
    if queue is None:
        known = ", ".join(system.queue_info)
        message = f"{prefix}queue {body.queue!r} is not known; known: {known}"
        raise InvalidRequestError("unknown queue", message)
    if not queue.durable:
        for member in body.given:
            if member not in MEMORY_MEMBERS:
                raise _not_in_memory(queue.name, f"{prefix}{member}")
    return queue


def check_data(system: ActorSystem, action: str, data: str, prefix: str = "") -> None:
    """Accept the data of an action that is known.

    Args:
        system: What there is.
        action: The action's name.
        data: A JSON object as text.
        prefix: What stands before the member's name in an error, as in `tasks[17].`.

    Raises:
        InvalidRequestError: It is not what the action takes.
    """
    try:
        system.actions.check(action, data)
    except InvalidDataError as error:
        raise InvalidRequestError(f"{prefix}{error}") from error


def _not_in_memory(queue: str, what: str) -> InvalidRequestError:
    allowed = ", ".join(MEMORY_MEMBERS)
    message = f"{what} needs a queue on a database; {queue!r} is in memory and takes only {allowed}"
    return InvalidRequestError(message)


def _check_together(queues: Sequence[QueueInfo]) -> None:
    """Accept queues that can take their tasks in one transaction."""
    first = queues[0]
    for index, queue in enumerate(queues):
        if queue is not first and not (queue.durable and first.durable):
            message = (
                f"tasks[{index}].queue is {queue.name!r} and tasks[0].queue is {first.name!r};"
                " a queue in memory cannot be in a batch with another one"
            )
            raise InvalidRequestError(message)


def _task(queue: QueueInfo, body: PublishBody, now: float) -> Task:
    own_id = str(uuid7())
    if body.is_plain:
        data = orjson.dumps(body.data or {}).decode()
        return plain_task(own_id, queue, body.action, data, now)
    return task_of(own_id, queue, members_of(body), now)


def _limits_that_bind(
    tasks: Sequence[Task], queues: dict[str, QueueInfo]
) -> dict[str, QueueLimits]:
    """The limits of those queues that have to be looked at when these tasks are stored."""
    keyed = {task.queue for task in tasks if task.options.key is not None}
    return {
        name: queue.limits
        for name, queue in queues.items()
        if queue.limits.bound_publishes or (queue.limits.concurrency_per_key and name in keyed)
    }


def _queued(task_id: str, action: str, _published: Published | None) -> None:
    """Note that a plain task is stored; the prepared answer stays."""
    _log.info("task queued", id=task_id, action=action)


def _published(publish: Publish, shape: _Shape, published: Published | None) -> Answer | None:
    """What is answered now that it is known what became of the tasks; None: as prepared."""
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


def _stored(tasks: Sequence[Task]) -> list[Receipt]:
    """What is known of the tasks while nothing came in between."""
    return [Receipt(task.id, task.status.shown, duplicate=False) for task in tasks]


def _as_one(receipts: Sequence[Receipt], headers: _Headers) -> Answer:
    (receipt,) = receipts
    body: dict[str, object] = {"id": receipt.task_id, "status": receipt.status}
    status = HTTPStatus.ACCEPTED
    if receipt.duplicate:
        body["duplicate"] = True
        status = HTTPStatus.OK
    location = ("Location", f"/tasks/{receipt.task_id}")
    return Answer(status, [("Content-Type", JSON), location, *headers], dumps(body))


def _as_batch(receipts: Sequence[Receipt], headers: _Headers) -> Answer:
    ids = [receipt.task_id for receipt in receipts]
    body: dict[str, object] = {"ids": ids, "count": len(ids)}
    if duplicates := sum(receipt.duplicate for receipt in receipts):
        body["duplicates"] = duplicates
    return Answer(HTTPStatus.ACCEPTED, [("Content-Type", JSON), *headers], dumps(body))
