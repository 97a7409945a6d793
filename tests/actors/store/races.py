"""Several nodes at once: each with a session and a thread of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy as sa

from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from tests.databases import patient
from tests.fakes import DEADLINE_SECONDS
from tests.harness import eventually

R = TypeVar("R")

_WAITING = sa.text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def race(database: Database, *works: Callable[[Session], R]) -> list[R]:
    """What each of the works comes to, begun all at the same moment."""
    together = threading.Barrier(len(works))

    def run(work: Callable[[Session], R]) -> R:
        session = Session(patient(database))
        try:
            together.wait(DEADLINE_SECONDS)
            return work(session)
        finally:
            session.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(DEADLINE_SECONDS) for future in [pool.submit(run, w) for w in works]]


def while_held(
    database: Database, first: Callable[[Session], object], second: Callable[[Session], R]
) -> R:
    """What the second comes to, which has to wait until the first, begun before it, commits."""
    holder, waiter, watcher = (Session(patient(database)) for _ in range(3))
    with ThreadPoolExecutor(1) as pool:
        try:
            with holder.transaction():
                first(holder)
                future: Future[R] = pool.submit(second, waiter)
                eventually(lambda: future.done() or _somebody_waits(watcher), "the second waits")
                assert not future.done()
            return future.result(DEADLINE_SECONDS)
        finally:
            for session in (holder, waiter, watcher):
                session.close()


def _somebody_waits(session: Session) -> bool:
    with session.transaction():  # each look in its own, or it would see the same again
        return bool(session.connection.execute(_WAITING).scalar_one())
