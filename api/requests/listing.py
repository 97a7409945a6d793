"""What the queries of listings may ask for."""

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar
from urllib.parse import unquote_to_bytes

import falcon
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from task_queue.actors.tasks.error_group import MAX_CHARS as MAX_GROUP_CHARS
from task_queue.actors.tasks.filters import Cursor, Filters
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.text import shown
from task_queue.api.auth.caller import caller_of
from task_queue.api.requests.bodies import MAX_KEY_CHARS
from task_queue.api.requests.times import QueryMoment
from task_queue.api.requests.validation import checked, contradiction, rule, whole_number
from task_queue.api.responses.cursor import place_of
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.names import MAX_NAME_CHARS

DEFAULT_LIMIT = 100
MAX_LIMIT = 1_000
MAX_ERROR_PART_CHARS = 200
MAX_DATA_MEMBERS = 5
"""How many members of data a listing compares: each is looked up in every row."""
MAX_DATA_CHARS = 200
"""How long the way to such a member may be, and its value."""

_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
STATES = tuple(dict.fromkeys(status.shown for status in Status))
"""The states that users see, in the order of a task's life."""


def _with_plus(value: object) -> object:
    """Return the time with the `+` of its offset, which is a space if not written as %2B."""
    return re.sub(r" (?=[0-9]{2}:[0-9]{2}$)", "+", value) if isinstance(value, str) else value


_Moment = Annotated[QueryMoment, BeforeValidator(_with_plus)]
# Of any characters: former versions took such, and their tasks are to be found.
StoredName = Annotated[str, Field(min_length=1, max_length=MAX_NAME_CHARS)]
"""The name of the queue or action that stored tasks are looked for by."""
_ErrorPart = Annotated[str, Field(min_length=1, max_length=MAX_ERROR_PART_CHARS)]

_DATA = "data."
_PATH = re.compile(r'[^."\x00]+(\.[^."\x00]+)*')


def _are_members(members: object) -> object:
    """Accept names of members of data, and values that they may have."""
    if not isinstance(members, dict):
        raise rule("is given with the name of a member, as in data.user=17 or data.user.name=ada")
    if len(members) > MAX_DATA_MEMBERS:
        raise rule(f"may be given of {MAX_DATA_MEMBERS} members at most, not of {len(members)}")
    for path, value in members.items():
        if len(path) > MAX_DATA_CHARS or not _PATH.fullmatch(path):
            raise rule(
                f"names a member by names with dots between, without quotes, in"
                f" {MAX_DATA_CHARS} characters at most, not by {shown(path)}"
            )
        if len(value) > MAX_DATA_CHARS or "\x00" in value:
            raise rule(
                f"has values of {MAX_DATA_CHARS} characters at most, without the NUL character;"
                f" that of {path} is {shown(value)}"
            )
    return members


_OfData = WithJsonSchema(
    {
        "type": "object",
        "propertyNames": {"pattern": r'^data(\.[^."\u0000]+)+$', "maxLength": MAX_DATA_CHARS + 5},
        "additionalProperties": {"type": "string", "maxLength": MAX_DATA_CHARS},
        "maxProperties": MAX_DATA_MEMBERS,
    }
)
_Data = Annotated[dict[str, str] | None, BeforeValidator(_are_members), _OfData]
"""Members of data, each with a value; none given: any data."""
M = TypeVar("M", bound=BaseModel)


