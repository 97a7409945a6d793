"""A schedule: a task that is published at certain times. Pure."""

from dataclasses import dataclass
from typing import Any

import orjson

from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.new import QUEUE
from task_queue.actors.tasks.recurrence import Missed, Recurrence

CORRECTION_SECONDS = 3 * 3_600.0
"""How far ahead a clock must have been for the times it showed to count as wrong. By less, the
clock repeats an hour, as in Debian's cron (man 8 cron), and times of the day do not come again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A task and the times at which it is published.

    Attributes:
        name: The schedule's name.
        recurrence: The times.
        missed: What becomes of occurrences that passed while no node ran.
        task: The members of a publish, a JSON object as text.
        expires_after_seconds: How long after its occurrence a task may still be started; None: for
            ever.
        configured: Whether it comes from the settings.
        next_at: The next occurrence, Unix seconds.
        last_at: The last occurrence that was published, Unix seconds.
        set_back: How often its times began anew, because the clock was set back.
        created_at: When it was created, whole Unix seconds.
    """

    name: str
    recurrence: Recurrence | Interval
    missed: Missed
    task: str
    next_at: float
    created_at: int
    expires_after_seconds: float | None = None
    configured: bool = False
    last_at: float | None = None
    set_back: int = 0

    @property
    def queue(self) -> str:
        """The queue that its tasks go to."""
        queue: str = orjson.loads(self.task).get("queue") or QUEUE
        return queue

    def members(self, moment: float) -> dict[str, Any]:
        """Return the members of a publish for this moment, Unix seconds, for `task_of`."""
        members: dict[str, Any] = orjson.loads(self.task)
        members["data"] = orjson.dumps(members.get("data", {})).decode()
        if self.expires_after_seconds is not None:
            members["expires_at"] = moment + self.expires_after_seconds
        return members

    def same_as(self, other: "Schedule") -> bool:
        """Return whether both publish the same task at the same times."""
        return (self.recurrence, self.missed, self.task, self.expires_after_seconds) == (
            other.recurrence,
            other.missed,
            other.task,
            other.expires_after_seconds,
        )

    def begins_anew(self, now: float) -> bool:
        """Return whether times that come again are other ones, after the clock was set to now."""
        published = now if self.last_at is None else self.last_at
        return self.recurrence.comes_again or published > now + CORRECTION_SECONDS

    def occurrence_key(self, moment: float) -> str:
        """Return the text that is unique to the occurrence at this moment, Unix seconds.

        There is one task for each.
        """
        key = f"{self.name}@{moment:.0f}"
        return f"{key}+{self.set_back}" if self.set_back else key

    def run_key(self, task_id: str) -> str:
        """Return what stands in place of an occurrence's key for a task published in between."""
        return f"{self.name}@{task_id}"
