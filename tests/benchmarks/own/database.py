"""The SQLite file of a server, written before it starts and looked at while it runs."""

import sqlite3
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from uuid_utils import uuid7

from task_queue.actors.store.database import Database
from task_queue.actors.store.insert import insert
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.new import QUEUE
from task_queue.actors.tasks.task import Task
from tests.benchmarks.system import NUMBERS
from tests.harness import DEADLINE_SECONDS

ROWS_PER_COMMIT = 500
"""As many as the service itself puts into one commit at most."""

_MAX_ATTEMPTS = 5
_POLL_SECONDS = 0.01


def path_in(directory: Path) -> Path:
    """The file of a server that runs in the directory with its default settings."""
    return directory / "data" / "tasks.db"


def database_in(directory: Path) -> Database:
    """The same file, to be written while no server runs."""
    return Database(f"sqlite:///{path_in(directory)}")


def new_database(directory: Path) -> Database:
    """The same, made with its schema and no rows."""
    path_in(directory).parent.mkdir(parents=True)
    database = database_in(directory)
    migrate(database)
    return database


def publish(database: Database, count: int) -> float:
    """Queue so many tasks through the Store, in batches; rows per second."""
    store = Session(database)
    started = time.perf_counter()
    for first in range(0, count, ROWS_PER_COMMIT):
        with store.transaction():
            insert(store.connection, [_task() for _ in range(min(ROWS_PER_COMMIT, count - first))])
    seconds = time.perf_counter() - started
    store.close()
    return count / seconds


def _task() -> Task:
    now = time.time()
    return Task(
        id=str(uuid7()),
        queue=QUEUE,
        action="sum",
        data=orjson.dumps({"numbers": NUMBERS}).decode(),
        max_attempts=_MAX_ATTEMPTS,
        run_at=now,
        created_at=int(now),
        rank=now,
    )


class Seen:
    """What a running server has written, seen through a read-only connection of one's own."""

    def __init__(self, directory: Path) -> None:
        """Open the file of the server that runs in the directory."""
        uri = f"{path_in(directory).as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def newest(self) -> int:
        """The number of the newest row, which is how many there are."""
        return self._number("SELECT coalesce(max(seq), 0) FROM tasks")

    def created_at(self, row: int) -> int:
        """When the task of this row was published, whole Unix seconds."""
        return self._number("SELECT created_at FROM tasks WHERE seq = ?", row)

    def completed(self, after: int = 0) -> int:
        """How many tasks behind this row are done, when all up to it are.

        From the counts that are kept: to go through the rows again and again, as many as there may
        be, would be felt in what is measured.
        """
        return self._number("SELECT coalesce(sum(completed), 0) FROM counts") - after

    def wait_for(self, count: int, after: int) -> int:
        """How many behind this row are done, as soon as it is as many as that.

        Raises:
            TimeoutError: For too long, none was done.
        """
        seen, deadline = 0, time.monotonic() + DEADLINE_SECONDS
        while (completed := self.completed(after)) < count:
            now = time.monotonic()
            if completed > seen:
                seen, deadline = completed, now + DEADLINE_SECONDS
            if now > deadline:
                message = f"{completed} of {count} tasks are done, and no more for a long time"
                raise TimeoutError(message)
            time.sleep(_POLL_SECONDS)
        return completed

    def _number(self, query: str, *parameters: int) -> int:
        return int(self._connection.execute(query, parameters).fetchone()[0])
