"""`/ui/tasks/{id}`: all that is known of one task, and what can be done to it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import falcon

from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.event import CALLBACKS, DELIVERY
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import RefusedError
from task_queue.api.ui.render import duration
from task_queue.api.ui.tasks import TASKS
from task_queue.api.ui.timeline import bars_of
from task_queue.api.ui.visit import Question, Visit

MAX_CALLBACKS = 20

_Task = Mapping[str, Any]
_Fact = tuple[str, object, str | None]
"""A name, a value, and the path that it leads to."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that can be done to a task.

    Attributes:
        name: The last part of its path, and what the button says.
        states: In which states a task has the button; whether it can be done is the API's to say.
        warning: What happens.
        said: What is said afterwards.
        harms: Whether something is lost.
    """

    name: str
    states: tuple[str, ...]
    warning: str
    said: str
    harms: bool = False


CANCEL = Change(
    "cancel",
    ("scheduled", "queued", "running"),
    "If it runs, it is asked to stop. It does not run again unless somebody retries it.",
    "The task was cancelled, or asked to stop if it runs.",
    harms=True,
)
RETRY = Change(
    "retry",
    ("dead", "cancelled"),
    "It goes back on its queue, with all its attempts again.",
    "The task is back on its queue.",
)
DELETE = Change(
    "delete",
    ("completed", "dead", "cancelled"),
    "Its data, its result and its attempts are gone for good.",
    "The task was deleted.",
    harms=True,
)
CHANGES = (RETRY, CANCEL, DELETE)


class TaskPage:
    """`GET /ui/tasks/{id}` shows a task; below it are the questions before a change of it."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Show the task."""
        visit = Visit(self._frame, req, resp)
        task = visit.get(f"/tasks/{task_id}")
        visit.show(
            "task.html",
            f"{task['payload']['action']} {task_id}",
            task=task,
            bars=bars_of(task, visit.now),
            changes=[each.name for each in CHANGES if task["status"] in each.states],
            group=_group(task),
            facts=[fact for fact in _facts(task) if fact[1] is not None],
            callbacks=_callbacks(visit, task),
        )

    def on_get_cancel(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Ask whether the task is to be cancelled."""
        self._ask(CANCEL, req, resp, task_id)

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Cancel it, or ask it to stop."""
        self._post(CANCEL, req, resp, task_id)

    def on_get_retry(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Ask whether the task is to be put back."""
        self._ask(RETRY, req, resp, task_id)

    def on_post_retry(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Put it back on its queue."""
        self._post(RETRY, req, resp, task_id)

    def on_get_delete(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Ask whether the task is to be deleted."""
        self._ask(DELETE, req, resp, task_id)

    def on_post_delete(self, req: falcon.Request, resp: falcon.Response, task_id: str) -> None:
        """Delete it."""
        visit = Visit(self._frame, req, resp)
        visit.change("DELETE", f"/tasks/{task_id}")
        visit.leave(TASKS, DELETE.said)

    def _post(
        self, change: Change, req: falcon.Request, resp: falcon.Response, task_id: str
    ) -> None:
        visit = Visit(self._frame, req, resp)
        visit.change("POST", f"/tasks/{task_id}/{change.name}")
        visit.leave(f"{TASKS}/{task_id}", change.said)

    def _ask(
        self, change: Change, req: falcon.Request, resp: falcon.Response, task_id: str
    ) -> None:
        visit = Visit(self._frame, req, resp)
        task = visit.get(f"/tasks/{task_id}")
        which = f"{task['payload']['action']} {task_id}, on the queue {task['queue']},"
        question = Question(
            title=f"{change.name.capitalize()} this task?",
            lines=(f"{which} is {task['status']}.", change.warning),
            button=change.name.capitalize(),
            back=f"{TASKS}/{task_id}",
            harms=change.harms,
        )
        visit.ask_first(question)


def _callbacks(visit: Visit, task: _Task) -> list[_Task]:
    """Return the tasks that tell how this one ended, the newest first."""
    if not task["callback"]:
        return []
    query = {
        "queue": CALLBACKS,
        "action": DELIVERY,  # others may name any subject they like
        "data.subject": task["id"],
        "created_after": task["created_at"],
    }
    try:
        found: list[_Task] = visit.get("/tasks", **query, limit=MAX_CALLBACKS)["tasks"]
    except RefusedError:  # the key sees no such queue, or there is none any more
        return []
    return found


def _group(task: _Task) -> str | None:
    """Return the query of all dead tasks of its queue with its action and error."""
    if task["status"] != "dead":
        return None
    return urlencode(
        {
            "status": "dead",
            "queue": task["queue"],
            "action": task["payload"]["action"],
            "error_group": error_group(task["error"]),
        }
    )


def _facts(task: _Task) -> Iterator[_Fact]:
    """Return what else is known, in the order it is shown; None: it was not given."""
    action, data, queue = task["payload"]["action"], task["payload"]["data"], task["queue"]
    yield "Action", action, f"/ui/actions/{quote(action, safe='')}"
    yield "Queue", queue, f"/ui/queues/{quote(queue, safe='')}"
    if task["schedule"]:
        yield "Schedule", task["schedule"], f"/ui/schedules/{quote(task['schedule'], safe='')}"
    if queue == CALLBACKS and isinstance(data.get("subject"), str):
        yield "Tells of the task", data["subject"], f"{TASKS}/{quote(data['subject'], safe='')}"
    yield "Priority", task["priority"], None
    yield "Unique key", task["unique_key"], _tasks(unique_key=task["unique_key"])
    yield "Key", task["key"], _tasks(queue=queue, key=task["key"])
    yield "Node or worker", task["worker"], None
    yield "Callback", task["callback"] or None, None
    yield "Trace", task["traceparent"] and task["traceparent"].split("-")[1], None
    yield "Timeout", task["timeout_seconds"] and duration(task["timeout_seconds"]), None
    if (backoff := task["backoff"]) is not None:
        yield "Backoff", ", ".join(f"{name} {value:g}" for name, value in backoff.items()), None
    if (kept := task["keep_result_seconds"]) is not None:
        yield "Kept for", duration(kept), None
    if task["postponed"]:
        yield "Postponed", f"{task['postponed']} times", None


def _tasks(**filters: str | None) -> str:
    return f"{TASKS}?{urlencode({name: value for name, value in filters.items() if value})}"
