"""What it means that a request was not answered as it should: what is raised, and what may help."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from task_queue.api.client.errors import (
    ConflictError,
    NotAllowedError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
)
from task_queue.api.client.request import Answer, NoAnswer, Request

_NOTHING_DONE = frozenset({408, 429})
"""The statuses of a server that has not begun with the request, and may take it later."""
_AWAY = frozenset({502, 503, 504})
"""Those of a server that is busy, stops or has lost its database, and of a proxy before it. Whether
a change was made is not known."""
_STILL_ANSWERED = "still-answered"
_DEFECTS = frozenset({"", "internal-error"})
"""The problems of a 500 that leave open whether a change was made."""
_KINDS = {401: NotAllowedError, 403: NotAllowedError, 404: NotFoundError, 409: ConflictError}


@dataclass(frozen=True, slots=True)
class Failure:
    """An answer that is not what was asked for, or none.

    Attributes:
        error: What to raise if it is not repeated.
        may_pass: Whether the same request may be answered differently soon.
        perhaps_done: Whether a change may have been made.
    """

    error: RefusedError | UnavailableError
    may_pass: bool
    perhaps_done: bool


def failure_of(answer: Answer | NoAnswer | None) -> Failure:
    """Return what it means that this came back, or nothing did."""
    if not isinstance(answer, Answer):
        why, was_sent = (answer.why, answer.was_sent) if answer else ("no answer", True)
        return Failure(UnavailableError(why), may_pass=True, perhaps_done=was_sent)
    status, problem = answer.status, _problem(answer)
    kind = _kind(problem)
    detail = _detail(status, problem)
    if status in _AWAY:
        away = UnavailableError(detail, status=status, problem=kind)
        return Failure(away, may_pass=True, perhaps_done=True)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR and kind in _DEFECTS:
        defect = UnavailableError(detail, status=status, problem=kind)
        return Failure(defect, may_pass=False, perhaps_done=True)
    refused = refusal_of(status, problem, answer.headers.get("x-request-id"))
    is_still_answered = kind == _STILL_ANSWERED
    may_pass = is_still_answered or status in _NOTHING_DONE
    return Failure(refused, may_pass=may_pass, perhaps_done=is_still_answered)


def refusal_of(
    status: int, problem: Mapping[str, Any], request_id: str | None = None
) -> RefusedError:
    """Return the error that a problem document is, of the kind that its status says."""
    return _KINDS.get(status, RefusedError)(
        _detail(status, problem),
        status=status,
        problem=_kind(problem),
        error=str(problem.get("error", "")),
        request_id=request_id,
    )


def raised(
    request: Request[Any], failure: Failure, *, perhaps_done: bool
) -> RefusedError | UnavailableError:
    """Return the error to raise if the request is not sent again.

    Args:
        request: What was asked for.
        failure: What came back last.
        perhaps_done: Whether a change may have been made by now.
    """
    error = failure.error
    is_answer = isinstance(error, RefusedError) and not failure.may_pass
    if is_answer or not perhaps_done:
        return error
    key = request.headers.get("Idempotency-Key")
    remedy = "look before you send it again" if key is None else "send it again with the same key"
    detail = f"{error}; whether the request took effect is not known: {remedy}"
    return OutcomeUnknownError(
        detail, status=error.status, problem=error.problem, idempotency_key=key
    )


def _problem(answer: Answer) -> dict[str, Any]:
    """Return the problem document of an answer; empty if it has none, as that of a proxy."""
    try:
        document = json.loads(answer.content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _kind(problem: Mapping[str, Any]) -> str:
    return str(problem.get("type", "")).rpartition("#")[2]


def _detail(status: int, problem: Mapping[str, Any]) -> str:
    return str(problem.get("detail") or f"the server answered {status}, and not why")
