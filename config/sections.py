"""The sections of the settings: one frozen model each, with types and limits.

They hold no defaults: `default.toml` holds every value, so that a default has one place. The
exceptions are `ScheduleSettings` and those of actions (`config.actions`), of which `default.toml`
has none.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, LiteralString, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WrapSerializer,
    field_validator,
)
from pydantic_core import PydanticCustomError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from task_queue.config import postgresql_url
from task_queue.config.names import one_line


def _may_be_whole(value: object) -> bool:
    """Return whether it may be a whole number: not `1.0`, nor the text `1_0`, `+5` or ` 5`."""
    if isinstance(value, str):
        return re.fullmatch("-?(0|[1-9][0-9]*)", value) is not None
    return not isinstance(value, float)


def _may_be_number(value: object) -> bool:
    """Return whether it may be a number; a text is written as in JSON: not `1_0.5` or `+5`."""
    pattern = r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?"
    return not isinstance(value, str) or re.fullmatch(pattern, value) is not None


class Section(BaseModel):
    """What all sections share: frozen, no unknown keys."""

    # Only `Settings`, which holds the others, is needed at every start.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_what_is_no_number(cls, value: object, info: ValidationInfo) -> object:
        field = cls.model_fields[info.field_name or ""]
        kinds = {field.annotation, *get_args(field.annotation)}
        is_none = isinstance(value, bool) or (float in kinds and not _may_be_number(value))
        if is_none and not kinds.isdisjoint({int, float}):
            message = "must be a number"
            raise ValueError(message)
        if int in kinds and not _may_be_whole(value):
            message = "must be a whole number"
            raise ValueError(message)
        return value


_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
Frozen = Annotated[
    Mapping[_Key, _Value],
    AfterValidator(MappingProxyType),
    # The library serializes no other mapping than a dict.
    WrapSerializer(lambda mapping, serialize: serialize(dict(mapping))),
]
"""A table of keys that nobody changes."""


def _contradiction(kind: LiteralString, other: str, value: object) -> PydanticCustomError:
    """Return the error of a value that contradicts another key of the same section."""
    return PydanticCustomError(kind, "contradicts {other}", {"other": other, "value": value})


def listed(value: object) -> object:
    """Return what stands between the commas: the environment has no lists."""
    if not isinstance(value, str):
        return value
    return [part.strip() for part in value.split(",")] if value.strip() else []


class DatabaseSettings(Section):
    """Where tasks are stored and how long to wait for it."""

    # Not in `repr`: it may hold a password.
    url: Annotated[str, AfterValidator(one_line)] = Field(repr=False)
    """`sqlite:///relative/path`, `sqlite:////absolute/path` or
    `postgresql://user:password@host/name`, which may have several hosts and the parameters that
    libpq knows."""

    busy_timeout_seconds: float = Field(ge=0, le=600)
    """Seconds SQLite waits for another process's lock. PostgreSQL ignores it."""

    connect_timeout_seconds: int = Field(ge=1, le=300)
    """Whole seconds (libpq takes no fractions) to wait for a connection to PostgreSQL. SQLite
    ignores it."""

    statement_timeout_seconds: int = Field(ge=1, le=3600)
    """Seconds one SQL statement may take on PostgreSQL before it is cancelled, so that a stuck one
    cannot hold up every later write. SQLite ignores it."""

    max_batch: int = Field(ge=1, le=10_000)
    """Writes in one commit; each task of a batch is one. It bounds how long the first of them waits
    for the last."""

    min_free_bytes: int = Field(ge=0, le=2**50)
    """Bytes free on the SQLite file's file system below which a publish is refused with 503, so
    that what was accepted can still be settled; 0 turns it off. PostgreSQL ignores it."""

    backup_before_migration: bool
    """Whether a start that has to rewrite the SQLite file for this version first copies it beside
    itself. PostgreSQL ignores it."""

    @property
    def postgresql_options(self) -> dict[str, str]:
        """The settings of PostgreSQL that the URL asks for, by name."""
        return {} if self.url.startswith("sqlite:") else postgresql_url.options(self.url)

    @field_validator("url")
    @classmethod
    def _has_a_known_database(cls, value: str) -> str:
        scheme, _, rest = value.partition("://")
        if scheme in {"postgres", "postgresql", "postgresql+psycopg"}:
            value = f"postgresql://{rest}"
            postgresql_url.check(value)
            return value
        try:
            url = make_url(value)
        except (ArgumentError, ValueError):
            message = "must be sqlite:///path/to/file or postgresql://user:password@host/name"
            raise ValueError(message) from None
        if url.drivername == "sqlite":
            if url.host or not url.database or url.database.startswith((":memory:", "file:")):
                message = "must name a file, as in sqlite:///data/tasks.db"
                raise ValueError(message)
            if url.query:
                message = f"must have no parameter {next(iter(url.query))}: SQLite needs none"
                raise ValueError(message)
            return value
        message = "must begin with sqlite:/// or postgresql://"
        raise ValueError(message)


