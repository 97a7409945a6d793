"""What a task is, which states it has, and the rules that lead from one to the next. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from actors.backoff import Backoff

# What is made and looked up for each task is a named tuple: a frozen dataclass takes
# three times as long to make, and its hash, which is computed in Python, four times.
MAX_ERROR_CHARS = 2_000
"""What is kept of an error's text: enough to understand it, bounded in every row."""
MAX_STDERR_CHARS = 8_192
"""What is kept of what a program wrote to standard error, the last of it."""
PRIORITY_SECONDS = 3_600
"""What one point of priority is worth: see `rank`."""
MAX_POSTPONEMENTS = 100
"""How often a task may ask for later without counting an attempt; from then on each one counts."""
MAX_POSTPONE_SECONDS = 2_592_000.0
"""How much later it may ask for at most: 30 days."""
EXPIRED = "expired"
"""The error of a task that was not started in time."""


class Status(StrEnum):
    """Where a task is in its life; the last three are final."""

    SCHEDULED = "scheduled"
    BLOCKED = "blocked"
    """Queued, but as many tasks with its key as may are ahead of it. Users see `queued`: it is
    kept apart only so that no claim has to pass over such tasks, however many they are."""
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"

    @property
    def shown(self) -> str:
        """What users see."""
        return "queued" if self is Status.BLOCKED else self.value


FINAL = (Status.COMPLETED, Status.DEAD, Status.CANCELLED)


class Outcome(StrEnum):
    """How an attempt ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    """It took longer than it may."""
    CRASHED = "crashed"
    """What ran it died: its own process, or the consumer."""
    LOST = "lost"
    """The process that ran it died, or was not heard of for longer than its lease."""
    CANCELLED = "cancelled"
    DRAINED = "drained"
    """The process shut down; the attempt does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a publisher may ask for beyond the ordinary; most tasks ask for none of it.

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
    def is_free(self) -> bool:
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


class Lease(NamedTuple):
    """One claim of one task: whoever holds it may settle the task, once.

    Attributes:
        task_id: The task claimed.
        lease_id: A random number written into the row by the claim. A settlement that names
            another one is late, and refused.
    """

    task_id: str
    lease_id: int


@dataclass(frozen=True, slots=True)
class Terms:
    """What has to be minded about a claimed task, beyond the ordinary.

    Attributes:
        key: See `Options`.
        expires_at: See `Options`.
        backoff: See `Options`.
        postponed: How often its action asked for later.
        timeout_seconds: See `Options`.
    """

    key: str | None = None
    expires_at: float | None = None
    backoff: str | None = None
    postponed: int = 0
    timeout_seconds: float | None = None


ORDINARY = Terms()


