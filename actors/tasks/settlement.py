"""The settlement of a claimed task: the rules for ack, nack and requeue."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.text import (
    MAX_ERROR_CHARS,
    MAX_STDERR_CHARS,
    described,
    printable,
)

MAX_POSTPONEMENTS = 100
"""How often `RetryLater` counts no attempt; from then on each one counts."""
MAX_POSTPONE_SECONDS = 2_592_000
"""The longest delay that `RetryLater` may ask for: 30 days."""
EXPIRED = "expired"
"""The error of a task that was not started in time."""


@dataclass(frozen=True, slots=True)
class Failure:
    """How an attempt failed.

    Attributes:
        error: The error's text, for users.
        outcome: How the attempt ended.
        permanent: Whether running the task again cannot help.
        retry_after: The seconds after which its action asked to be run again.
        backs_off: Whether it then waits at least as long as after a failure, each time longer: what
            a server asks for must not let it be asked again at once, a hundred times.
        started_at: When the attempt began, Unix seconds; None: when it was claimed.
        traceback: The last lines of the traceback.
        stderr: The last part of what its program wrote to standard error.
        contained: Whether only a process of its own died: then it is no suspect.
        external: Whether it was never begun, since workers over HTTP do it.
    """

    error: str
    outcome: Outcome = Outcome.FAILED
    permanent: bool = False
    retry_after: float | None = None
    backs_off: bool = False
    started_at: float | None = None
    traceback: str | None = None
    stderr: str | None = None
    contained: bool = False
    external: bool = False


class Settlement(NamedTuple):
    """What becomes of a claimed task: one conditional update on its lease.

    Attributes:
        lease: The claim that is settled.
        status: The new state.
        attempt: How many attempts count from now on.
        run_at: Not before this moment, Unix seconds; None: unchanged.
        losses: How many attempts were lost.
        result: JSON as text, for `completed`.
        error: Why it failed, if it did.
        processed_at: Whole Unix seconds, for a final state.
        started_at: When the attempt began, Unix seconds; None: when it was claimed.
        ended_at: When the attempt ended, Unix seconds; None: it never began.
        failure: What is recorded of the attempt; None: nothing, because it completed, or never
            began, or does not count. Of a completed attempt the task's own row says all.
        key: The task's key; another task with it may run now.
        postponed: How often its action has raised `RetryLater`, this time included.
        stderr: What is kept of standard error; with any, a completed attempt is recorded too.
        has_callback: Whether it is to be told how the task ended, once it has.
        external: Whether it is left to workers over HTTP from now on.
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
    has_callback: bool = False
    external: bool = False

    @property
    def error_group(self) -> str | None:
        """The group of the error of a task that is dead from now on."""
        return error_group(self.error) if self.status is Status.DEAD else None

    @property
    def ended_second(self) -> int | None:
        """`ended_at` in whole seconds."""
        return None if self.ended_at is None else int(self.ended_at)


def ack(
    claimed: ClaimedTask, result: str, started_at: float, now: float, stderr: str | None = None
) -> Settlement:
    """Settle a task whose action returned."""
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
        stderr=_storable(stderr, MAX_STDERR_CHARS),
        has_callback=claimed.terms.callback is not None,
    )


def nack(
    claimed: ClaimedTask,
    failure: Failure,
    *,
    backoff: Backoff,
    now: float,
    random: Callable[[], float],
) -> Settlement:
    """Settle a task that failed: it is run again later, `dead`, or `cancelled`.

    One that only workers over HTTP do is left to them.

    Args:
        claimed: The task, with the attempt that failed.
        failure: How it failed.
        backoff: How long to wait before the next attempt, unless the task has its own.
        now: The present moment, Unix seconds.
        random: Gives a number in [0, 1), for the jitter.
    """
    if failure.external:
        return requeue(claimed)._replace(external=True)
    terms = claimed.terms
    lost = failure.outcome in {Outcome.LOST, Outcome.CRASHED} and not failure.contained
    failure = replace(
        failure,
        error=printable(failure.error),
        traceback=_storable(failure.traceback, MAX_ERROR_CHARS),
        stderr=_storable(failure.stderr, MAX_STDERR_CHARS),
    )
    settlement = Settlement(
        claimed.lease,
        Status.SCHEDULED,
        claimed.attempt,
        losses=claimed.losses + lost,
        error=failure.error,
        started_at=failure.started_at,
        ended_at=now,
        failure=failure,
        key=terms.key,
        postponed=terms.postponed,
        stderr=failure.stderr,
        has_callback=terms.callback is not None,
    )
    if failure.outcome is Outcome.CANCELLED:
        return settlement._replace(status=Status.CANCELLED, processed_at=int(now))
    if terms.backoff is not None:
        backoff = Backoff.parse(terms.backoff)
    if failure.retry_after is not None and terms.postponed < MAX_POSTPONEMENTS:
        delay = min(failure.retry_after, MAX_POSTPONE_SECONDS)
        if failure.backs_off:
            tries = claimed.attempt + terms.postponed
            delay = max(delay, backoff.delay_seconds(tries, random))
        return settlement._replace(
            attempt=claimed.attempt - 1,
            run_at=now + delay,
            failure=None,
            postponed=terms.postponed + 1,
            stderr=None,
        )
    if failure.permanent or claimed.attempt >= claimed.max_attempts:
        return settlement._replace(status=Status.DEAD, processed_at=int(now))
    return settlement._replace(run_at=now + backoff.delay_seconds(claimed.attempt, random))


def requeue(claimed: ClaimedTask) -> Settlement:
    """Settle a task that is given back without a run: its attempt does not count."""
    return Settlement(
        claimed.lease,
        Status.QUEUED,
        claimed.attempt - 1,
        losses=claimed.losses,
        key=claimed.terms.key,
        postponed=claimed.terms.postponed,
        has_callback=claimed.terms.callback is not None,
    )


def drained(claimed: ClaimedTask, now: float) -> Settlement:
    """Settle a task that still ran when its node shut down: the attempt does not count."""
    failure = Failure("the server shut down before it ended", Outcome.DRAINED)
    return requeue(claimed)._replace(ended_at=now, failure=failure)


def expire(claimed: ClaimedTask, now: float) -> Settlement:
    """Settle a task that was claimed but could not be started in time."""
    return requeue(claimed)._replace(status=Status.DEAD, error=EXPIRED, processed_at=int(now))


def unstorable(settlement: Settlement, reason: Exception, now: float) -> Settlement:
    """Settle a task whose settlement the database refuses to store: it is dead."""
    error = printable(f"the outcome could not be stored: {described(reason)}")
    return settlement._replace(
        status=Status.DEAD,
        result=None,
        error=error,
        failure=Failure(error, started_at=settlement.started_at),
        ended_at=now if settlement.ended_at is None else settlement.ended_at,
        processed_at=int(now),
    )


def _storable(text: str | None, longest: int) -> str | None:
    return None if text is None else printable(text, longest)