class Query(BaseModel):
    """What all queries of listings share."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _has_no_nul(cls, value: object) -> object:
        """Refuse NUL, which no database can hold, so none can look for it."""
        if isinstance(value, str) and "\x00" in value:
            raise rule(f"must not hold the NUL character, as {shown(value)} does")
        return value


class _Page(Query):
    """What every listing of tasks may be asked for.

    Attributes:
        queue: Only tasks of this queue.
        action: Only tasks with this action.
        created_after: Only tasks created then or later, Unix seconds.
        created_before: Only tasks created before then, Unix seconds.
        key: Only tasks with this key.
        error_contains: Only tasks whose error has this text in it.
        error_group: Only dead tasks whose error is of this group, as `GET /dead-letters/groups` has
            it.
        data: Only tasks whose data has these members, written as `data.user=17` or
            `data.user.name=ada`, up to five of them. A value is compared as text, and a number,
            true, false or null also as that.
        order: The newest or the oldest first.
        limit: How many a page holds.
        cursor: Where the page before ended.
    """

    queue: StoredName | None = None
    action: StoredName | None = None
    created_after: _Moment | None = None
    created_before: _Moment | None = None
    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS)] | None = None
    error_contains: _ErrorPart | None = None
    error_group: Annotated[str, Field(max_length=MAX_GROUP_CHARS)] | None = None
    data: _Data = None
    order: Literal["newest", "oldest"] = "newest"
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT), whole_number] = DEFAULT_LIMIT
    cursor: str | None = None

    @field_validator("created_before")
    @classmethod
    def _is_not_before_after(cls, before: float | None, info: ValidationInfo) -> float | None:
        after = info.data.get("created_after")
        if before is not None and after is not None and before <= after:
            raise contradiction("must be later than created_after, or no task is between them")
        return before

    def filters(self) -> dict[str, Any]:
        """Return the arguments of `Filters`."""
        return {
            "queue": self.queue,
            "action": self.action,
            "created_after": _whole(self.created_after),
            "created_before": _whole(self.created_before),
            "key": self.key,
            "error_contains": self.error_contains,
            "error_group": self.error_group,
            "data": tuple(sorted((self.data or {}).items())),
            "oldest_first": self.order == "oldest",
        }


class ListParameters(_Page):
    """The query of `GET /tasks`.

    Attributes:
        status: Only tasks in one of these states; none given: in any.
        unique_key: Only tasks with this unique key.
    """

    status: Annotated[
        tuple[Annotated[str, Field(json_schema_extra={"enum": list(STATES)})], ...],
        Field(json_schema_extra={"minItems": 1}),
    ] = ()
    unique_key: Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS)] | None = None

    @field_validator("status", mode="before")
    @classmethod
    def _is_a_list_of_states(cls, value: object) -> tuple[str, ...]:
        """Take `dead,cancelled`, or the parameter several times, or both."""
        given = value if isinstance(value, list) else [value]
        states = tuple(part for each in given for part in str(each).split(","))
        for state in states:
            if state not in STATES:
                raise rule(f"must be one of {_listed(STATES)}, not {shown(state)}")
        return states

    def filters(self) -> dict[str, Any]:
        """Return the arguments of `Filters`."""
        statuses = tuple(Status(state) for state in dict.fromkeys(self.status))
        return {**super().filters(), "statuses": statuses, "unique_key": self.unique_key}


class DeadLetterParameters(_Page):
    """The query of `GET /dead-letters`."""

    def filters(self) -> dict[str, Any]:
        """Return the arguments of `Filters`."""
        return {**super().filters(), "statuses": (Status.DEAD,)}


def parameters(model: type[M], req: falcon.Request) -> M:
    """Return what the query asks for.

    Raises:
        InvalidRequestError: A parameter is unknown or wrong.
    """
    _check_encoding(req.query_string)
    query: dict[str, Any] = dict(req.params)
    for name, value in query.items():
        if isinstance(value, list) and name != "status":
            message = f"{name} is given {len(value)} times; once is allowed"
            raise InvalidRequestError(message)
    if "data" in model.model_fields:
        query = _with_data(query)
    return checked(model, query)


def page_of(model: type[_Page], req: falcon.Request) -> tuple[Filters, int, Cursor | None]:
    """Return which tasks the query asks for, in which order, how many, and after which place.

    Of those that the caller sees.

    Raises:
        InvalidRequestError: A parameter is unknown or wrong.
    """
    asked = parameters(model, req)
    filters = Filters(**asked.filters(), queues=caller_of(req).queues)
    after = None if asked.cursor is None else place_of(asked.cursor, filters)
    return filters, asked.limit, after


def _with_data(query: dict[str, Any]) -> dict[str, Any]:
    """Return the query with all `data.PATH=VALUE` of it together."""
    of_data = {name: value for name, value in query.items() if name.startswith(_DATA)}
    if not of_data:
        return query
    others = {name: value for name, value in query.items() if name not in of_data}
    return {**others, "data": {name.removeprefix(_DATA): each for name, each in of_data.items()}}


def _check_encoding(query: str) -> None:
    """Accept a query that says what it seems to say: each `%` begins a byte, all bytes are UTF-8.

    Raises:
        InvalidRequestError: Another would be guessed at.
    """
    if stray := _STRAY_PERCENT.search(query):
        message = f"the query has a % at {shown(query[stray.start() :])} that begins no byte as %2B"
        raise InvalidRequestError(message)
    try:
        unquote_to_bytes(query).decode()
    except UnicodeDecodeError as error:
        message = f"the query is not UTF-8: {error.reason}"
        raise InvalidRequestError(message) from error


def _listed(names: Sequence[str]) -> str:
    quoted = [f"'{name}'" for name in names]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def _whole(moment: float | None) -> int | None:
    """Return the first whole second not before the moment: tasks are created in whole ones."""
    return None if moment is None else math.ceil(moment)
