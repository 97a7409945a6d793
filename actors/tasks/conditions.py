"""The conditions under which a publish is stored, and its answer. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.actors.tasks.task import Receipt

REMEMBERED_SECONDS = 86_400
"""How long the first answer to an idempotency key is given again: a day."""


EVENT = "event "
"""What the names of events begin with; its blank is in no `Idempotency-Key`."""
ACCEPTED = 202
"""How a request was answered that has an `Idempotency-Key`: by its receipts."""
FINISHED = 200
"""By the whole task, since it was finished in time."""


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What identifies a repeated request.

    Attributes:
        key: The `Idempotency-Key` that the client sent, or `EVENT` and what identifies the event;
            with whatever parts those who do not see the same queues before it.
        fingerprint: A digest of the request.
        expires_at: Until when the first answer is kept, Unix seconds.
        waits: Whether its answer waits for the task's end, and is known only then.
    """

    key: str
    fingerprint: str
    expires_at: float
    waits: bool = False

    @property
    def repeated_by(self) -> str:
        """What a repetition has in common with the first request, in words."""
        is_event = EVENT in self.key
        return "an event with this id and source" if is_event else "this Idempotency-Key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The conditions under which a publish is stored.

    Attributes:
        limits: The limits of the queues it goes to, by name; only of those that have any.
        idempotency: What identifies the request, if the client sent a key.
        refusal: Why it is refused, unless it is a repetition: that has its first answer, even if
            the time for it has gone meanwhile.
    """

    limits: Mapping[str, QueueLimits] = field(default_factory=dict)
    idempotency: Idempotency | None = None
    refusal: TaskQueueError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """The answer to a publish that was checked against the database before it was stored.

    Attributes:
        receipts: One for each of its tasks, in order.
        replayed: Whether this is the answer to an earlier request with the same key.
        answered: How that one was answered; None: not at all, as far as is known.
        room: The room left in the queues with limits that it went to, by name.
    """

    receipts: tuple[Receipt, ...]
    replayed: bool = False
    answered: int | None = None
    room: Mapping[str, Room] = field(default_factory=dict)
