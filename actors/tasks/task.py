"""A task as it is stored, its attempts, and its rank, the order of claims."""

from dataclasses import dataclass
from typing import NamedTuple

from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.states import Outcome, Status

PRIORITY_SECONDS = 3_600
"""How many seconds of waiting one point of priority is worth: see `rank`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a publisher may ask for; a plain task asks for none of it, and most are plain.

    Attributes:
        unique_key: Its queue holds only one task with this key that is neither final nor asked to
            stop.
        key: Of its queue's tasks with this key, only so many run at once.
        expires_at: The task is not started from this moment on, Unix seconds.
        keep_result_seconds: How long the task is kept once it is final.
        backoff: A `Backoff` as text, in place of the queue's.
        occurrence: The schedule and its occurrence; there is one task for each.
        timeout_seconds: How long an attempt may take, in place of its action's own limit.
        external: Whether workers over HTTP do it, and no consumer of a node.
        callback: Where to tell how it ended, an HTTP address.
        traceparent: The trace it was published in (W3C Trace Context).
        tracestate: What goes with that.
    """

    unique_key: str | None = None
    key: str | None = None
    expires_at: float | None = None
    keep_result_seconds: int | None = None
    backoff: str | None = None
    occurrence: str | None = None
    timeout_seconds: float | None = None
    external: bool = False
    callback: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None

    @property
    def is_plain(self) -> bool:
        """Whether no other task can prevent the insert of one with these options."""
        return self.unique_key is None and self.occurrence is None


PLAIN = Options()
"""The options of a plain task, none at all; the one such object, so that `is` tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What has happened to a task so far, beyond its state.

    Attributes:
        worker: The node that claimed it last.
        ended_at: When its last attempt ended, Unix seconds.
        postponed: How often its action raised `RetryLater`.
        cancel_requested_at: When somebody asked to cancel it, whole Unix seconds.
        progress: How far its action is, as last reported, from 0 to 1.
        progress_message: The message of that report.
        counted_from: When its wait began or its lease was made, Unix seconds: what `run_at` of a
            scheduled task and the lease of a running one are counted from. None: its publisher
            named `run_at`, or it has not waited.
    """

    worker: str | None = None
    ended_at: float | None = None
    postponed: int = 0
    cancel_requested_at: float | None = None
    progress: float | None = None
    progress_message: str | None = None
    counted_from: float | None = None


NOT_BEGUN = Course()
"""The course of a task that was never claimed."""


class Task(NamedTuple):
    """A task as it is stored: one field per column, except for the last two.

    Attributes:
        id: UUID version 7 in its text form.
        queue: The queue it was published to.
        action: The name of the action that runs it.
        data: The action's input, a JSON object as text.
        status: Its state.
        result: What the action returned, JSON as text; only of a completed task.
        error: Why the last attempt failed, at most `MAX_ERROR_CHARS` characters.
        priority: From -100 to 100, higher first; 0 by default.
        rank: The order of claims, the lowest first: see the function `rank`.
        attempt: How many attempts have begun.
        losses: How many of these ended with the death of whatever ran it.
        max_attempts: How many attempts there may be.
        run_at: Not before this moment, Unix seconds.
        created_at: When it was accepted, whole Unix seconds.
        started_at: When its last attempt started, Unix seconds.
        processed_at: When it reached its final state, whole Unix seconds.
        options: What its publisher asked for beyond a plain task.
        course: What has happened to it so far.
    """

    id: str
    queue: str
    action: str
    data: str
    max_attempts: int
    run_at: float
    created_at: int
    rank: float
    status: Status = Status.QUEUED
    result: str | None = None
    error: str | None = None
    priority: int = 0
    attempt: int = 0
    losses: int = 0
    started_at: float | None = None
    processed_at: int | None = None
    options: Options = PLAIN
    course: Course = NOT_BEGUN

    @property
    def error_group(self) -> str | None:
        """The group of its error, if it is dead."""
        return error_group(self.error) if self.status is Status.DEAD else None

    @property
    def is_new_and_plain(self) -> bool:
        """Whether it is plain and was never claimed: its insert then sets fewer columns."""
        plain = self.options is PLAIN and self.course.counted_from is None
        return plain and self.attempt == 0 and self.processed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a task.

    Attributes:
        number: Its number, from 1; after a redrive from 1 again.
        started_at: Unix seconds.
        ended_at: Unix seconds; None while it runs.
        worker: The node that ran it.
        outcome: How it ended; None while it runs.
        error: Why it failed, if it did.
        traceback: The last lines of its traceback.
        stderr: The last of what its action printed and logged, or its program wrote to standard
            error.
    """

    number: int
    started_at: float | None
    ended_at: float | None
    worker: str | None
    outcome: Outcome | None
    error: str | None = None
    traceback: str | None = None
    stderr: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one task of a publish, if it was not simply stored.

    Attributes:
        task_id: The task's id; of a duplicate, the id of the task that was there before.
        status: Its state, as users see it.
        duplicate: Whether a task with its unique key was there before.
    """

    task_id: str
    status: str
    duplicate: bool


def rank(created_at: float, priority: int) -> float:
    """Return the order in which a queue's tasks are claimed, the lowest first.

    One point of priority is worth an hour of waiting. So of tasks published within the same hour
    the one with the higher priority always goes first, and among equals the oldest; yet none
    starves: one with priority p is overtaken by those with priority q only if they were published
    less than q - p hours after it.

    Args:
        created_at: When it was accepted, Unix seconds.
        priority: From -100 to 100.
    """
    return created_at - priority * PRIORITY_SECONDS
