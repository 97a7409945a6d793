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
    LeaseLostError,
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
from task_queue.api.responses import problems, rate_limit
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.problems import INVALID_REQUEST, OF_HTTP, Problem
from task_queue.api.responses.urls import url, without_lease
from task_queue.config.logger import get_logger

PROBLEM_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1

_PROBLEMS = {
    InvalidDataError: problems.INVALID_DATA,
    InvalidRecurrenceError: problems.INVALID_SCHEDULE,
    NeverStartsError: problems.NEVER_STARTS,
    NotFoundError: problems.NOT_FOUND,
    ConflictError: problems.CONFLICT,
    KeyReusedError: problems.KEY_REUSED,
    LeaseLostError: problems.LEASE_LOST,
}
"""The errors whose own text is the answer."""

_RETRY = (("Retry-After", str(RETRY_AFTER_SECONDS)),)
_log = get_logger()


class InvalidRequestError(Exception):
    """The request cannot be understood, or asks for what is not allowed.

    Attributes:
        error: The tutorial's short text, or the whole sentence.
        detail: A sentence that names the member, its value and what is allowed.
        problem: Which problem of the registry it is.
        retry_after_seconds: When the same request may be answered differently; None: never.
    """

    def __init__(
        self,
        error: str,
        detail: str | None = None,
        problem: Problem = INVALID_REQUEST,
        retry_after_seconds: int | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.detail = detail or error
        self.problem = problem
        self.retry_after_seconds = retry_after_seconds


class _Explained(NamedTuple):
    """The answer to an expected error.

    Attributes:
        problem: Which one of the registry it is.
        error: The short text.
        detail: The sentence; None: the same.
        headers: Those that belong to it.
    """

    problem: Problem
    error: str
    detail: str | None = None
    headers: Iterable[tuple[str, str]] = ()


def document(problem: Problem, error: str, detail: str | None = None) -> dict[str, Any]:
    """Return a problem document.

    Args:
        problem: Which one of the registry it is.
        error: The tutorial's text.
        detail: A sentence for this occurrence; the error's text unless given.
    """
    return {
        "error": error,
        "type": problem.type,
        "title": problem.title,
        "status": problem.status.value,
        "detail": detail or error,
    }


def install(app: "falcon.App[falcon.Request, falcon.Response]") -> None:
    """Let this module answer every error of the application."""
    app.set_error_serializer(_serialize)
    app.add_error_handler(Exception, _on_defect)
    app.add_error_handler(falcon.HTTPError, _on_http_error)
    app.add_error_handler(InvalidRequestError, _on_invalid_request)
    app.add_error_handler(TaskQueueError, _on_task_queue_error)


def answer(resp: falcon.Response, problem: Problem, error: str, detail: str | None = None) -> None:
    """Turn the response into a problem document."""
    resp.status = problem.status.value
    resp.content_type = PROBLEM_TYPE
    resp.data = dumps(document(problem, error, detail))
    if problem.status is HTTPStatus.SERVICE_UNAVAILABLE:
        resp.set_header("Retry-After", str(RETRY_AFTER_SECONDS))


def late_refusal(error: TaskQueueError) -> Answer:
    """Return the answer to a publish that its queue or the database refuses."""
    return _refusal(error, publishing=True)


def refusal(error: TaskQueueError, name: str | None = None) -> Answer:
    """Return the answer to anything else that the database or an actor refuses.

    Args:
        error: Why.
        name: What stands in the path for the thing that was asked for, if anything.
    """
    if isinstance(error, NotFoundError) and name is not None:
        detail = f"there is no {str(error).removesuffix(' not found')} {cut(name)!r}"
        body = dumps(document(problems.NOT_FOUND, str(error), detail))
        return Answer(problems.NOT_FOUND.status, [("Content-Type", PROBLEM_TYPE)], body)
    return _refusal(error, publishing=False)


def _on_invalid_request(
    _req: falcon.Request, resp: falcon.Response, error: InvalidRequestError, _params: object
) -> None:
    answer(resp, error.problem, error.error, error.detail)
    if error.retry_after_seconds is not None:
        resp.set_header("Retry-After", str(error.retry_after_seconds))


def _on_task_queue_error(
    _req: falcon.Request, resp: falcon.Response, error: TaskQueueError, params: dict[str, str]
) -> None:
    refusal(error, next(iter(params.values()), None)).fill(resp)


def _refusal(error: TaskQueueError, *, publishing: bool) -> Answer:
    """Return the answer; about a publish the tutorial has words of its own."""
    problem, text, detail, headers = _explained(error, publishing=publishing)
    body = dumps(document(problem, text, detail))
    return Answer(problem.status, [("Content-Type", PROBLEM_TYPE), *headers], body)


def _explained(error: TaskQueueError, *, publishing: bool) -> _Explained:
    """Return what to answer to an expected error."""
    for kind, problem in _PROBLEMS.items():
        if isinstance(error, kind):
            return _Explained(problem, str(error))
    match error:
        case OverLimitError():
            quota = rate_limit.exhausted(error.limit, error.quota, RETRY_AFTER_SECONDS)
            return _Explained(problems.OVER_LIMIT, str(error), None, [*_RETRY, *quota])
        case QueryFailedError():
            _log.error("query failed", error=str(error))
            return _Explained(problems.QUERY_FAILED, "query failed")
        case UnavailableError():
            away = problems.NOT_QUEUED if publishing else problems.DATABASE_UNAVAILABLE
            detail = _why_unavailable(error, publishing=publishing)
            return _Explained(away, away.errors[0], detail, _RETRY)
        case _:
            _log.error("refused by the database", error=str(error))
            failed = problems.PUBLISH_REFUSED if publishing else problems.QUERY_FAILED
            return _Explained(failed, failed.errors[0], "the database refuses this")


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
        detail = f"there is no {cut(url(req.path))}; what there is, is listed at {url('/docs')}"
    answer(resp, OF_HTTP[status], status.phrase.lower(), detail)


def _on_defect(
    req: falcon.Request, resp: falcon.Response, error: Exception, _params: object
) -> None:
    _log.error("request failed", method=req.method, path=without_lease(req.path), exc_info=error)
    answer(resp, problems.INTERNAL_ERROR, "internal error")


def _serialize(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    _on_http_error(req, resp, error, None)
