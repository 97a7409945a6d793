"""What is answered about schedules."""

from typing import Any, Literal

from task_queue.api.contract.documents.document import Document


class ScheduleDocument(Document):
    """A schedule.

    Attributes:
        name: Its name.
        cron: Its times, if it has `cron`.
        every: The distance between its times, if it has `every`.
        timezone: Whose wall clock it goes by.
        clock_forward: What becomes of times that this clock jumps over; only with `cron`.
        clock_back: How often times come that this clock shows twice; only with `cron`.
        task: What is published.
        missed: What becomes of the times at which no node ran.
        expires_after_seconds: How long after its time a task may still be started.
        next: Its next times, RFC 3339.
        last: When it last published, RFC 3339.
        configured: Whether it is in the settings, where alone it can be changed.
    """

    name: str
    cron: str = ""
    every: str = ""
    timezone: str
    clock_forward: Literal["run", "skip"] = "run"
    clock_back: Literal["once", "twice"] = "once"
    task: dict[str, Any]
    missed: Literal["skip", "once"]
    expires_after_seconds: float | None
    next: list[str]
    last: str | None
    configured: bool


class ScheduleList(Document):
    """All schedules.

    Attributes:
        schedules: By name.
    """

    schedules: list[ScheduleDocument]
