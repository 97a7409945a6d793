"""On what conditions a publish is stored, and what it is answered with."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.actors.tasks.task import Receipt


@dataclass(frozen=True, slots=True)
class Idempotency:
    """What makes a repeated request the same request.

    Attributes:
        key: What the client calls it.
        fingerprint: A digest of what it asks for.
        expires_at: Until when the first answer is remembered, Unix seconds.
    """

    key: str
    fingerprint: str
    expires_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Under what conditions a publish is stored, where there are any.

    Attributes:
        limits: Of the queues it goes to that have any.
        idempotency: If the client asked for it.
    """

    limits: Mapping[str, QueueLimits] = field(default_factory=dict)
    idempotency: Idempotency | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came of a publish that was looked at before it was stored.

    Attributes:
        receipts: One for each of its tasks, in order.
        replayed: Whether this is what an earlier request with the same key was answered.
        room: What the queues with limits it went to have left, by name.
    """

    receipts: tuple[Receipt, ...]
    replayed: bool = False
    room: Mapping[str, Room] = field(default_factory=dict)
