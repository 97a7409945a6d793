"""The verdicts of a worker on a task that it has leased over HTTP, and what follows. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.settlement import (
    MAX_POSTPONE_SECONDS,
    Failure,
    Settlement,
    ack,
    nack,
    requeue,
)
from task_queue.actors.tasks.states import Status

RELEASE_SECONDS = 1.0
"""How long a task that is given back rests: a worker that gives back what it cannot do would get it
again at once, in a loop, and whatever is behind it never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acked:
    """It is done.

    Attributes:
        result: JSON as text.
    """

    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Nacked:
    """It failed, and the attempt counts.

    Attributes:
        error: Why.
        retry_after_seconds: After how many seconds it is to be run again; None: by its backoff.
        permanent: Whether running it again cannot help.
    """

    error: str
    retry_after_seconds: float | None = None
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Released:
    """It is given back, and the attempt does not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """It goes on.

    Attributes:
        lease_seconds: How much longer the lease is to last, from now on.
        fraction: How far the task is, from 0 to 1; None: nothing is said about it.
        message: What goes with that.
    """

    lease_seconds: float
    fraction: float | None = None
    message: str | None = None


Ending = Acked | Nacked | Released
"""A verdict that ends the lease."""
Verdict = Ending | Extended


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A verdict on a lease.

    Attributes:
        lease: The lease.
        verdict: What its worker says.
        fingerprint: A digest of that, by which a repetition is known.
    """

    lease: Lease
    verdict: Verdict
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A verdict is on disk.

    Attributes:
        task_id: The task's id.
        queue: Its queue.
        status: Its state from now on.
        run_at: When it runs again, if it does, Unix seconds.
        leased_until: Until when the lease lasts, if it goes on, Unix seconds.
        cancelling: Whether somebody asked to cancel it.
        failed: Whether the attempt failed.
        repeated: Whether it was on disk already, and this is the same answer again.
        action: The name of its action; empty: it is not known any more.
        seconds: How long the attempt took, if this ends it.
    """

    task_id: str
    queue: str
    status: Status
    run_at: float | None = None
    leased_until: float | None = None
    cancelling: bool = False
    failed: bool = False
    repeated: bool = False
    action: str = ""
    seconds: float = 0.0


class Refusal(StrEnum):
    """Why a verdict is not taken; nothing of it is recorded."""

    LAPSED = "lapsed"
    """The lease is not held any more."""
    SETTLED = "settled"
    """The lease was ended by another verdict."""
    NOT_FOUND = "not_found"
    """There is no such task, for this worker."""


def ending(  # noqa: PLR0913 - what the rules depend on
    claimed: ClaimedTask,
    verdict: Ending,
    *,
    started_at: float,
    last_error: str | None,
    backoff: Backoff,
    now: float,
    random: Callable[[], float],
) -> Settlement:
    """Return what becomes of the task.

    Args:
        claimed: The task.
        verdict: What its worker says.
        started_at: When it was leased, Unix seconds.
        last_error: Why its last attempt failed, if one did.
        backoff: How long to wait before the next attempt, unless the task has its own.
        now: The present moment, Unix seconds.
        random: Gives a number in [0, 1), for the jitter.
    """
    match verdict:
        case Acked(result=result):
            return ack(claimed, result, started_at, now)
        case Nacked(error=error, retry_after_seconds=seconds, permanent=permanent):
            failure = Failure(error, permanent=permanent, started_at=started_at)
            settlement = nack(claimed, failure, backoff=backoff, now=now, random=random)
            if seconds is not None and settlement.status is Status.SCHEDULED:
                return settlement._replace(run_at=now + min(seconds, MAX_POSTPONE_SECONDS))
            return settlement
        case Released():
            return requeue(claimed)._replace(
                status=Status.SCHEDULED,
                run_at=now + RELEASE_SECONDS,
                error=last_error,
                ended_at=now,
            )


def becomes(settlement: Settlement, *, cancelling: bool) -> Status:
    """Return the state of the task once this is written.

    Args:
        settlement: What becomes of it.
        cancelling: Whether somebody asked to cancel it: then it is not started again.
    """
    over = cancelling and settlement.status in {Status.QUEUED, Status.SCHEDULED}
    return Status.CANCELLED if over else settlement.status


def lasts_until(
    verdict: Extended,
    leased_until: float,
    started_at: float,
    timeout_seconds: float,
    now: float,
) -> float:
    """Return until when the lease lasts, Unix seconds: not beyond the time of the attempt.

    Args:
        verdict: How much longer it is to last.
        leased_until: Until when it lasts so far, Unix seconds.
        started_at: When the attempt began, Unix seconds.
        timeout_seconds: How long the attempt may take; 0: any time.
        now: The present moment, Unix seconds.
    """
    until = now + verdict.lease_seconds
    if not timeout_seconds:
        return until
    deadline = started_at + timeout_seconds
    return min(until, deadline) if deadline > now else leased_until