class QueueSettings(Section):
    """How one queue keeps, hands out and retries its tasks."""

    driver: Literal["database", "memory"]
    """`database`: an accepted task is on disk. `memory`: faster, and lost with the process."""

    concurrency: int = Field(ge=1, le=256)
    """Tasks that run at the same time, one consumer and one thread each. With an action that runs
    in a process the default is the number of cores, if there are more than two."""

    prefetch: int = Field(ge=1, le=10_000)
    """Short tasks claimed ahead of the consumers at most, in one buffer that all of them share:
    what ended in the last 50 ms says how many. More drains short tasks faster."""

    max_attempts: int = Field(ge=1, le=1000)
    """Runs a task gets before it is dead; a run that kills its process counts."""

    lease_seconds: float = Field(ge=1, le=86_400)
    """Seconds a claim is valid unless renewed; a dead process's tasks wait at most this long. A
    shorter lease costs more renewals."""

    backoff_base_seconds: float = Field(gt=0, le=86_400)
    """Seconds that the delay before the first retry never exceeds. The delay is drawn at random, so
    that tasks that failed together do not come back together."""

    backoff_factor: float = Field(ge=1, le=100)
    """What each further retry multiplies the delay by; 1 keeps it the same."""

    backoff_cap_seconds: float = Field(gt=0, le=2_592_000)
    """Seconds the delay never exceeds (at most 30 days); at least `backoff_base_seconds`."""

    max_length: int = Field(ge=0, le=1_000_000_000)
    """Tasks that are not final beyond which a publish is refused with 429, so that a
    backlog has a bound; 0 is no limit. Needs the driver `database`."""

    max_bytes: int = Field(ge=0, le=2**50)
    """Bytes of the data of the tasks that are not final, at most 1 PiB, beyond which a publish is
    refused with 429, because few large tasks fill a disk as many small ones do; 0 is no limit.
    Needs the driver `database`."""

    rate_limit: float = Field(ge=0, le=100_000)
    """Starts per second, from one token bucket that all nodes share, so that what the tasks call is
    not overrun; 0 is no limit. Needs the driver `database`."""

    concurrency_per_key: int = Field(ge=0, le=10_000)
    """Tasks with the same `key` that run at the same time, over all nodes, so that one tenant
    cannot occupy every consumer; 0 is no limit. Needs the driver `database`."""

    callback: Annotated[str, AfterValidator(one_line)]
    """Where to tell how each task ended, unless the task itself says it: an address that begins
    with `http://` or `https://`. Needs `callbacks.secret`. Empty: nowhere."""

    @field_validator("backoff_cap_seconds")
    @classmethod
    def _cap_is_not_below_base(cls, value: float, info: ValidationInfo) -> float:
        base = info.data.get("backoff_base_seconds", 0)
        if value < base:
            raise _contradiction("cap_below_base", "backoff_base_seconds", base)
        return value

    @field_validator("max_length", "max_bytes", "rate_limit", "concurrency_per_key")
    @classmethod
    def _limits_need_the_database(cls, value: float, info: ValidationInfo) -> float:
        driver = info.data.get("driver")
        if value and driver == "memory":
            raise _contradiction("needs_database", "driver", driver)
        return value


class RetentionSettings(Section):
    """How long tasks are kept once they are final, so that the database does not grow for ever."""

    completed_seconds: int = Field(ge=1, le=3_155_760_000)
    """Seconds a task is kept after it completed, at most 100 years."""

    dead_seconds: int = Field(ge=1, le=3_155_760_000)
    """Seconds a task is kept after it died, at most 100 years: the time left to redrive it."""

    cancelled_seconds: int = Field(ge=1, le=3_155_760_000)
    """Seconds a task is kept after it was cancelled, at most 100 years."""

    audit_seconds: int = Field(ge=1, le=3_155_760_000)
    """Seconds the audit log is kept, at most 100 years."""


