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

_NAMED = {"action required", "unknown action", "unknown queue", "invalid JSON"}
"""The errors that are problems of a kind of their own."""

_Answer = tuple[HTTPStatus, dict[str, str], dict[str, Any]]


def transport(accept: Accept, tasks: Mapping[str, PublishedTask]) -> "httpx.MockTransport":
    """Return a transport for clients of httpx; see `InlineQueue.transport`.

    Args:
        accept: Takes what is published.
        tasks: All that were published so far, by id.
    """
    import httpx  # noqa: PLC0415 - importing it takes a tenth of a second

    def handle(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        match request.method, path.split("/"):
            case "POST", ["", "tasks"]:
                status, headers, document = _published(accept, request.content)
            case "POST", ["", "tasks", "batch"]:
                status, headers, document = _batch(accept, request.content)
            case "GET", ["", "tasks"]:
                status, headers, document = _listed(request.url.params, tasks)
            case "GET", ["", "tasks", task_id] if task_id in tasks:
                status, headers, document = _json(HTTPStatus.OK, _document(tasks[task_id]))
            case "GET", ["", "tasks", _]:
                status, headers, document = _problem(HTTPStatus.NOT_FOUND, "task not found")
            case _:
                detail = f"no server is there: run_inline does not answer {request.method} {path}"
                status, headers, document = _problem(HTTPStatus.NOT_FOUND, "not found", detail)
        return httpx.Response(status, headers=headers, content=orjson.dumps(document))

    return httpx.MockTransport(handle)


def _published(accept: Accept, body: bytes) -> _Answer:
    try:
        run = _accepted(accept, _object(body))
    except (InvalidDataError, RefusedError) as error:
        return _refused(error)
    task = run()  # what the action raises is the test's
    return _json(HTTPStatus.ACCEPTED, {"id": task.id, "status": "queued"}, task.id)


def _batch(accept: Accept, body: bytes) -> _Answer:
    try:
        runs = [_accepted(accept, members) for members in _several(_object(body).get("tasks"))]
    except (InvalidDataError, RefusedError) as error:
        return _refused(error)
    ids = [run().id for run in runs]  # only if all of them are accepted
    return _json(HTTPStatus.ACCEPTED, {"ids": ids, "count": len(ids)})


def _listed(query: Mapping[str, str], tasks: Mapping[str, PublishedTask]) -> _Answer:
    """Return all tasks on one page, those with this `status`, `queue` and `action`, if given."""
    documents = [_document(task) for task in tasks.values()]
    if query.get("order") != "oldest":
        documents.reverse()
    found = [each for each in documents if _is_asked_for(each, query)]
    return _json(HTTPStatus.OK, {"tasks": found, "count": len(found), "next_cursor": None})


def _is_asked_for(document: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    return (
        document["status"] in query.get("status", document["status"]).split(",")
        and document["queue"] == query.get("queue", document["queue"])
        and document["payload"]["action"] == query.get("action", document["payload"]["action"])
    )


def _object(body: bytes) -> dict[str, Any]:
    """Return what a body holds.

    Raises:
        RefusedError: It is not a JSON object.
    """
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RefusedError("invalid JSON", f"the body is not valid JSON: {error}") from error
    return _checked(members, "the body")


def _several(value: object) -> list[Any]:
    """Return the tasks of a batch.

    Raises:
        RefusedError: They are none.
    """
    if not isinstance(value, list) or not value:
        raise RefusedError("tasks must be a list of at least one task")
    return value


def _accepted(accept: Accept, task: object) -> Callable[[], PublishedTask]:
    """Return what runs a task, if it is accepted.

    Raises:
        RefusedError: It is not.
        InvalidDataError: Its data is not what its action takes.
    """
    members = dict(_checked(task, "a task"))
    return accept(members.pop("action", None), members.pop("data", None), members)


def _checked(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError("invalid JSON", f"{what} must be a JSON object")
    return value


def _refused(error: InvalidDataError | RefusedError) -> _Answer:
    if isinstance(error, InvalidDataError):
        return _problem(HTTPStatus.BAD_REQUEST, str(error), kind="invalid-data")
    kind = error.error.lower().replace(" ", "-") if error.error in _NAMED else "invalid-request"
    return _problem(HTTPStatus.BAD_REQUEST, error.error, str(error), kind=kind)


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


def _problem(
    status: HTTPStatus, error: str, detail: str | None = None, *, kind: str = "not-found"
) -> _Answer:
    document = {
        "error": error,
        "type": f"/docs#{kind}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail or error,
    }
    return status, {"Content-Type": "application/problem+json"}, document