class ClaimedTask(NamedTuple):
    """A task under a lease: all that is needed to run and to settle it.

    Attributes:
        lease: What its settlement must name.
        action: What is to be done.
        data: The action's input, a JSON object as text.
        attempt: Which attempt this is, from 1.
        max_attempts: How many it may have.
        losses: How many attempts before this one ended with the death of what ran it.
        terms: What else has to be minded.
    """

    lease: Lease
    action: str
    data: str
    attempt: int
    max_attempts: int
    losses: int = 0
    terms: Terms = ORDINARY

    @property
    def must_not_wait(self) -> bool:
        """Whether it may be claimed only for a consumer that is free to run it now.

        The claim counts an attempt, and a crash takes with it the attempts of all that is
        claimed. Who has few left, or only one at all, shall not lose it waiting in the window.
        """
        return self.attempt > 1 or self.max_attempts == 1

    @property
    def is_suspect(self) -> bool:
        """Whether a former attempt was lost, so that this may be the task that kills.

        Of suspects only one is claimed at a time. So a task that was next to the one that killed
        is not next to it again: it loses one attempt to it, and not all.
        """
        return self.losses > 0

    def has_expired(self, now: float) -> bool:
        """Whether it must not be started any more at this moment, Unix seconds."""
        return self.terms.expires_at is not None and self.terms.expires_at <= now


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed.

    Attributes:
        error: What to tell whoever looks at it.
        outcome: What kind of end it was.
        permanent: Whether running it again cannot help.
        retry_after: The seconds after which its action asked to be run again.
        started_at: When the attempt began, Unix seconds; None: when it was claimed.
        traceback: The last lines of where it failed.
        stderr: The last of what its program wrote to standard error.
        contained: Whether only a process of its own died: then it is no suspect.
    """

    error: str
    outcome: Outcome = Outcome.FAILED
    permanent: bool = False
    retry_after: float | None = None
    started_at: float | None = None
    traceback: str | None = None
    stderr: str | None = None
    contained: bool = False


class Settlement(NamedTuple):
    """What becomes of a claimed task; one conditional update on its lease.

    Attributes:
        lease: The claim that is settled.
        status: The state it goes to.
        attempt: The attempts it has had from now on.
        run_at: Not before this moment, Unix seconds; None: as it was.
        losses: How many attempts were lost.
        result: JSON as text, for `completed`.
        error: Why it failed, if it did.
        processed_at: Whole Unix seconds, for a final state.
        started_at: When the attempt began, Unix seconds; None: when it was claimed.
        ended_at: When it ended, Unix seconds; None: it never began.
        failure: What is recorded of the attempt; None: nothing, because it completed, or never
            began, or does not count. A completed attempt is told by the task's own row.
        key: The task's key, of which another one may run now.
        postponed: How often its action asked for later from now on.
        stderr: What is kept of standard error; with any, a completed attempt is recorded too.
    """

    lease: Lease
    status: Status
    attempt: int
    run_at: float | None = None
    losses: int = 0
    result: str | None = None
    error: str | None = None
    processed_at: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    failure: Failure | None = None
    key: str | None = None
    postponed: int = 0
    stderr: str | None = None

    @property
    def ended_second(self) -> int | None:
        """`ended_at` in whole seconds."""
        return None if self.ended_at is None else int(self.ended_at)


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


def ack(
    claimed: ClaimedTask, result: str, started_at: float, now: float, stderr: str | None = None
) -> Settlement:
    """The settlement of a task whose action returned."""
    return Settlement(
        claimed.lease,
        Status.COMPLETED,
        claimed.attempt,
        losses=claimed.losses,
        result=result,
        processed_at=int(now),
        started_at=started_at,
        ended_at=now,
        key=claimed.terms.key,
        postponed=claimed.terms.postponed,
        stderr=stderr,
    )


def nack(
    claimed: ClaimedTask,
    failure: Failure,
    *,
    backoff: Backoff,
    now: float,
    random: Callable[[], float],
) -> Settlement:
    """The settlement of a task that failed: later again, `dead`, or `cancelled`.

    Args:
        claimed: The task, with the attempt that failed.
        failure: How it failed.
        backoff: How long to wait before the next attempt, unless the task has its own.
        now: The present moment, Unix seconds.
        random: Gives a number in [0, 1), for the jitter.
    """
    terms = claimed.terms
    lost = failure.outcome in {Outcome.LOST, Outcome.CRASHED} and not failure.contained
    settlement = Settlement(
        claimed.lease,
        Status.SCHEDULED,
        claimed.attempt,
        losses=claimed.losses + lost,
        error=printable(failure.error),
        started_at=failure.started_at,
        ended_at=now,
        failure=replace(
            failure,
            error=printable(failure.error),
            traceback=None if failure.traceback is None else printable(failure.traceback),
        ),
        key=terms.key,
        postponed=terms.postponed,
        stderr=failure.stderr,
    )
    if failure.outcome is Outcome.CANCELLED:
        return settlement._replace(status=Status.CANCELLED, processed_at=int(now))
    if failure.retry_after is not None and terms.postponed < MAX_POSTPONEMENTS:
        return settlement._replace(
            attempt=claimed.attempt - 1,
            run_at=now + min(failure.retry_after, MAX_POSTPONE_SECONDS),
            failure=None,
            postponed=terms.postponed + 1,
            stderr=None,
        )
    if failure.permanent or claimed.attempt >= claimed.max_attempts:
        return settlement._replace(status=Status.DEAD, processed_at=int(now))
    if terms.backoff is not None:
        backoff = Backoff.parse(terms.backoff)
    return settlement._replace(run_at=now + backoff.delay_seconds(claimed.attempt, random))


def requeue(claimed: ClaimedTask) -> Settlement:
    """The settlement of a task given back unrun: its attempt does not count."""
    return Settlement(
        claimed.lease,
        Status.QUEUED,
        claimed.attempt - 1,
        losses=claimed.losses,
        key=claimed.terms.key,
        postponed=claimed.terms.postponed,
    )


def drained(claimed: ClaimedTask, now: float) -> Settlement:
    """The settlement of a task that still ran when its process shut down: it does not count."""
    failure = Failure("the server shut down before it ended", Outcome.DRAINED)
    return requeue(claimed)._replace(ended_at=now, failure=failure)


def expire(claimed: ClaimedTask, now: float) -> Settlement:
    """The settlement of a task that was claimed but could not be started in time."""
    return requeue(claimed)._replace(status=Status.DEAD, error=EXPIRED, processed_at=int(now))


def unstorable(settlement: Settlement, reason: Exception, now: float) -> Settlement:
    """What becomes of a task whose settlement the database refuses to hold."""
    error = printable(f"the outcome could not be stored: {reason}")
    return settlement._replace(
        status=Status.DEAD,
        result=None,
        error=error,
        failure=Failure(error, started_at=settlement.started_at),
        ended_at=now if settlement.ended_at is None else settlement.ended_at,
        processed_at=int(now),
    )


def printable(text: str, longest: int = MAX_ERROR_CHARS) -> str:
    """The text as every database takes it: no NUL, no lone surrogate, bounded."""
    text = text[:longest].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")
