"""The one place where an error becomes an HTTP answer.

Every error is `application/problem+json` (RFC 9457) and carries the tutorial's `error` member.
No answer carries a traceback, a path of the file system or a statement.
"""

from http import HTTPStatus
from typing import Any

import falcon
import structlog

from actors.errors import (
    AnswerTimeoutError,
    QueryFailedError,
    QueueFullError,
    TaskQueueError,
    UnavailableError,
)
from api.json_codec import dumps

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_log = structlog.get_logger()


class InvalidRequestError(Exception):
    """The request cannot be understood, or asks for what is not allowed.

    Attributes:
        error: The tutorial's short text, or the whole sentence.
        detail: A sentence that names the member, its value and what is allowed.
        status: The HTTP status.
    """

    def __init__(
        self, error: str, detail: str | None = None, status: HTTPStatus = HTTPStatus.BAD_REQUEST
    ) -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail or error
        self.status = status


def problem(status: HTTPStatus, error: str, detail: str | None = None) -> dict[str, Any]:
    """A problem document.

    Args:
        status: The HTTP status.
        error: The tutorial's text.
        detail: A sentence for this occurrence; the error's text unless given.
    """
    return {
        "error": error,
        "type": "about:blank",
        "title": status.phrase,
        "status": status.value,
        "detail": detail or error,
    }


def install(app: "falcon.App[falcon.Request, falcon.Response]") -> None:
    """Let this module answer every error of the application."""
    app.set_error_serializer(_serialize)
    app.add_error_handler(Exception, _on_defect)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    app.add_error_handler(InvalidRequestError, _on_invalid_request)
    app.add_error_handler(TaskQueueError, _on_task_queue_error)


def answer(
    resp: falcon.Response, status: HTTPStatus, error: str, detail: str | None = None
) -> None:
    """Make the response a problem."""
    resp.status = status.value
    resp.content_type = PROBLEM_TYPE
    resp.data = dumps(problem(status, error, detail))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        resp.set_header("Retry-After", str(RETRY_AFTER_SECONDS))


def late_refusal(error: TaskQueueError) -> tuple[HTTPStatus, list[tuple[str, str]], bytes]:
    """Status, headers and body for a publish that failed after its answer was prepared."""
    status, text, detail = _explained(error, publishing=True)
    headers = [("Content-Type", PROBLEM_TYPE)]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", str(RETRY_AFTER_SECONDS)))
    return status, headers, dumps(problem(status, text, detail))


def _on_invalid_request(
    _req: falcon.Request, resp: falcon.Response, error: InvalidRequestError, _params: object
) -> None:
    answer(resp, error.status, error.error, error.detail)


def _on_task_queue_error(
    req: falcon.Request, resp: falcon.Response, error: TaskQueueError, _params: object
) -> None:
    answer(resp, *_explained(error, publishing=req.method == "POST"))


def _explained(error: TaskQueueError, *, publishing: bool) -> tuple[HTTPStatus, str, str | None]:
    """Status, short text and sentence for an expected error."""
    match error:
        case QueryFailedError():
            _log.error("query failed", error=str(error))
            return HTTPStatus.INTERNAL_SERVER_ERROR, "query failed", None
        case AnswerTimeoutError():
            detail = "no answer in time; whether the task was accepted is unknown"
            detail = detail if publishing else "no answer from the database in time"
        case UnavailableError():
            detail = str(error) if isinstance(error, QueueFullError) else "try again soon"
        case _:
            _log.error("publish refused by the database", error=str(error))
            detail = "the database refuses this task"
            return HTTPStatus.INTERNAL_SERVER_ERROR, "failed to queue task", detail
    text = "failed to queue task" if publishing else "database unavailable"
    return HTTPStatus.SERVICE_UNAVAILABLE, text, detail


def _on_http_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object
) -> None:
    status = HTTPStatus(error.status_code)
    detail = error.description
    if error.headers is not None:
        resp.set_headers(error.headers)
    if allowed := resp.get_header("Allow"):
        detail = f"{req.method} is not allowed here; allowed: {allowed}"
    answer(resp, status, status.phrase.lower(), detail)


def _on_defect(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: object
) -> None:
    _log.error("request failed", method=req.method, path=req.path, exc_info=error)
    answer(resp, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")


def _serialize(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    _on_http_error(req, resp, error, None)
