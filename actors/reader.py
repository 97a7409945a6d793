"""Answers queries on a connection of its own, so that a slow one never delays a commit."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from task_queue.actors.errors import StoreUnavailableError, TaskQueueError
from task_queue.actors.messages.base import Message, Request
from task_queue.actors.messages.reader import (
    CountTasks,
    FindDead,
    FindEnded,
    FindKey,
    FindNamed,
    FindSigns,
    FindTasks,
    GetFigures,
    GetTask,
    HasKey,
    ListAudit,
    ListDeadGroups,
    ListNodes,
    ListPaused,
    ListRunning,
    ListSchedules,
    ListTasks,
    MeasureDatabase,
    NextReady,
    OldestReady,
)
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.store import (
    audit,
    counts,
    dead_groups,
    figures,
    keys,
    listing,
    nodes,
    queues,
    schedules,
)
from task_queue.actors.store.ended import ended
from task_queue.actors.store.history import history
from task_queue.actors.store.session import Session
from task_queue.actors.store.signs import signs
from task_queue.actors.store.size import size
from task_queue.actors.tasks.filters import ALL

_ANSWERS: Mapping[type[Request[Any]], Callable[[Any, Any], object]] = {
    ListTasks: lambda connection, m: listing.page(connection, m.filters, m.limit, m.after),
    GetTask: lambda connection, m: history(connection, m.task_id, m.queues),
    FindEnded: lambda connection, m: ended(connection, m.task_ids),
    FindDead: lambda connection, m: listing.dead_ids(connection, m.filters, m.limit, m.isolated),
    ListDeadGroups: lambda connection, m: dead_groups.groups(connection, m.filters, m.limit),
    FindTasks: lambda connection, m: listing.ids(connection, m.filters, m.limit, m.after),
    FindNamed: lambda connection, m: listing.named_ids(connection, m.filters, m.task_ids),
    OldestReady: lambda connection, m: counts.oldest_ready(connection, m.queue),
    NextReady: lambda connection, m: counts.next_ready(connection, m.queue),
    CountTasks: lambda connection, _: counts.by_state(connection),
    MeasureDatabase: lambda connection, _: size(connection),
    ListPaused: lambda connection, _: queues.paused_queues(connection),
    FindSigns: lambda connection, m: signs(connection, m.now, m.queues),
    GetFigures: lambda connection, m: figures.by_step(
        connection, m.begin, m.steps, m.minutes, m.queues
    ),
    ListNodes: lambda connection, _: nodes.every(connection),
    ListRunning: lambda connection, m: nodes.running(connection, m.queues),
    ListSchedules: lambda connection, _: schedules.every(connection),
    FindKey: lambda connection, m: keys.find(connection, m.key_id),
    HasKey: lambda connection, m: keys.has_valid(connection, m.now),
    ListAudit: lambda connection, m: audit.page(connection, m.filters, m.limit, m.before),
}
"""Maps each request to the store function that answers it, given the connection."""


class DatabaseReader(Actor):
    """Answers listings and counts. It cannot write."""

    def __init__(self, life: Life, *, session: Session) -> None:
        """Store the database.

        Args:
            life: This actor's life.
            session: The database, read-only, used by this actor alone.
        """
        super().__init__(life)
        self._session = session

    def setup(self) -> None:
        """Open the connection now: on a full disk, SQLite could not open one later."""
        with (
            suppress(TaskQueueError),
            self._session.transaction(),
        ):  # if it fails, the next query opens it
            listing.page(self._session.connection, ALL, limit=1)

    def receive(self, message: Message) -> None:
        """Handle one message, on a new connection if the present one has broken unnoticed."""
        try:
            self._answer(message)
        except StoreUnavailableError:
            self._answer(message)

    def _answer(self, message: Message) -> None:
        if not isinstance(message, Request) or type(message) not in _ANSWERS:
            self.unexpected(message)
        with self._session.transaction(), self._session.asking() as connection:
            message.reply_to.answer(_ANSWERS[type(message)](connection, message))

    def on_stop(self) -> None:
        """Close the connection."""
        super().on_stop()
        self._session.close()
