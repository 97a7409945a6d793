"""What a publish and a listing may say besides what they have to, as keyword arguments."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict

from task_queue.api.client.results.document import State
from task_queue.api.client.results.tasks import ChangedMany

Moment = float | str | datetime
"""A time: Unix seconds, RFC 3339 with an offset, or a `datetime` with a time zone."""


class Backoff(TypedDict, total=False):
    """How long a failed task waits; what is not given is as its queue has it.

    Attributes:
        base: What the first delay never exceeds, seconds.
        factor: What each further one is multiplied by.
        cap: What no delay exceeds, seconds.
    """

    base: float
    factor: float
    cap: float


class Members(TypedDict, total=False):
    """What a publish may ask for; None: not given.

    Attributes:
        queue: The queue it goes to; `tasks` if not given.
        priority: -100 to 100; higher goes first.
        delay_seconds: How much later it is to run.
        run_at: When it is to run; a time in the past means now.
        expires_at: Not to be started from then on.
        max_attempts: How many attempts it has, 1 to 1000.
        backoff: How long it waits after a failed one.
        unique_key: Its queue has at most one unfinished task with this key.
        key: Its queue runs only so many tasks with this key at once.
        keep_result_seconds: How long it is kept once it is finished.
        timeout_seconds: What an attempt may take.
        callback: An address that is told how it ended; empty: none.
    """

    queue: str | None
    priority: int | None
    delay_seconds: float | None
    run_at: Moment | None
    expires_at: Moment | None
    max_attempts: int | None
    backoff: Backoff | None
    unique_key: str | None
    key: str | None
    keep_result_seconds: int | None
    timeout_seconds: float | None
    callback: str | None


class Filters(TypedDict, total=False):
    """Which tasks are meant; those that match all of it. None: not given.

    Attributes:
        status: A state, or several.
        queue: Only of this queue.
        action: Only with this action.
        unique_key: Only with this unique key.
        key: Only with this key.
        error_contains: Only those whose error has this text in it.
        error_group: Only those that died of the same error, apart from ids and numbers in it.
        created_after: Only those published then or later.
        created_before: Only those published before then.
        data: Values of members of the data, by their paths: `{"user.name": "ada"}`.
    """

    status: State | Sequence[State] | None
    queue: str | None
    action: str | None
    unique_key: str | None
    key: str | None
    error_contains: str | None
    error_group: str | None
    created_after: Moment | None
    created_before: Moment | None
    data: Mapping[str, Any] | None


class Which(Filters, total=False):
    """Which tasks are changed; those that match all of it.

    Attributes:
        ids: Only these, at most 1,000.
        preview: Whether to change nothing, and say how many would be.
        progress: Called after each step with what was done so far.
    """

    ids: Iterable[str] | None
    preview: bool
    progress: Callable[[ChangedMany], object] | None


class Redrive(TypedDict, total=False):
    """Which dead tasks are put back; those that match all of it.

    Attributes:
        queue: Only of this queue.
        action: Only with this action.
        ids: Only these, at most 1,000.
        error_contains: Only those whose error has this text in it.
        error_group: Only those of this group, as `dead_letter_groups` names it.
        limit: How many at most, up to 10,000; 1,000 unless given.
        per_second: How many a second; all may run at once unless given.
    """

    queue: str | None
    action: str | None
    ids: Iterable[str] | None
    error_contains: str | None
    error_group: str | None
    limit: int | None
    per_second: float | None


class Times(TypedDict, total=False):
    """When a schedule publishes: either `cron` or `every` is needed.

    Attributes:
        cron: Times on a clock, as in `0 9 * * 1-5`.
        every: A distance, as in `90m`.
        timezone: Whose clock it goes by; UTC unless given.
        missed: What becomes of times at which no node ran; `skip` unless given.
        clock_forward: What becomes of times that a clock jumps over.
        clock_back: How often times come that a clock shows twice.
        expires_after_seconds: How long after its time a task may still be started.
    """

    cron: str | None
    every: str | None
    timezone: str | None
    missed: Literal["skip", "once"] | None
    clock_forward: Literal["run", "skip"] | None
    clock_back: Literal["once", "twice"] | None
    expires_after_seconds: float | None


class Wishes(TypedDict, total=False):
    """What a worker would like to lease.

    Attributes:
        max: How many tasks at most, up to 100; 1 unless given.
        lease_seconds: For how long; as long as the queue's settings say unless given.
        worker: A name for the worker.
        actions: Only tasks of these; of all external actions unless given.
    """

    max: int | None
    lease_seconds: float | None
    worker: str | None
    actions: Iterable[str] | None


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task that is to be published, as one of a batch.

    Attributes:
        action: What is to be done.
        data: The action's input.
        members: What else it asks for; see `Members`.
    """

    action: str
    data: Mapping[str, Any] | None = None
    members: Members = field(default_factory=Members)

    @property
    def document(self) -> dict[str, Any]:
        """What is sent."""
        given = {name: value for name, value in self.members.items() if value is not None}
        return {"action": self.action, "data": self.data or {}} | given
