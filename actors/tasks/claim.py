"""A claimed task: its lease, and all that is needed to run and to settle it."""

from dataclasses import dataclass
from typing import NamedTuple

# What is made and looked up for each task is a named tuple: a frozen dataclass takes three times as
# long to make, and its hash, which is computed in Python, four times.


class Lease(NamedTuple):
    """One claim of one task: whoever holds it may settle the task, once.

    Attributes:
        task_id: The task claimed.
        lease_id: A random number that the claim writes into the row. A settlement with another
            one is late, and refused.
    """

    task_id: str
    lease_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Who claims tasks, and on what terms.

    Attributes:
        queue: The queue whose tasks are claimed.
        lease_id: The number that the claim writes into the rows.
        node: The process that claims; kept in the column `worker`.
        now: When the claim is made, Unix seconds.
        leased_until: When the leases lapse unless renewed, Unix seconds.
        rate_limit: How many starts per second the queue allows; 0: any number.
    """

    queue: str
    lease_id: int
    node: str
    now: float
    leased_until: float
    rate_limit: float = 0.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What a claimed task brings along of its `Options` and its `Course`.

    Attributes:
        key: See `Options`.
        expires_at: See `Options`.
        backoff: See `Options`.
        postponed: See `Course`.
        timeout_seconds: See `Options`.
        external: See `Options`.
        callback: See `Options`.
        traceparent: See `Options`.
        tracestate: See `Options`.
    """

    key: str | None = None
    expires_at: float | None = None
    backoff: str | None = None
    postponed: int = 0
    timeout_seconds: float | None = None
    external: bool = False
    callback: str | None = None
    traceparent: str | None = None
    tracestate: str | None = None


PLAIN_TERMS = Terms()
"""The terms of a plain task that was never postponed; the one such object, so that `is` tells."""


class ClaimedTask(NamedTuple):
    """A task under a lease: all that is needed to run and to settle it.

    Attributes:
        lease: What its settlement must name.
        action: The name of the action that runs it.
        data: The action's input, a JSON object as text.
        attempt: The number of this attempt, from 1.
        max_attempts: How many attempts there may be.
        losses: How many attempts before this one ended with the death of whatever ran it.
        terms: What it brings along of its options and its course.
        ready_at: Since when it could run, Unix seconds; 0: not known.
    """

    lease: Lease
    action: str
    data: str
    attempt: int
    max_attempts: int
    losses: int = 0
    terms: Terms = PLAIN_TERMS
    ready_at: float = 0.0

    @property
    def must_not_wait(self) -> bool:
        """Whether it may be claimed only for a consumer that is free to run it now.

        A claim counts as an attempt, and a crash costs every claimed task that attempt. A task that
        has used some, or has only one at all, must not lose one while it waits in the window.
        """
        return self.attempt > 1 or self.max_attempts == 1

    @property
    def is_suspect(self) -> bool:
        """Whether a former attempt was lost, so that this may be the task that kills its process.

        Only one suspect is claimed at a time. So a task that was claimed together with one that
        kills is not claimed with it again: it loses one attempt to it, not all.
        """
        return self.losses > 0

    def has_expired(self, now: float) -> bool:
        """Return whether it must not be started any more at this moment, Unix seconds."""
        return self.terms.expires_at is not None and self.terms.expires_at <= now


class LeasedTask(NamedTuple):
    """A task that is leased to a worker over HTTP.

    Attributes:
        claimed: The task under its lease.
        queue: Its queue.
        created_at: When it was accepted, whole Unix seconds.
        leased_until: When the lease lapses unless it is extended, Unix seconds.
    """

    claimed: ClaimedTask
    queue: str
    created_at: int
    leased_until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """What a worker over HTTP would like to be leased.

    Attributes:
        actions: What it does.
        limit: How many tasks at most.
        lease_id: The number that the claim writes into the rows.
        worker: Its name; kept in the column `worker`.
        lease_seconds: How long the leases are to last.
    """

    actions: tuple[str, ...]
    limit: int
    lease_id: int
    worker: str
    lease_seconds: float
