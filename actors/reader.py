"""Answers queries on a connection of its own, so that a slow one never delays a commit."""

from contextlib import suppress

from task_queue.actors.errors import StoreUnavailableError, TaskQueueError
from task_queue.actors.messages.base import Message
from task_queue.actors.messages.reader import (
    CountTasks,
    FindDead,
    GetStates,
    GetTask,
    ListPaused,
    ListSchedules,
    ListTasks,
    OldestReady,
)
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.store import counts, listing, queues, schedules, states
from task_queue.actors.store.history import history
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.filters import ALL


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
        with self._session.transaction(), self._session.asking() as connection:
            match message:
                case ListTasks():
                    page = listing.page(connection, message.filters, message.limit, message.after)
                    message.reply_to.answer(page)
                case GetTask():
                    task = history(connection, message.task_id, message.queues)
                    message.reply_to.answer(task)
                case GetStates():
                    message.reply_to.answer(states.of(connection, message.task_ids))
                case FindDead():
                    found = listing.dead_ids(
                        connection, message.filters, message.limit, message.isolated
                    )
                    message.reply_to.answer(found)
                case OldestReady():
                    message.reply_to.answer(counts.oldest_ready(connection, message.queue))
                case CountTasks():
                    message.reply_to.answer(counts.by_state(connection))
                case ListPaused():
                    message.reply_to.answer(queues.paused_queues(connection))
                case ListSchedules():
                    message.reply_to.answer(schedules.every(connection))
                case _:
                    self.unexpected(message)

    def on_stop(self) -> None:
        """Close the connection."""
        super().on_stop()
        self._session.close()
