"""The bodies that publish tasks."""

from typing import Annotated, Any

import orjson
from pydantic import Field, ValidationInfo, field_validator

from task_queue.actors.tasks.text import shown
from task_queue.api.requests.times import Moment
from task_queue.api.requests.validation import Body, checked, contradiction, refused_callback
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.callbacks import MAX_CALLBACK_CHARS, callback_fault
from task_queue.config.names import MAX_NAME_CHARS, Name, is_name

MAX_KEY_CHARS = 200
MAX_BATCH = 1_000
"""How many tasks one request publishes at most."""
MAX_DELAY_SECONDS = 315_360_000
"""Ten years."""
MAX_TIMEOUT_SECONDS = 2_592_000
"""Thirty days."""
MAX_KEEP_SECONDS = 3_155_760_000
"""A hundred years."""

_PLAIN = {"action", "data", "queue"}
_Text = Annotated[str, Field(min_length=1, max_length=MAX_KEY_CHARS)]


_Callback = Annotated[
    str,
    Field(
        max_length=MAX_CALLBACK_CHARS,
        json_schema_extra={"pattern": r"^([Hh][Tt][Tt][Pp][Ss]?://[^@\u0000]+)?$"},
    ),
]


class BackoffBody(Body):
    """How long a failed task waits; what is not given is as its queue has it.

    Attributes:
        base: What the first delay never exceeds, seconds.
        factor: What each further one is multiplied by.
        cap: What no delay exceeds, seconds.
    """

    base: Annotated[float | None, Field(gt=0, le=86_400)] = None
    factor: Annotated[float | None, Field(ge=1, le=100)] = None
    cap: Annotated[float | None, Field(gt=0, le=2_592_000)] = None

    @field_validator("cap")
    @classmethod
    def _is_not_below_base(cls, cap: float | None, info: ValidationInfo) -> float | None:
        base = info.data.get("base")
        if cap is not None and base is not None and cap < base:
            raise contradiction(f"must be at least base, which is {base:g}, not {cap:g}")
        return cap


class PublishBody(Body):
    """One task, as `POST /tasks` takes it.

    Attributes:
        action: What is to be done.
        data: The action's input.
        queue: The queue it goes to; `tasks` if not given.
        priority: Higher goes first.
        delay_seconds: How much later it is to run.
        run_at: When it is to run, Unix seconds; a time in the past means now.
        expires_at: Not to be started from then on, Unix seconds.
        max_attempts: How many attempts it has.
        backoff: How long it waits after a failed one.
        unique_key: Its queue has at most one task with this key that is neither final nor
            asked to stop.
        key: Its queue runs only so many tasks with this key at once.
        keep_result_seconds: How long it is kept once it is final.
        timeout_seconds: What an attempt may take.
        callback: Where to tell how it ended, an address with http or https; empty: nowhere, even
            if its queue has such an address.
    """

    action: Name
    data: dict[str, Any] | None = None
    queue: Annotated[str | None, Field(min_length=1, max_length=MAX_NAME_CHARS)] = None
    priority: Annotated[int | None, Field(ge=-100, le=100)] = None
    delay_seconds: Annotated[float | None, Field(ge=0, le=MAX_DELAY_SECONDS)] = None
    run_at: Moment | None = None
    expires_at: Moment | None = None
    max_attempts: Annotated[int | None, Field(ge=1, le=1_000)] = None
    backoff: BackoffBody | None = None
    unique_key: _Text | None = None
    key: _Text | None = None
    keep_result_seconds: Annotated[int | None, Field(ge=0, le=MAX_KEEP_SECONDS)] = None
    timeout_seconds: Annotated[float | None, Field(gt=0, le=MAX_TIMEOUT_SECONDS)] = None
    callback: _Callback | None = None

    @field_validator("run_at")
    @classmethod
    def _is_not_given_twice(cls, run_at: float | None, info: ValidationInfo) -> float | None:
        if run_at is not None and info.data.get("delay_seconds") is not None:
            raise contradiction(
                "cannot be given together with delay_seconds; leave out one of them"
            )
        return run_at

    @field_validator("expires_at")
    @classmethod
    def _is_after_run_at(cls, expires_at: float | None, info: ValidationInfo) -> float | None:
        run_at = info.data.get("run_at")
        if expires_at is not None and run_at is not None and expires_at <= run_at:
            raise contradiction("must be later than run_at, or the task could not be started")
        return expires_at

    @field_validator("callback")
    @classmethod
    def _can_be_called(cls, callback: str | None) -> str | None:
        if callback and (fault := callback_fault(callback)) is not None:
            secret = "@" in callback  # there may be a password before it
            raise refused_callback(fault if secret else f"{fault}, not {shown(callback)}")
        return callback

    @property
    def given(self) -> list[str]:
        """The members that are given, in the order of this class."""
        return [name for name, value in self if value is not None]

    @property
    def is_plain(self) -> bool:
        """Whether the task asks for nothing special."""
        return _PLAIN.issuperset(self.model_fields_set)


class BatchBody(Body):
    """The body of `POST /tasks/batch`.

    Attributes:
        tasks: What is published, all or none.
    """

    tasks: Annotated[list[PublishBody], Field(min_length=1, max_length=MAX_BATCH)]


def plain_body(value: object) -> tuple[str, dict[str, Any], str | None] | None:
    """Return action, data and queue of a task that asks for nothing else, as nearly all do.

    Takes a fifth of the time of the model, which decides on every other body.

    Returns:
        None if the body asks for more, or is not good; no queue if it names none.
    """
    if type(value) is not dict or not _PLAIN.issuperset(value):
        return None
    action, data, queue = value.get("action"), value.get("data"), value.get("queue")
    if type(action) is not str or not is_name(action):
        return None
    if data is None:
        data = {}
    if type(data) is not dict or not (queue is None or type(queue) is str):
        return None
    return action, data, queue


def publish_body(value: object, where: str = "") -> PublishBody:
    """Return a task to be published, checked.

    Args:
        value: What the body holds.
        where: Where it stands in the body, as in `task`; empty: it is the body.

    Raises:
        InvalidRequestError: A member is missing, unknown or wrong.
    """
    if not where and isinstance(value, dict) and value.get("action") in (None, ""):
        message = "action is missing or empty; it names what to do"
        raise InvalidRequestError("action required", message, problems.ACTION_REQUIRED)
    return checked(PublishBody, value, where)


def members_of(body: PublishBody) -> dict[str, Any]:
    """Return the members that are given, as `actors.tasks.new.task_of` takes them."""
    given = {name: value for name, value in vars(body).items() if value is not None}
    given["data"] = orjson.dumps(body.data or {}).decode()
    if body.backoff is not None:
        own = vars(body.backoff).items()
        given["backoff"] = {name: value for name, value in own if value is not None}
    return given
