"""`/schedules` and `/schedules/{name}`: what is published at set times."""

from datetime import UTC, datetime, tzinfo
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import falcon
from orjson import Fragment, dumps
from pydantic import BaseModel, ConfigDict, Field
from uuid_utils import uuid7

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.messages.changes import DeleteSchedule, PutSchedule
from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.reader import ListSchedules
from task_queue.actors.tasks.conditions import Conditions, Idempotency
from task_queue.actors.tasks.cron import MAX_CRON_CHARS, trimmed
from task_queue.actors.tasks.interval import MAX_EVERY_CHARS, Interval
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import task_of
from task_queue.actors.tasks.recurrence import (
    ClockBack,
    ClockForward,
    InvalidRecurrenceError,
    Missed,
    Recurrence,
    upcoming,
)
from task_queue.actors.tasks.schedule import Schedule
from task_queue.api.auth.caller import Caller, caller_of
from task_queue.api.edge import Edge
from task_queue.api.json_codec import read_json, refuse_members
from task_queue.api.requests import idempotency
from task_queue.api.requests.bodies import publish_body
from task_queue.api.requests.catalog import Catalog
from task_queue.api.requests.validation import checked
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.api.responses.late import Late, leave_after
from task_queue.api.responses.published import decided, note_when_stored, one, prepared
from task_queue.config.logger import get_logger
from task_queue.config.names import NAME_RULE, is_name

SHOWN_TIMES = 5
"""How many of its next times a schedule shows."""
MAX_SCHEDULES = 1_000
"""How many there may be: one answer shows them all, and works out the next times of each."""
MAX_EXPIRES_AFTER_SECONDS = 31_536_000
"""How long after its time a task may be started at the most: a year."""
MAX_TIMEZONE_CHARS = 100
"""How long the name of a time zone may be; the longest there is has 32 characters."""

_log = get_logger()
_OF_CRON = ("clock_forward", "clock_back")
_SAYS_WHEN = ("run_at", "expires_at")


_Cron = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_CRON_CHARS,
        strict=True,
        json_schema_extra={"format": "cron"},
    ),
]
_Every = Annotated[
    str, Field(max_length=MAX_EVERY_CHARS, strict=True, json_schema_extra={"format": "interval"})
]
_Zone = Annotated[
    str,
    Field(max_length=MAX_TIMEZONE_CHARS, strict=True, json_schema_extra={"format": "time-zone"}),
]


class ScheduleBody(BaseModel):
    """The body of `PUT /schedules/{name}`. An optional member that is null counts as not given.

    Attributes:
        cron: The times, as minute, hour, day of the month, month and day of the week.
        every: The distance from one time to the next, in place of `cron`.
        timezone: Whose wall clock `cron` means and times are shown on, by its IANA name; UTC if not
            given.
        clock_forward: What becomes of times that this clock jumps over.
        clock_back: How often times come that this clock shows twice.
        task: What is published, as in the body of `POST /tasks`.
        missed: What becomes of the times at which no node ran; nothing if not given.
        expires_after_seconds: How long after its time a task may still be started.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    cron: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=MAX_CRON_CHARS,
            strict=True,
            json_schema_extra={"format": "cron"},
        ),
    ] = None
    every: Annotated[
        str | None,
        Field(max_length=MAX_EVERY_CHARS, strict=True, json_schema_extra={"format": "interval"}),
    ] = None
    timezone: Annotated[
        str | None,
        Field(
            max_length=MAX_TIMEZONE_CHARS, strict=True, json_schema_extra={"format": "time-zone"}
        ),
    ] = None
    clock_forward: ClockForward | None = None
    clock_back: ClockBack | None = None
    task: dict[str, Any]
    missed: Missed | None = None
    expires_after_seconds: Annotated[
        float | None, Field(ge=1, le=MAX_EXPIRES_AFTER_SECONDS, strict=True)
    ] = None


class SchedulesResource:
    """`GET /schedules` shows all schedules."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show all schedules that the caller sees, by name."""
        seen = _seen_by(caller_of(req), self._edge.ask_reader(ListSchedules()))
        resp.data = dumps({"schedules": [schedule_document(each) for each in seen.values()]})

    on_head = on_get


