"""What queries may ask for, and how tasks are shown."""

import base64
import binascii
import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import falcon
import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from actors.backoff import Backoff
from actors.filters import Cursor, Filters
from actors.task import Attempt, Status, Task
from api.bodies import MAX_ACTION_CHARS, MAX_KEY_CHARS, MAX_QUEUE_CHARS
from api.errors import InvalidRequestError
from api.times import QueryMoment
from api.validation import checked, read_json, rule, shown

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
MAX_ERROR_PART_CHARS = 200
MAX_INTEGER = 2**63 - 1

STATES = tuple(dict.fromkeys(status.shown for status in Status))
"""The states that users see, in the order of a task's life."""

_PLACE = re.compile(rb"(0|[1-9][0-9]{0,18})\.([1-9][0-9]{0,18})")


def _with_plus(value: object) -> object:
    """The time with the `+` of its offset, which is a space where nobody wrote it as %2B."""
    return re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", value) if isinstance(value, str) else value


_Moment = Annotated[QueryMoment, BeforeValidator(_with_plus)]
_Action = Annotated[str, Field(min_length=1, max_length=MAX_ACTION_CHARS)]
_Queue = Annotated[str, Field(min_length=1, max_length=MAX_QUEUE_CHARS)]
_ErrorPart = Annotated[str, Field(min_length=1, max_length=MAX_ERROR_PART_CHARS)]


