"""`/tasks` and `/tasks/{id}`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from uuid import UUID

import falcon
import orjson
import structlog
from uuid_utils import uuid7

from actors.messages import GetTask, ListTasks, Publish
from actors.system import QUEUE, ActorSystem
from actors.task import Task
from api.errors import InvalidRequestError, answer
from api.json_codec import dumps
from api.late import Late, leave_after
from api.schemas import cursor_of, list_parameters, publish_body, seq_of, task_document

JSON = "application/json"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may take.

    Attributes:
        answer_timeout_seconds: How long an actor may take to answer.
        max_attempts: How many attempts a published task has.
    """

    answer_timeout_seconds: float
    max_attempts: int


class TasksResource:
    """`POST /tasks` publishes, `GET /tasks` lists."""

    def __init__(
        self, system: ActorSystem, limits: Limits, now: Callable[[], float] = time.time
    ) -> None:
        self._system = system
        self._limits = limits
        self._now = now

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Publish a task: `202` once it is on disk."""
        body = publish_body(_read_json(req))
        actions = self._system.actions
        if not actions.knows(body.action):
            known = ", ".join(actions.names)
            message = f"action {body.action!r} is not known; known: {known}"
            raise InvalidRequestError("unknown action", message)
        now, timeout = self._now(), self._limits.answer_timeout_seconds
        task = Task(
            id=str(uuid7()),
            queue=QUEUE,
            action=body.action,
            data=orjson.dumps(body.data).decode(),
            max_attempts=self._limits.max_attempts,
            run_at=now,
            created_at=int(now),
        )
        reply = self._system.queue.ask_later(Publish(task, deadline=now + timeout))
        queued = partial(_log.info, "task queued", id=task.id, action=task.action)
        leave_after(req, Late(reply, queued), timeout)
        resp.status = HTTPStatus.ACCEPTED.value
        resp.set_header("Location", f"/tasks/{task.id}")
        resp.data = dumps({"id": task.id, "status": task.status.value})

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """A page of tasks, newest first."""
        asked = list_parameters(req.params)
        before = None if asked.cursor is None else seq_of(asked.cursor)
        tasks, last = self._system.reader.ask(
            ListTasks(limit=asked.limit, status=asked.status, before=before),
            self._limits.answer_timeout_seconds,
        )
        resp.data = dumps(
            {
                "tasks": [task_document(task) for task in tasks],
                "count": len(tasks),
                "next_cursor": None if last is None else cursor_of(last),
            }
        )

    on_head = on_get


class TaskResource:
    """`GET /tasks/{id}` shows one task."""

    def __init__(self, system: ActorSystem, limits: Limits) -> None:
        self._system = system
        self._limits = limits

    def on_get(self, _req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """The task, or `404`."""
        task = None
        if (canonical := _canonical(task_id)) is not None:
            task = self._system.reader.ask(GetTask(canonical), self._limits.answer_timeout_seconds)
        if task is None:
            answer(resp, HTTPStatus.NOT_FOUND, "task not found")
        else:
            resp.data = dumps(task_document(task))

    on_head = on_get


def _read_json(req: falcon.Request) -> bytes:
    """The request's body; the server has already refused one that is too long."""
    content_type = (req.content_type or JSON).partition(";")[0].strip().lower()
    if content_type != JSON:
        message = f"Content-Type must be {JSON}, not {content_type}"
        hint = f"{message}; with curl: -H 'Content-Type: {JSON}'"
        raise InvalidRequestError(message, hint, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    return req.bounded_stream.read()


def _canonical(task_id: str) -> str | None:
    try:
        return str(UUID(task_id))
    except ValueError:
        return None
