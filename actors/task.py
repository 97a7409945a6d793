"""What a task is, which states it has, and the rules that lead from one to the next. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from actors.backoff import Backoff

MAX_ERROR_CHARS = 2_000
"""What is kept of an error's text: enough to understand it, bounded in every row."""


class Status(StrEnum):
    """Where a task is in its life; the last three are final."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    DEAD = "dead"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as it is stored, one field per column.

    Attributes:
        id: UUID version 7 in its text form.
        queue: The queue it was published to.
        action: What is to be done.
        data: The action's input, a JSON object as text.
        status: Where it is in its life.
        result: What the action returned, JSON as text; only of a completed task.
        error: Why the last attempt failed, at most `MAX_ERROR_CHARS` characters.
        priority: Higher first; 0 unless said otherwise.
        attempt: How many times it was claimed to be run.
        losses: How many of these attempts ended with the death of what ran it.
        max_attempts: How many times it may be.
        run_at: Not before this moment, Unix seconds.
        created_at: When it was accepted, whole Unix seconds.
        started_at: When it was last claimed, whole Unix seconds.
        processed_at: When it reached its final state, whole Unix seconds.
    """

    id: str
    queue: str
    action: str
    data: str
    max_attempts: int
    run_at: float
    created_at: int
    status: Status = Status.QUEUED
    result: str | None = None
    error: str | None = None
    priority: int = 0
    attempt: int = 0
    losses: int = 0
    started_at: int | None = None
    processed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """One claim of one task: whoever holds it may settle the task, once.

    Attributes:
        task_id: The task claimed.
        lease_id: A random number written into the row by the claim. A settlement that names
            another one is late, and refused.
    """

    task_id: str
    lease_id: int


@dataclass(frozen=True, slots=True)
class ClaimedTask:
    """A task under a lease: all that is needed to run and to settle it.

    Attributes:
        lease: What its settlement must name.
        action: What is to be done.
        data: The action's input, a JSON object as text.
        attempt: Which attempt this is, from 1.
        max_attempts: How many it may have.
        losses: How many attempts before this one ended with the death of what ran it.
    """

    lease: Lease
    action: str
    data: str
    attempt: int
    max_attempts: int
    losses: int = 0

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


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a claimed task; one conditional update on its lease.

    Attributes:
        lease: The claim that is settled.
        status: The state it goes to.
        attempt: The attempts it has had from now on.
        losses: How many of them were lost.
        result: JSON as text, for `completed`.
        error: Why it failed, if it did.
        run_at: Not before this moment, Unix seconds.
        processed_at: Whole Unix seconds, for a final state.
    """

    lease: Lease
    status: Status
    attempt: int
    run_at: float
    losses: int = 0
    result: str | None = None
    error: str | None = None
    processed_at: int | None = None


def ack(claimed: ClaimedTask, result: str, now: float) -> Settlement:
    """The settlement of a task whose action returned."""
    return Settlement(
        lease=claimed.lease,
        status=Status.COMPLETED,
        attempt=claimed.attempt,
        losses=claimed.losses,
        run_at=now,
        result=result,
        processed_at=int(now),
    )


def nack(  # noqa: PLR0913 - the rule's inputs, all of them
    claimed: ClaimedTask,
    error: str,
    *,
    permanent: bool = False,
    lost: bool = False,
    backoff: Backoff,
    now: float,
    random: Callable[[], float],
) -> Settlement:
    """The settlement of a task that failed: later again, or `dead`.

    Args:
        claimed: The task, with the attempt that failed.
        error: What to tell whoever looks at it.
        permanent: Whether running it again cannot help.
        lost: Whether what ran it died.
        backoff: How long to wait before the next attempt.
        now: The present moment, Unix seconds.
        random: Gives a number in [0, 1), for the jitter.
    """
    error = printable(error)
    losses = claimed.losses + lost
    if permanent or claimed.attempt >= claimed.max_attempts:
        return Settlement(
            lease=claimed.lease,
            status=Status.DEAD,
            attempt=claimed.attempt,
            losses=losses,
            run_at=now,
            error=error,
            processed_at=int(now),
        )
    return Settlement(
        lease=claimed.lease,
        status=Status.SCHEDULED,
        attempt=claimed.attempt,
        losses=losses,
        run_at=now + backoff.delay_seconds(claimed.attempt, random),
        error=error,
    )


def requeue(claimed: ClaimedTask, now: float) -> Settlement:
    """The settlement of a task given back unrun: its attempt does not count."""
    return Settlement(
        lease=claimed.lease,
        status=Status.QUEUED,
        attempt=claimed.attempt - 1,
        losses=claimed.losses,
        run_at=now,
    )


def unstorable(settlement: Settlement, reason: Exception) -> Settlement:
    """What becomes of a task whose settlement the database refuses to hold."""
    return replace(
        settlement,
        status=Status.DEAD,
        result=None,
        error=printable(f"the outcome could not be stored: {reason}"),
        processed_at=int(settlement.run_at),
    )


def printable(text: str) -> str:
    """The text as every database takes it: no NUL, no lone surrogate, bounded."""
    text = text[:MAX_ERROR_CHARS].replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return text.encode("utf-8", "replace").decode("utf-8")
