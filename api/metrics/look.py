"""What the metrics ask the actors for, with one deadline for all of it."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from shutil import disk_usage
from threading import Lock
from typing import Any, TypeVar

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.base import Request
from task_queue.actors.messages.queue import GetQueueState, QueueState
from task_queue.actors.messages.reader import (
    CountTasks,
    ListPaused,
    MeasureDatabase,
    OldestReady,
)
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.supervisor import CountStuck, ListChildren
from task_queue.actors.messages.writer import GetDatabaseState
from task_queue.actors.runtime.address import Address
from task_queue.actors.tasks.states import Status
from task_queue.api.edge import Edge

LOOK_SECONDS = 3.0
"""How long all actors together may take to answer: by default Prometheus waits ten seconds."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What is known at this moment; what did not answer in time is missing.

    Attributes:
        is_up: Whether the last commit went through, and the database can be read.
        counts: How many tasks there are, by queue and state.
        oldest: Since when the longest-ready task waits, by queue; None: none is ready.
        paused: Which queues are paused.
        states: What each queue does on this node, by name.
        children: Whether each actor is up, by name.
        stuck: How many threads hang in actions.
        database_bytes: How large the database is.
        free_bytes: How much room is left where it is.
    """

    is_up: bool = False
    counts: Mapping[str, Mapping[Status, int]] | None = None
    oldest: Mapping[str, float | None] = field(default_factory=dict)
    paused: set[str] | None = None
    states: Mapping[str, QueueState] = field(default_factory=dict)
    children: Mapping[str, bool] | None = None
    stuck: int | None = None
    database_bytes: int | None = None
    free_bytes: int | None = None


class Looks:
    """Asks everybody at once, and waits for all of them until one deadline.

    A question that has no answer yet is not asked again: who scrapes every few seconds while the
    database does not answer must not fill an inbox.
    """

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._asked: dict[str, Reply[Any]] = {}
        self._lock = Lock()

    def look(self) -> Looked:
        """Return what is known by the deadline."""
        deadline = self._edge.monotonic() + LOOK_SECONDS
        if not self._lock.acquire(timeout=LOOK_SECONDS):
            return Looked()
        try:
            return self._look(deadline)
        finally:
            self._lock.release()

    def _look(self, deadline: float) -> Looked:
        system, names = self._edge.system, list(self._edge.queues)
        reader, supervisor = system.reader, system.supervisor
        state = self._ask("state", system.writer, GetDatabaseState())
        children = self._ask("children", supervisor, ListChildren())
        stuck = self._ask("stuck", supervisor, CountStuck())
        addresses = system.queues.addresses
        states = {
            name: self._ask(f"queue {name}", addresses[name], GetQueueState())
            for name in names
            if name in addresses  # a reload may have removed it meanwhile
        }
        counts = self._ask("counts", reader, CountTasks())
        paused = self._ask("paused", reader, ListPaused())
        oldest = {name: self._ask(f"oldest {name}", reader, OldestReady(name)) for name in names}
        size = None
        if not system.database.is_sqlite:
            size = self._ask("size", reader, MeasureDatabase())

        def answer(reply: Reply[R]) -> R | None:
            with suppress(TaskQueueError):
                return reply.wait(deadline - self._edge.monotonic())
            return None

        of_queues = {name: found for name, each in states.items() if (found := answer(each))}
        written, counted = answer(state), answer(counts)
        return Looked(
            is_up=written is not None and written.problem is None and counted is not None,
            counts=counted,
            oldest={} if counted is None else {n: answer(each) for n, each in oldest.items()},
            paused=answer(paused),
            states=of_queues,
            children=answer(children),
            stuck=answer(stuck),
            database_bytes=self._file_bytes() if size is None else answer(size),
            free_bytes=self._free_bytes(),
        )

    def _ask(self, name: str, address: Address, request: Request[R]) -> Reply[R]:
        former = self._asked.get(name)
        if former is not None and not former.is_done:
            return former
        reply = self._asked[name] = address.ask_later(request)
        return reply

    def _file_bytes(self) -> int | None:
        """Return how large the SQLite file is, with its log."""
        path = self._edge.system.database.path
        total = None
        for each in (path, path.with_name(f"{path.name}-wal")):
            with suppress(OSError):  # there is no log, or the file is gone
                total = (total or 0) + each.stat().st_size
        return total

    def _free_bytes(self) -> int | None:
        database = self._edge.system.database
        if database.is_sqlite:
            with suppress(OSError):
                return disk_usage(database.path.parent).free
        return None
