"""Notices: what a commit has done, and who is told of it."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from task_queue.actors.errors import LockedError, TaskQueueError
from task_queue.actors.messages.base import Command, Recipient
from task_queue.actors.messages.changes import Change
from task_queue.actors.messages.queue import Settled, Stored
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Insert, Write
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.figures import Figures
from task_queue.actors.tasks.task import Task

_QUEUE_AND_ACTION = attrgetter("queue", "action")

AnyWrite = Write | Change[Any]
"""Everything that can be part of a commit."""


@dataclass(slots=True)
class Notices:
    """What a commit has done, sent once it is on disk.

    Attributes:
        published: How many tasks are new, by queue and action. Those that queues in memory have
            finished are not: these count them when they take them.
    """

    inserts: list[Insert] = field(default_factory=list)
    published: Counter[tuple[str, str]] = field(default_factory=Counter)
    settled: defaultdict[Recipient, list[tuple[Lease, bool]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    answers: list[tuple[Reply[Any], Any]] = field(default_factory=list)
    other: list[tuple[Recipient, Command]] = field(default_factory=list)
    failed: list[tuple[AnyWrite, TaskQueueError]] = field(default_factory=list)
    locked: list[tuple[AnyWrite, LockedError]] = field(default_factory=list)
    figures: list[tuple[str, Figures]] = field(default_factory=list)

    def note_published(self, tasks: Iterable[Task]) -> None:
        """Count tasks that are rows now."""
        # Counted in C: a loop would cost every task twice as much.
        new = [task for task in tasks if task.processed_at is None]
        self.published.update(map(_QUEUE_AND_ACTION, new))

    def add(self, other: "Notices") -> None:
        """Merge another commit's notices."""
        self.inserts += other.inserts
        self.published += other.published
        for requester, settled in other.settled.items():
            self.settled[requester] += settled
        self.answers += other.answers
        self.other += other.other
        self.failed += other.failed
        self.locked += other.locked
        self.figures += other.figures

    def send(self) -> None:
        """Answer whoever waits, then tell each requester once per kind."""
        for reply, value in self.answers:
            reply.answer(value)
        stored: defaultdict[Recipient, list[str]] = defaultdict(list)
        for insert in self.inserts:
            if insert.waiter is not None:
                insert.waiter.answer(None)  # unless it was answered already
            stored[insert.requester] += [task.id for task in insert.tasks]
        for requester, task_ids in stored.items():
            requester.tell(Stored(tuple(task_ids)))
        for requester, settled in self.settled.items():
            applied = tuple(lease for lease, held in settled if held)
            refused = tuple(lease for lease, held in settled if not held)
            requester.tell(Settled(applied, refused))
        for requester, command in self.other:
            requester.tell(command)
        for write, error in self.failed:
            write.abandon(error)
