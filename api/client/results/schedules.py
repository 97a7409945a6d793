"""Schedules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule.

    Attributes:
        name: Its name.
        task: What is published: `action`, `data`, `queue` and so on.
        cron: Its times; empty: it has `every`.
        every: The distance between its times; empty: it has `cron`.
        timezone: Whose clock it goes by.
        missed: What becomes of times at which no node ran: `skip` or `once`.
        clock_forward: What becomes of times that a clock jumps over: `run` or `skip`.
        clock_back: How often times come that a clock shows twice: `once` or `twice`.
        expires_after_seconds: How long after its time a task may still be started.
        next: Its next times, RFC 3339.
        last: When it last published, RFC 3339.
        configured: Whether it is in the settings, where alone it can be changed.
    """

    name: str
    task: Mapping[str, Any]
    cron: str = ""
    every: str = ""
    timezone: str = "UTC"
    missed: str = "skip"
    clock_forward: str = "run"
    clock_back: str = "once"
    expires_after_seconds: float | None = None
    next: Sequence[str] = ()
    last: str | None = None
    configured: bool = False