class ScheduleResource:
    """`PUT /schedules/{name}` makes or changes a schedule, `GET` shows it, `DELETE` deletes it.

    `POST /schedules/{name}/run` publishes its task at once.

    A schedule is seen by whoever sees the queue that its tasks go to.
    """

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show the schedule, or `404`."""
        resp.data = dumps(schedule_document(self._find(caller_of(req), name)))

    on_head = on_get

    def on_put(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Store the schedule: `201` if it is new, `200` if there was one by this name.

        `409` if it is one too many, one of the settings, or one that the caller does not see.
        """
        caller = caller_of(req)
        catalog = self._edge.catalog(caller)
        schedule = schedule_of(catalog, _good(name), read_json(req), self._edge.now())
        present = self._edge.ask_reader(ListSchedules())
        seen = _seen_by(caller, present)
        if name in seen:
            _check_changeable(seen[name])
        elif len(present) >= MAX_SCHEDULES and all(each.name != name for each in present):
            message = f"there are {len(present)} schedules, and {MAX_SCHEDULES} at most are allowed"
            raise ConflictError(message)
        kept = self._edge.ask_writer(PutSchedule(schedule, caller.queues))
        status = HTTPStatus.OK if name in seen else HTTPStatus.CREATED
        _log.info("schedule kept", schedule=name)
        resp.status = status.value
        resp.data = dumps(schedule_document(kept))

    def on_delete(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Delete the schedule; what it has published stays: `204`."""
        refuse_members(req)
        caller = caller_of(req)
        _check_changeable(self._find(caller, name))
        self._edge.ask_writer(DeleteSchedule(name, caller.queues))
        _log.info("schedule deleted", schedule=name)
        resp.status = HTTPStatus.NO_CONTENT.value

    def on_post_run(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Publish the schedule's task now; its times stay as they are: `202`.

        `200` if its queue has a task with its unique key already.
        """
        refuse_members(req)
        schedule = self._find(caller_of(req), name)
        again = idempotency.asked_for(req, {}, self._edge.now())
        publish = self._run_of(schedule, again)
        note_when_stored(publish)
        late = Late(self._edge.publish(publish), partial(decided, publish, one))
        answer = leave_after(req, late, self._edge.timeout)
        (answer or prepared(publish.tasks, one)).fill(resp)
        _log.info("schedule run", schedule=name)

    def _run_of(self, schedule: Schedule, again: Idempotency | None) -> Publish:
        """Return the publish of a task as at its times: no length of its queue bounds that.

        Args:
            schedule: The schedule.
            again: What makes a repetition the same request.

        Raises:
            ConflictError: Nothing would run it.
        """
        now, task_id = self._edge.now(), str(uuid7())
        members = schedule.members(now)
        self._edge.check_would_run(schedule.queue, members["action"])
        if (found := self._edge.queue(schedule.queue)) is None:
            raise NotFoundError("queue not found")  # a reload is adding or removing it
        queue, _ = found
        external = self._edge.actions.is_external(members["action"])
        task = task_of(task_id, queue, members, now, schedule.run_key(task_id), external=external)
        limits = {}
        if task.options.key is not None and queue.limits.concurrency_per_key:
            places = queue.limits.concurrency_per_key
            limits = {queue.name: QueueLimits(concurrency_per_key=places)}
        conditions = Conditions(limits=limits, idempotency=again) if limits or again else None
        return Publish((task,), self._edge.deadline, conditions)

    def _find(self, caller: Caller, name: str) -> Schedule:
        seen = _seen_by(caller, self._edge.ask_reader(ListSchedules()))
        if name not in seen:
            message = "schedule not found"
            raise NotFoundError(message)
        return seen[name]


def _seen_by(caller: Caller, schedules: list[Schedule]) -> dict[str, Schedule]:
    """Return those of these schedules that the caller sees, by name."""
    return {each.name: each for each in schedules if caller.sees(each.queue)}


def _check_changeable(schedule: Schedule) -> None:
    """Accept a schedule that the API may change.

    Raises:
        ConflictError: It is one of the settings; whoever starts the service decides on it.
    """
    if schedule.configured:
        message = f"the schedule {schedule.name} is in the settings; change it there"
        raise ConflictError(message)


def schedule_of(
    catalog: Catalog, name: str, value: object, now: float, *, configured: bool = False
) -> Schedule:
    """Return the schedule that these members describe, checked.

    Args:
        catalog: The actions and queues there are.
        name: What it is called.
        value: The body of a `PUT`, parsed.
        now: The present moment, Unix seconds.
        configured: Whether it comes from the settings.

    Raises:
        InvalidRequestError: A member is missing, unknown or wrong.
        InvalidRecurrenceError: The times cannot be followed.
    """
    body = checked(ScheduleBody, value)
    recurrence = _recurrence(body)
    recurrence.check()
    task = _task(catalog, body.task)
    delay, expires_after = body.task.get("delay_seconds") or 0, body.expires_after_seconds
    if expires_after is not None and delay >= expires_after:
        message = (
            f"expires_after_seconds must be more than task.delay_seconds, which is {delay:g},"
            f" not {expires_after:g}: no task would ever be started"
        )
        raise InvalidRequestError(message, problem=problems.NEVER_STARTS)
    return Schedule(
        name=name,
        recurrence=recurrence,
        missed=body.missed or Missed.SKIP,
        task=task,
        expires_after_seconds=expires_after,
        configured=configured,
        next_at=recurrence.after(now),
        created_at=int(now),
    )


def schedule_document(schedule: Schedule) -> dict[str, Any]:
    """Return the schedule as the API shows it, its times on the clock of its zone."""
    zone = _zone(schedule.recurrence.timezone)
    match schedule.recurrence:
        case Interval(every, timezone):
            times = {"every": every, "timezone": timezone}
        case Recurrence(cron, timezone) as recurrence:
            times = {
                "cron": cron,
                "timezone": timezone,
                "clock_forward": recurrence.forward.value,
                "clock_back": recurrence.back.value,
            }
    return {
        "name": schedule.name,
        **times,
        "task": Fragment(schedule.task),
        "missed": schedule.missed.value,
        "expires_after_seconds": schedule.expires_after_seconds,
        "next": [_shown(moment, zone) for moment in _next_times(schedule)],
        "last": None if schedule.last_at is None else _shown(schedule.last_at, zone),
        "configured": schedule.configured,
    }


def _recurrence(body: ScheduleBody) -> Recurrence | Interval:
    """Return the times that the body asks for.

    Raises:
        InvalidRequestError: It has neither `cron` nor `every`, or both, or what only goes with the
            other one.
    """
    if (body.cron is None) == (body.every is None):
        given = "neither is" if body.cron is None else "both are"
        message = f"cron or every must be given, and only one of them; {given}"
        raise InvalidRequestError(message, problem=problems.CONTRADICTION)
    timezone = "UTC" if body.timezone is None else body.timezone
    if body.cron is not None:
        return Recurrence(trimmed(body.cron), timezone, body.clock_forward, body.clock_back)
    for member in _OF_CRON:
        if getattr(body, member) is not None:
            message = f"{member} goes with cron; every is a distance, whatever a clock shows"
            raise InvalidRequestError(message, problem=problems.CONTRADICTION)
    return Interval((body.every or "").strip(), timezone)


def _task(catalog: Catalog, value: dict[str, Any]) -> str:
    """Return what is published, as it is kept."""
    body = publish_body(value, where="task")
    for member in _SAYS_WHEN:
        if getattr(body, member) is not None:
            message = f"task.{member} is one moment, and a schedule publishes again and again"
            raise InvalidRequestError(message)
    queue = catalog.check(body, where="task")
    if not queue.durable:
        message = (
            f"task.queue must be one that keeps its tasks on disk; {queue.name} keeps them in"
            " memory"
        )
        raise InvalidRequestError(message, problem=problems.CONTRADICTION)
    members = {"action": body.action, "data": body.data or {}, "queue": queue.name}
    return dumps(members | body.model_dump(exclude_none=True)).decode()


def _next_times(schedule: Schedule) -> list[float]:
    """Return the next time as it is kept, and those after it if this machine knows the zone."""
    try:
        later = upcoming(schedule.recurrence, schedule.next_at, SHOWN_TIMES - 1)
    except InvalidRecurrenceError:  # another node knows the zone, this one does not
        later = []
    return [schedule.next_at, *later]


def _zone(timezone: str) -> tzinfo:
    try:
        return ZoneInfo(timezone)
    except ZoneInfoNotFoundError:
        return UTC


def _shown(moment: float, zone: tzinfo) -> str:
    return datetime.fromtimestamp(moment, zone).isoformat()


def _good(name: str) -> str:
    """Return the name, if a schedule may have it."""
    if not is_name(name):
        message = f"a schedule's name {NAME_RULE}"
        raise InvalidRequestError(message)
    return name
