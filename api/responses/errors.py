"""The one place where an error becomes an HTTP answer.

Every error is `application/problem+json` (RFC 9457) and carries the tutorial's `error` member.
No answer carries a traceback, a path of the file system or a statement.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple

import falcon
from orjson import dumps

from task_queue.actors.errors import (
    ActorUnavailableError,
    AnswerTimeoutError,
    ConflictError,
    InvalidDataError,
    KeyReusedError,
    NeverStartsError,
    NotFoundError,
    OverLimitError,
    QueryFailedError,
    StoreUnavailableError,
    TaskQueueError,
    UnavailableError,
)
from task_queue.actors.tasks.recurrence import InvalidRecurrenceError
from task_queue.actors.tasks.text import cut
from task_queue.api.responses import rate_limit
from task_queue.api.responses.answer import Answer
from task_queue.config.logger import get_logger

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_STATUSES = {
    InvalidDataError: HTTPStatus.BAD_REQUEST,
    InvalidRecurrenceError: HTTPStatus.BAD_REQUEST,
    NeverStartsError: HTTPStatus.BAD_REQUEST,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""The errors whose own text is the answer."""

_RETRY = (("Retry-After", str(RETRY_AFTER_SECONDS)),)
_log = get_logger()


class InvalidRequestError(Exception):
    """The request cannot be understood, or asks for what is not allowed.

    Attributes:
        error: The tutorial's short text, or the whole sentence.
        detail: A sentence that names the member, its value and what is allowed.
        status: The HTTP status.
        retry_after_seconds: When the same request may be answered differently; None: never.
    """

    def __init__(
        self,
        error: str,
        detail: str | None = None,
        status: HTTPStatus = HTTPStatus.BAD_REQUEST,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail or error
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class _Explained(NamedTuple):
    """The answer to an expected error.

    Attributes:
        status: The HTTP status.
        error: The short text.
        detail: The sentence; None: the same.
        headers: Those that belong to it.
    """

    status: HTTPStatus
    error: str
    detail: str | None = None
    headers: Iterable[tuple[str, str]] = ()


def problem(status: HTTPStatus, error: str, detail: str | None = None) -> dict[str, Any]:
    """Return a problem document.

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
    """Turn the response into a problem document."""
    resp.status = status.value
    resp.content_type = PROBLEM_TYPE
    resp.data = dumps(problem(status, error, detail))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        resp.set_header("Retry-After", str(RETRY_AFTER_SECONDS))


def late_refusal(error: TaskQueueError) -> Answer:
    """Return the answer to a publish that its queue or the database refuses."""
    return _refusal(error, publishing=True)


def _on_invalid_request(
    _req: falcon.Request, resp: falcon.Response, error: InvalidRequestError, _params: object
) -> None:
    answer(resp, error.status, error.error, error.detail)
    if error.retry_after_seconds is not None:
        resp.set_header("Retry-After", str(error.retry_after_seconds))


def _on_task_queue_error(
    _req: falcon.Request, resp: falcon.Response, error: TaskQueueError, params: dict[str, str]
) -> None:
    if isinstance(error, NotFoundError) and params:
        what, name = str(error).removesuffix(" not found"), cut(next(iter(params.values())))
        answer(resp, HTTPStatus.NOT_FOUND, str(error), f"there is no {what} {name!r}")
        return
    _refusal(error, publishing=False).fill(resp)


def _refusal(error: TaskQueueError, *, publishing: bool) -> Answer:
    """Return the answer; about a publish the tutorial has words of its own."""
    status, text, detail, headers = _explained(error, publishing=publishing)
    return Answer(
        status, [("Content-Type", PROBLEM_TYPE), *headers], dumps(problem(status, text, detail))
    )


def _explained(error: TaskQueueError, *, publishing: bool) -> _Explained:
    """Return what to answer to an expected error."""
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return _Explained(status, str(error))
    match error:
        case OverLimitError():
            quota = rate_limit.exhausted(error.limit, error.quota, RETRY_AFTER_SECONDS)
            return _Explained(HTTPStatus.TOO_MANY_REQUESTS, str(error), None, [*_RETRY, *quota])
        case QueryFailedError():
            _log.error("query failed", error=str(error))
            return _Explained(HTTPStatus.INTERNAL_SERVER_ERROR, "query failed")
        case UnavailableError():
            away = "failed to queue task" if publishing else "database unavailable"
            detail = _why_unavailable(error, publishing=publishing)
            return _Explained(HTTPStatus.SERVICE_UNAVAILABLE, away, detail, _RETRY)
        case _:
            _log.error("refused by the database", error=str(error))
            failed = "failed to queue task" if publishing else "query failed"
            detail = "the database refuses this"
            return _Explained(HTTPStatus.INTERNAL_SERVER_ERROR, failed, detail)


def _why_unavailable(error: UnavailableError, *, publishing: bool) -> str:
    match error:
        case AnswerTimeoutError() if publishing:
            return "no answer in time; whether the task was accepted is unknown"
        case AnswerTimeoutError():
            return "no answer from the database in time"
        case StoreUnavailableError():
            return "the database cannot be used now, GET /readyz says why; try again soon"
        case ActorUnavailableError():
            return "a part of the service is down, GET /readyz says which; try again soon"
        case _:
            return str(error)


def _on_http_error(
    req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, _params: object
) -> None:
    status = HTTPStatus(error.status_code)
    detail = error.description
    if error.headers is not None:
        resp.set_headers(error.headers)
    if allowed := resp.get_header("Allow"):
        detail = f"{req.method} is not allowed here; allowed: {allowed}"
    if status is HTTPStatus.NOT_FOUND and detail is None:
        detail = f"there is no {cut(req.path)}"
    answer(resp, status, status.phrase.lower(), detail)


def _on_defect(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: object
) -> None:
    _log.error("request failed", method=req.method, path=req.path, exc_info=error)
    answer(resp, HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")


def _serialize(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    _on_http_error(req, resp, error, None)