class _Page(BaseModel):
    """What every listing of tasks may be asked for.

    Attributes:
        queue: Only tasks of this queue; it need not be one of the settings any more.
        action: Only tasks with this action.
        created_after: Only tasks created then or later, Unix seconds.
        created_before: Only tasks created before then, Unix seconds.
        order: The newest or the oldest first.
        limit: How many a page holds.
        cursor: Where the page before ended.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: _Queue | None = None
    action: _Action | None = None
    created_after: _Moment | None = None
    created_before: _Moment | None = None
    order: Literal["newest", "oldest"] = "newest"
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _has_no_nul(cls, value: object) -> object:
        """Databases cannot hold it, so none looks for it."""
        if isinstance(value, str) and "\x00" in value:
            raise rule(f"must not hold the NUL character, as {shown(value)} does")
        return value

    def filters(self) -> dict[str, Any]:
        """What goes into `Filters`."""
        return {
            "queue": self.queue,
            "action": self.action,
            "created_after": _whole(self.created_after),
            "created_before": _whole(self.created_before),
            "oldest_first": self.order == "oldest",
        }


class ListParameters(_Page):
    """The query of `GET /tasks`.

    Attributes:
        status: Only tasks in one of these states; none given: in any.
        unique_key: Only tasks with this unique key.
    """

    status: tuple[str, ...] = ()
    unique_key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS)] | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _is_a_list_of_states(cls, value: object) -> tuple[str, ...]:
        """`dead,cancelled`, or given several times, or both."""
        given = value if isinstance(value, list) else [value]
        states = tuple(part for each in given for part in str(each).split(","))
        for state in states:
            if state not in STATES:
                raise rule(f"must be one of {_listed(STATES)}, not {shown(state)}")
        return states

    def filters(self) -> dict[str, Any]:
        """What goes into `Filters`."""
        statuses = tuple(Status(state) for state in dict.fromkeys(self.status))
        return {**super().filters(), "statuses": statuses, "unique_key": self.unique_key}


class DeadLetterParameters(_Page):
    """The query of `GET /dead-letters`.

    Attributes:
        error_contains: Only tasks whose error has this text in it.
    """

    error_contains: _ErrorPart | None = None

    def filters(self) -> dict[str, Any]:
        """What goes into `Filters`."""
        return {
            **super().filters(),
            "statuses": (Status.DEAD,),
            "error_contains": self.error_contains,
        }


def page_of(model: type[_Page], req: falcon.Request) -> tuple[Filters, int, Cursor | None]:
    """Which tasks the query asks for, in which order, how many of them, and behind which place.

    Raises:
        InvalidRequestError: A parameter is unknown or wrong.
    """
    query: dict[str, Any] = dict(req.params)
    for name, value in query.items():
        if isinstance(value, list) and name != "status":
            message = f"{name} is given {len(value)} times; once is allowed"
            raise InvalidRequestError(message)
    asked = checked(model, query)
    after = None if asked.cursor is None else place_of(asked.cursor)
    return Filters(**asked.filters()), asked.limit, after


def refuse_members(req: falcon.Request) -> None:
    """Accept no body, or an empty object, where there is nothing to ask for.

    Raises:
        InvalidRequestError: Somebody expects a member to have an effect.
    """
    if req.content_length and (value := read_json(req)) != {}:
        name = next(iter(value), "") if isinstance(value, dict) else "the body"
        message = f"{name} is not known; this request has no members"
        raise InvalidRequestError(message)


def cursor_of(place: Cursor) -> str:
    """The cursor that leads behind this place."""
    return base64.urlsafe_b64encode(b"%d.%d" % place).decode().rstrip("=")


def place_of(cursor: str) -> Cursor:
    """The place a cursor stands for.

    Raises:
        InvalidRequestError: It is not one that `cursor_of` made.
    """
    try:
        text = base64.b64decode(
            cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        text = b""
    if match := _PLACE.fullmatch(text):
        place = int(match[1]), int(match[2])
        if max(place) <= MAX_INTEGER and cursor_of(place) == cursor:
            return place
    message = "cursor is not one that this service gave; use a next_cursor, or leave it out"
    raise InvalidRequestError(message)


def page_document(tasks: Sequence[Task], last: Cursor | None) -> dict[str, Any]:
    """A page of tasks as the API shows it.

    Args:
        tasks: What is on it.
        last: Where it ends, if there may be more behind it.
    """
    return {
        "tasks": [task_document(task) for task in tasks],
        "count": len(tasks),
        "next_cursor": None if last is None else cursor_of(last),
    }


def task_document(task: Task) -> dict[str, Any]:
    """A task as the API shows it: the tutorial's six columns first.

    `data` and `result` are passed through as the JSON text they are stored as.
    """
    options, course = task.options, task.course
    return {
        "id": task.id,
        "payload": {
            "id": task.id,
            "action": task.action,
            "data": orjson.Fragment(task.data),
            "created_at": task.created_at,
        },
        "status": task.status.shown,
        "result": None if task.result is None else orjson.Fragment(task.result),
        "created_at": task.created_at,
        "processed_at": task.processed_at,
        "queue": task.queue,
        "priority": task.priority,
        "error": task.error,
        "attempt": task.attempt,
        "max_attempts": task.max_attempts,
        "run_at": _moment(task.run_at),
        "started_at": _moment(task.started_at),
        "ended_at": _moment(course.ended_at),
        "expires_at": _moment(options.expires_at),
        "unique_key": options.unique_key,
        "key": options.key,
        "keep_result_seconds": options.keep_result_seconds,
        "timeout_seconds": options.timeout_seconds,
        "backoff": _backoff(options.backoff),
        "schedule": options.occurrence and options.occurrence.rpartition("@")[0],
        "worker": course.worker,
        "postponed": course.postponed,
        "cancel_requested": course.cancel_requested_at is not None,
        "progress": None
        if course.progress is None
        else {"fraction": course.progress, "message": course.progress_message},
    }


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    """One run of a task as the API shows it."""
    return {
        "number": attempt.number,
        "started": _moment(attempt.started_at),
        "ended": _moment(attempt.ended_at),
        "worker": attempt.worker,
        "outcome": attempt.outcome and attempt.outcome.value,
        "error": attempt.error,
        "traceback": attempt.traceback,
        "stderr": attempt.stderr,
    }


def _listed(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _whole(moment: float | None) -> int | None:
    """The first whole second that is not before the moment: tasks are created in whole ones."""
    return None if moment is None else math.ceil(moment)


def _moment(moment: float | None) -> float | None:
    return None if moment is None else round(moment, 3)


def _backoff(text: str | None) -> dict[str, float] | None:
    if text is None:
        return None
    backoff = Backoff.parse(text)
    return {
        "base": backoff.base_seconds,
        "factor": backoff.factor,
        "cap": backoff.cap_seconds,
    }
