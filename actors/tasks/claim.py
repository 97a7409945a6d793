"""A claimed task: what its lease names, and all that is needed to run it."""

from dataclasses import dataclass
from typing import NamedTuple


class Lease(NamedTuple):
    """One claim of one task: whoever holds it may settle the task, once.

    Attributes:
        task_id: The task claimed.
        lease_id: A random number written into the row by the claim. A settlement that names
            another one is late, and refused.
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
    """What has to be minded about a claimed task, beyond what is plain.

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


PLAIN_TERMS = Terms()


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
    terms: Terms = PLAIN_TERMS

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
