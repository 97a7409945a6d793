"""Stand-ins for an actor's neighbours, and what tests of actors make again and again."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import count
from typing import Any, TypeVar

import pykka

from task_queue.actors.messages.base import Command
from task_queue.actors.runtime.actor import Actor, Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.task import Options, Task, rank

DEADLINE_SECONDS = 30.0
NOW = 1_700_000_000.0
AUDIT_SECONDS = 90 * 86_400
"""How long entries of the audit log are kept."""

M = TypeVar("M", bound=Command)

_numbers = count(1)
_TRACES = {"losses", "result", "error", "started_at", "processed_at"}
_OPTIONS = [each.name for each in fields(Options)]


class Inbox:
    """A recipient that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[Command] = []
        self._unseen: list[Command] = []
        self._told = threading.Condition()

    def tell(self, message: Command) -> None:
        with self._told:
            self.messages.append(message)
            self._unseen.append(message)
            self._told.notify_all()

    def wait_for(self, kind: type[M], timeout: float = DEADLINE_SECONDS) -> M:
        """The next message of this kind that was not waited for yet."""
        with self._told:
            found = self._told.wait_for(lambda: self._first(kind), timeout)
            assert found is not None, f"no {kind.__name__} within {timeout:g} s: {self.messages}"
            self._unseen.remove(found)
            return found

    def all_of(self, kind: type[M]) -> list[M]:
        """Every message of this kind so far."""
        with self._told:
            return [message for message in self.messages if isinstance(message, kind)]

    def _first(self, kind: type[M]) -> M | None:
        return next((message for message in self._unseen if isinstance(message, kind)), None)


class ManualClock:
    """The present moment, which moves only when told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """The new present moment."""
        self.now += seconds
        return self.now


def life(name: str) -> Life:
    """A life whose watcher is an `Inbox`."""
    return Life(Address(name), Inbox())


def stop(ref: pykka.ActorRef[Any]) -> None:
    """Stop a started actor, if it still lives, and wait until it has."""
    ref.stop(timeout=DEADLINE_SECONDS)


@contextmanager
def running(ref: pykka.ActorRef[Any], name: str = "actor") -> Iterator[Address]:
    """An address of a started actor, which is stopped at the end of the block."""
    address = Address(name)
    address.bind(ref)
    try:
        yield address
    finally:
        stop(ref)


def work(*actors: Actor) -> None:
    """Let actors that have no thread of their own work until none of them has anything to do."""
    while any(not actor.actor_inbox.empty() for actor in actors):
        for actor in actors:
            while not actor.actor_inbox.empty():
                actor.receive(actor.actor_inbox.get().message)


def a_task(**changes: Any) -> Task:  # noqa: ANN401 - any column
    """A queued task, with an id of its own, and these columns; options go by their own names.

    One that shows traces of an attempt has had one; a final one ended when it was created.
    """
    options = {name: changes.pop(name) for name in _OPTIONS if name in changes}
    created_at = changes.get("created_at", int(NOW))
    columns: dict[str, Any] = {
        "id": f"task-{next(_numbers):09}",
        "queue": "tasks",
        "action": "uppercase",
        "data": '{"text":"hello"}',
        "max_attempts": 5,
        "run_at": NOW,
        "created_at": created_at,
        "rank": rank(float(created_at), changes.get("priority", 0)),
    }
    final = changes.get("status", Status.QUEUED) in FINAL
    if final:
        columns["processed_at"] = created_at
    if final or not changes.keys().isdisjoint(_TRACES):
        columns["attempt"] = max(1, changes.get("losses", 0))
    if options:
        columns["options"] = Options(**options)
    return Task(**(columns | changes))
