"""A task as it is stored, its attempts, and the rank it is claimed by."""

from dataclasses import dataclass
from typing import NamedTuple

from task_queue.actors.tasks.states import Outcome, Status

PRIORITY_SECONDS = 3_600
"""What one point of priority is worth: see `rank`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a publisher may ask for beyond what is plain; most tasks ask for none of it.

    Attributes:
        unique_key: Only one task with it, in its queue, that is not final.
        key: Of those with it, in their queue, only so many run at once.
        expires_at: Not to be started from this moment on, Unix seconds.
        keep_result_seconds: How long it is kept once it is final.
        backoff: A `Backoff` as text, in place of the queue's.
        occurrence: Which occurrence of which schedule it is; there is one task for each.
        timeout_seconds: What an attempt may take, in place of its action's own limit.
    """

    unique_key: str | None = None
    key: str | None = None
    expires_at: float | None = None
    keep_result_seconds: int | None = None
    backoff: str | None = None
    occurrence: str | None = None
    timeout_seconds: float | None = None

    @property
    def is_plain(self) -> bool:
        """Whether no other task can be in the way of one with these."""
        return self.unique_key is None and self.occurrence is None


PLAIN = Options()


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a task has come to so far, beyond its state.

    Attributes:
        worker: Which process claimed it last.
        ended_at: When its last attempt ended, Unix seconds.
        postponed: How often its action asked for later.
        cancel_requested_at: When somebody asked to cancel it, whole Unix seconds.
        progress: What its action reported, from 0 to 1.
        progress_message: And what it said about it.
    """

    worker: str | None = None
    ended_at: float | None = None
    postponed: int = 0
    cancel_requested_at: float | None = None
    progress: float | None = None
    progress_message: str | None = None


NOT_BEGUN = Course()


class Task(NamedTuple):
    """A task as it is stored, one field per column, but for the last two.

    Attributes:
        id: UUID version 7 in its text form.
        queue: The queue it was published to.
        action: What is to be done.
        data: The action's input, a JSON object as text.
        status: Where it is in its life.
        result: What the action returned, JSON as text; only of a completed task.
        error: Why the last attempt failed, at most `MAX_ERROR_CHARS` characters.
        priority: From -100 to 100, higher first; 0 unless said otherwise.
        rank: What it is claimed by, the lowest first: see the function `rank`.
        attempt: How many times it was claimed to be run.
        losses: How many of these attempts ended with the death of what ran it.
        max_attempts: How many times it may be.
        run_at: Not before this moment, Unix seconds.
        created_at: When it was accepted, whole Unix seconds.
        started_at: When its last attempt started, Unix seconds.
        processed_at: When it reached its final state, whole Unix seconds.
        options: What its publisher asked for besides.
        course: What it has come to so far.
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
    def is_new_and_plain(self) -> bool:
        """Whether the short way into the table will do."""
        return self.options is PLAIN and self.attempt == 0 and self.processed_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a task.

    Attributes:
        number: Which one, from 1; after a redrive from 1 again.
        started_at: Unix seconds.
        ended_at: Unix seconds; None: it runs.
        worker: Which process ran it.
        outcome: How it ended; None: it runs.
        error: Why it failed, if it did.
        traceback: The last lines of where.
        stderr: The last of what its program wrote to standard error.
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
    """What became of one task of a publish, where that is not simply that it was stored.

    Attributes:
        task_id: The task's id; of a duplicate, that of the task that was there before.
        status: What users see as its state.
        duplicate: Whether a task with its unique key was there before.
    """

    task_id: str
    status: str
    duplicate: bool


def rank(created_at: float, priority: int) -> float:
    """What tasks of a queue are claimed by, the lowest first.

    One point of priority is worth an hour of waiting. So of tasks published within the same hour
    the one with the higher priority always goes first, and among equals the oldest; yet none
    starves: one with priority p is overtaken by those with priority q only if they were published
    less than q - p hours after it.

    Args:
        created_at: When it was accepted, Unix seconds.
        priority: From -100 to 100.
    """
    return created_at - priority * PRIORITY_SECONDS
