"""`/tasks`, `/tasks/{id}` and what can be done to a task."""

from functools import partial
from http import HTTPStatus
from typing import Any

import falcon
from orjson import dumps

from task_queue.actors.errors import NotFoundError
from task_queue.actors.messages.changes import CancelTask, DeleteTask, RetryTask
from task_queue.actors.messages.reader import GetTask, ListTasks
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Attempt, Task
from task_queue.api.auth.caller import caller_of
from task_queue.api.edge import Edge
from task_queue.api.end_of_task import EndOfTask, Found
from task_queue.api.json_codec import refuse_members
from task_queue.api.publish import Publisher
from task_queue.api.requests import prefer
from task_queue.api.requests.listing import ListParameters, page_of
from task_queue.api.requests.validation import canonical_id
from task_queue.api.responses import errors
from task_queue.api.responses.answer import JSON, Answer
from task_queue.api.responses.documents import history_document, page_document
from task_queue.api.responses.late import leave_after
from task_queue.config.logger import get_logger

_log = get_logger()


class TasksResource:
    """`POST /tasks` publishes, `GET /tasks` lists."""

    def __init__(self, publisher: Publisher, edge: Edge) -> None:
        self._edge = edge
        self.on_post = publisher.on_post

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show a page of tasks, the newest first unless asked otherwise."""
        filters, limit, after = page_of(ListParameters, req)
        self._edge.check_names(filters)
        page = ListTasks(limit=limit, filters=filters, after=after)
        tasks, last = self._edge.ask_reader(page)
        resp.data = dumps(page_document(filters, tasks, last))

    on_head = on_get


class TaskResource:
    """`GET /tasks/{id}` shows a task, `DELETE` deletes it; a `POST` below it acts on it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Show the task with its attempts, or `404`; with `Prefer: wait=N` once it is final."""
        own_id = _known(task_id)
        seconds = prefer.wait_seconds(req, self._edge.max_wait_seconds)
        if seconds is None:
            task, attempts = self._look_up(req, own_id)
            resp.data = dumps(history_document(task, attempts))
            return
        end = EndOfTask(
            self._edge,
            own_id,
            self._edge.monotonic() + seconds,
            partial(_shown_after, seconds),
            partial(errors.refusal, name=task_id),
            # Of a queue in memory a task becomes a row when it is final.
            has_row=self._edge.all_durable,
            queues=caller_of(req).queues,
        )
        if (answer := leave_after(req, end.looked_for(), self._edge.timeout)) is not None:
            answer.fill(resp)

    on_head = on_get

    def on_delete(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Delete a task that is final: `204`."""
        refuse_members(req)
        own_id = _known(task_id)
        self._edge.ask_writer(DeleteTask(own_id, caller_of(req).queues))
        _log.info("task deleted", id=own_id)
        resp.status = HTTPStatus.NO_CONTENT.value

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Cancel a task that waits: `200`; ask one that runs to stop: `202`."""
        refuse_members(req)
        own_id = _known(task_id)
        cancel = CancelTask(own_id, self._edge.now(), caller_of(req).queues)
        status = self._edge.ask_writer(cancel)
        _log.info(
            "task cancelled" if status is Status.CANCELLED else "task to be cancelled", id=own_id
        )
        document: dict[str, Any] = {"id": own_id, "status": status.shown}
        if status is Status.RUNNING:
            resp.status = HTTPStatus.ACCEPTED.value
            document["cancel_requested"] = True
        resp.data = dumps(document)

    def on_post_retry(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Put a dead or cancelled task back on its queue: `202`."""
        refuse_members(req)
        own_id = _known(task_id)
        task, _ = self._look_up(req, own_id)
        self._edge.check_would_run(task.queue, task.action)
        retry = RetryTask(own_id, self._edge.now(), caller_of(req).queues)
        status = self._edge.ask_writer(retry)
        _log.info("task put back", id=own_id)
        resp.status = HTTPStatus.ACCEPTED.value
        resp.data = dumps({"id": own_id, "status": status.shown})

    def _look_up(self, req: falcon.Request, task_id: str) -> tuple[Task, list[Attempt]]:
        return _there(self._edge.ask_reader(GetTask(task_id, caller_of(req).queues)))


def _shown_after(seconds: int, found: Found) -> Answer:
    """Return the answer that shows a task, or that there is none, after it has waited."""
    headers = [("Content-Type", JSON), prefer.applied(seconds)]
    return Answer(HTTPStatus.OK, headers, dumps(history_document(*_there(found))))


def _there(found: Found) -> tuple[Task, list[Attempt]]:
    if found is None:
        raise _not_found()
    return found


def _known(task_id: str) -> str:
    """Return the id as tasks have it.

    Raises:
        NotFoundError: No task can have this one.
    """
    if (canonical := canonical_id(task_id)) is None:
        raise _not_found()
    return canonical


def _not_found() -> NotFoundError:
    return NotFoundError("task not found")