class BuiltinSettings(Section):
    """The actions that are always there."""

    fallback: Literal["auto"] | bool
    """Whether an action that is not known answers `{"output": "processed"}`; if not, it is refused
    at publish. `auto`: only where there is no other action, in the settings or of a package, and
    the database has never known one."""

    simulated_work_seconds: float = Field(ge=0, le=60)
    """Seconds every built-in action sleeps before it works, to see queueing happen."""

    @field_validator("fallback", mode="wrap")
    @classmethod
    def _says_when(
        cls, value: object, check: ValidatorFunctionWrapHandler
    ) -> Literal["auto"] | bool:
        try:
            return cast("Literal['auto'] | bool", check(value))
        except ValidationError:  # it would say of each alternative what it is not
            message = "must be auto, true or false"
            raise ValueError(message) from None


class ScheduleSettings(Section):
    """What is published at which times.

    The defaults are here: there is no schedule in `default.toml` to hold them.
    """

    cron: str | None = Field(default=None, min_length=1, max_length=200)
    """The times, as minute, hour, day of the month, month and day of the week, or a name such as
    `@daily`. Either this or `every`."""

    every: str | None = Field(default=None, min_length=1, max_length=40)
    """The distance from one time to the next, in whole `d`, `h`, `m` and `s`, as in `90m`; the
    first one comes so long after the schedule was first stored."""

    timezone: str = Field(default="UTC", min_length=1, max_length=100)
    """Whose wall clock `cron` means, by its IANA name; UTC has no change of clocks."""

    clock_forward: Literal["run", "skip"] | None = None
    """What becomes of times that this clock jumps over: right after the jump, or not on that day.
    If not set, `skip` where minute or hour begins with `*`, else `run`."""

    clock_back: Literal["once", "twice"] | None = None
    """How often times come that this clock shows twice. If not set, `twice` where minute or hour
    begins with `*`, else `once`."""

    task: dict[str, Any]
    """What is published each time: a table as in the body of `POST /tasks`, checked as that is, at
    start."""

    missed: Literal["skip", "once"] = "skip"
    """What becomes of the times at which no node ran: nothing, or one task for all of them."""

    expires_after_seconds: float | None = Field(default=None, ge=1, le=31_536_000)
    """How long after its time a task may still be started, in seconds, at most a year; for ever, if
    not set."""


class ProcessSettings(Section):
    """How the process uses the machine."""

    one_core: bool
    """Whether the process keeps to one core, on Linux. Threads that pass Python's interpreter lock
    from core to core wait more than they work. Processes and programs of actions use all cores;
    what a function in a thread starts by itself keeps to the one."""


class ExecutionSettings(Section):
    """How actions are run, unless one of them says otherwise."""

    timeout_seconds: float = Field(ge=0, le=2_592_000)
    """Seconds an attempt may take, at most 30 days; 0 is no limit."""

    kill_grace_seconds: float = Field(gt=0, le=60)
    """Seconds from SIGTERM to SIGKILL for a process that has to end, and from the deadline until a
    thread is given up."""

    max_result_bytes: int = Field(ge=1024, le=104_857_600)
    """Bytes of a result, as JSON; a longer one is refused, as it would be held in memory."""

    max_tasks_per_process: int = Field(ge=1, le=1_000_000)
    """Tasks after which a process for actions is replaced by a new one."""

    max_mib_per_process: int = Field(ge=16, le=1_048_576)
    """MiB of memory which such a process may keep between two tasks, else it is replaced."""

    max_stuck_threads: int = Field(ge=0, le=1000)
    """Threads that may hang in actions beyond their deadline; with more, the service is not ready
    and no further consumer is replaced."""


class SupervisorSettings(Section):
    """How many restarts of actors are tolerated."""

    max_restarts: int = Field(ge=0, le=1000)
    """Restarts tolerated within `period_seconds`; one more ends the process as failed."""

    period_seconds: float = Field(gt=0, le=86_400)
    """Seconds in which `max_restarts` are counted."""


class ShutdownSettings(Section):
    """How the process ends."""

    drain_seconds: float = Field(ge=0, le=3600)
    """Seconds that running tasks get to finish after SIGTERM; one that is cut off runs again at the
    next start. All together a stop takes up to 5 seconds more; `docker stop` kills after 10."""


class LogSettings(Section):
    """How the log looks and how much it holds."""

    format: Literal["auto", "console", "json"]
    """`auto` is `console` on a terminal and `json`, one object a line, otherwise."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"]
    """The least severe level shown, in capitals or not. Payloads appear at DEBUG only."""

    @field_validator("level", mode="before")
    @classmethod
    def _in_capitals(cls, value: object) -> object:
        capitals = str(value).upper()
        return capitals if capitals in get_args(cls.model_fields["level"].annotation) else value
