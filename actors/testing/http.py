"""What code that publishes over HTTP is answered in a test."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import orjson

from task_queue.actors.errors import InvalidDataError
from task_queue.actors.testing.published import QUEUE, PublishedTask, RefusedError

if TYPE_CHECKING:
    import httpx

Accept = Callable[[object, object, Mapping[str, object]], Callable[[], PublishedTask]]
"""Checks an action, data and other members of a publish; returns what runs the task.

It raises `RefusedError` or `InvalidDataError`.
"""

_Answer = tuple[HTTPStatus, dict[str, str], dict[str, Any]]


def transport(accept: Accept, tasks: Mapping[str, PublishedTask]) -> "httpx.MockTransport":
    """Return a transport for clients of httpx; see `InlineQueue.transport`.

    Args:
        accept: Takes what is published.
        tasks: All that were published so far, by id.
    """
    import httpx  # noqa: PLC0415 - importing it takes a tenth of a second

    def handle(request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.split("/"):
            case "POST", ["", "tasks"]:
                status, headers, document = _published(accept, request.content)
            case "GET", ["", "tasks", task_id] if task_id in tasks:
                status, headers, document = _json(HTTPStatus.OK, _document(tasks[task_id]))
            case "GET", ["", "tasks", _]:
                status, headers, document = _problem(HTTPStatus.NOT_FOUND, "task not found")
            case _:
                status, headers, document = _problem(HTTPStatus.NOT_FOUND, "not found")
        return httpx.Response(status, headers=headers, content=orjson.dumps(document))

    return httpx.MockTransport(handle)


def _published(accept: Accept, body: bytes) -> _Answer:
    try:
        run = accept(*_members(body))
    except InvalidDataError as error:
        return _problem(HTTPStatus.BAD_REQUEST, str(error))
    except RefusedError as error:
        return _problem(HTTPStatus.BAD_REQUEST, error.error, str(error))
    task = run()  # what the action raises is the test's
    return _json(HTTPStatus.ACCEPTED, {"id": task.id, "status": "queued"}, task.id)


def _members(body: bytes) -> tuple[object, object, dict[str, Any]]:
    """Return the action, the data and the other members of a body.

    Raises:
        RefusedError: It is not a JSON object.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError("invalid JSON", f"the body is not valid JSON: {error}") from error
    if not isinstance(members, dict):
        raise RefusedError("invalid JSON", "the body must be a JSON object")
    return members.pop("action", None), members.pop("data", None), members


def _document(task: PublishedTask) -> dict[str, Any]:
    """Return the task as the API shows it, as far as it is known here."""
    newest = task.progress[-1] if task.progress else None
    return {
        "id": task.id,
        "payload": {"id": task.id, "action": task.action, "data": task.data},
        "status": "completed" if task.error is None else "dead",
        "result": task.result,
        "queue": task.members.get("queue") or QUEUE,
        "error": task.error,
        "progress": newest and {"fraction": newest[0], "message": newest[1]},
    }


def _json(status: HTTPStatus, document: dict[str, Any], location: str | None = None) -> _Answer:
    headers = {"Content-Type": "application/json"}
    if location is not None:
        headers["Location"] = f"/tasks/{location}"
    return status, headers, document


def _problem(status: HTTPStatus, error: str, detail: str | None = None) -> _Answer:
    document = {
        "error": error,
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail or error,
    }
    return status, {"Content-Type": "application/problem+json"}, document
