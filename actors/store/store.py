"""The database as the actors see it: one connection, and a method for each thing to be done."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from actors.errors import BadRowError, QueryFailedError, StoreUnavailableError
from actors.store import statements
from actors.store.connect import Database
from actors.store.prepared import Prepared, PreparedRows
from actors.store.schema import tasks
from actors.task import ClaimedTask, Lease, Settlement, Status, Task

MAX_PAGE_BYTES = 8_388_608
"""A page ends early when its data and results are longer than this: with rows of a megabyte, a
page of a thousand would not fit into memory."""
ROWS_AT_ONCE = 20
"""How many rows of a page are fetched together, and so may lie beyond its end."""

_NAMES = [column.name for column in statements.COLUMNS]

_RETRYABLE_SQLSTATE_CLASS = "40"
"""PostgreSQL rolled the transaction back because of a neighbour: a deadlock, a serialization."""


class Store:
    """One connection to the database, opened when first needed and again after it broke.

    Used by one thread only. The statements are methods that take no connection: they belong
    inside `with store.transaction():`.
    """

    def __init__(self, database: Database, *, read_only: bool = False) -> None:
        """Store which database to use, without touching it.

        Args:
            database: Where it is and how to connect.
            read_only: Whether this connection may not write.
        """
        self._engine = database.engine(read_only=read_only)
        dialect = self._engine.dialect
        self._insert = PreparedRows(statements.INSERT, dialect, statements.INSERT_ATTRIBUTES)
        self._settle = PreparedRows(statements.SETTLE, dialect, statements.SETTLE_ATTRIBUTES)
        self._claim = Prepared(statements.CLAIM, dialect)
        self._get = Prepared(statements.GET, dialect)
        self._open: sa.Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction: committed and on disk at the end of the block, or rolled back.

        Raises:
            BadRowError: The database refuses what was written; nothing of it is there. Other
                writes may be tried at once.
            StoreUnavailableError: The database is not there or cannot write. If it was the commit
                that failed, whether it took effect is unknown. The connection is thrown away.
        """
        try:
            if self._open is None:
                self._open = self._engine.connect()
            with self._open.begin():
                yield
        except (sa.exc.IntegrityError, sa.exc.DataError) as error:
            raise BadRowError(_reason(error)) from error
        except sa.exc.DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) and error.orig.sqlstate.startswith(  # type: ignore[union-attr]
                _RETRYABLE_SQLSTATE_CLASS
            ):
                raise BadRowError(_reason(error)) from error
            self.close()
            raise StoreUnavailableError(_reason(error)) from error
        except sa.exc.SQLAlchemyError as error:
            self.close()
            raise StoreUnavailableError(_reason(error)) from error

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that may fail alone.

        Raises:
            BadRowError: The database refuses this part; the transaction goes on without it.
        """
        try:
            with self._connection.begin_nested():
                yield
        except (sa.exc.IntegrityError, sa.exc.DataError) as error:
            raise BadRowError(_reason(error)) from error

    def close(self) -> None:
        """Close the connection, if it is open; the next transaction opens a new one."""
        if self._open is not None:
            connection, self._open = self._open, None
            try:
                connection.invalidate()
            finally:
                connection.close()

    def insert(self, rows: Sequence[Task]) -> None:
        """Add the tasks, in this order."""
        self._connection.exec_driver_sql(self._insert.text, self._insert.parameters(rows))

    def claim(  # noqa: PLR0913 - a claim's terms, all of them
        self, *, queue: str, limit: int, free: int, lease_id: int, now: float, leased_until: float
    ) -> tuple[list[ClaimedTask], bool]:
        """Lease the next ready tasks of the queue, oldest first, and count an attempt for each.

        Suspects are left to `claim_suspect`.

        Args:
            queue: Whose tasks.
            limit: At most so many.
            free: How many consumers are free: a task that must not wait is taken only among the
                first so many, and nothing behind one that cannot be taken.
            lease_id: What is written into the rows.
            now: Unix seconds.
            leased_until: Unix seconds.

        Returns:
            The tasks in the order in which they are to run, and whether there may be more.
        """
        parameters = self._claim.parameters(
            queue_name=queue,
            at_most=limit,
            new_lease_id=lease_id,
            new_leased_until=leased_until,
            now=int(now),
        )
        rows = self._connection.exec_driver_sql(self._claim.text, parameters).all()
        claimed = [_claimed(row) for row in sorted(rows)]  # by row number, which comes first
        taken = next(
            (i for i, task in enumerate(claimed) if i >= free and task.must_not_wait), len(claimed)
        )
        if given_back := claimed[taken:]:
            self._connection.execute(
                sa.update(tasks)
                .where(tasks.c.id.in_([task.lease.task_id for task in given_back]))
                .values(
                    status=Status.QUEUED.value,
                    attempt=tasks.c.attempt - 1,
                    lease_id=None,
                    leased_until=None,
                )
            )
        return claimed[:taken], len(claimed) == limit or bool(given_back)

    def claim_suspect(
        self, *, queue: str, lease_id: int, now: float, leased_until: float
    ) -> ClaimedTask | None:
        """Lease the oldest ready suspect of the queue, as `claim` does; None if there is none."""
        row = self._connection.execute(
            statements.CLAIM_SUSPECT,
            {
                "queue_name": queue,
                "at_most": 1,
                "new_lease_id": lease_id,
                "new_leased_until": leased_until,
                "now": int(now),
            },
        ).one_or_none()
        return None if row is None else _claimed(row)

    def settle(self, settlements: Sequence[Settlement]) -> list[Lease]:
        """Write what became of claimed tasks, each only if its lease is still held.

        Returns:
            The leases that are not held any more; of those nothing was written. Only one
            settlement alone can be told so.

        Raises:
            BadRowError: Some of several leases are not held any more. The transaction must be
                rolled back and each settled alone: a count over all does not say which.
        """
        # One order on every node, so that two of them never wait for each other.
        in_order = sorted(settlements, key=attrgetter("lease.task_id"))
        written = self._connection.exec_driver_sql(
            self._settle.text, self._settle.parameters(in_order)
        ).rowcount
        if written == len(settlements):
            return []
        if len(settlements) > 1:
            message = f"{len(settlements) - written} of {len(settlements)} leases are not held"
            raise BadRowError(message)
        return [settlements[0].lease]

    def renew(self, leases: Sequence[Lease], leased_until: float) -> list[Lease]:
        """Let the leases last until the given moment (Unix seconds).

        Returns:
            Those that are not held any more.
        """
        return [
            lease
            for lease in sorted(leases, key=lambda lease: lease.task_id)
            if self._connection.execute(
                statements.RENEW,
                {
                    "held_id": lease.task_id,
                    "held_lease_id": lease.lease_id,
                    "new_leased_until": leased_until,
                },
            ).rowcount
            == 0
        ]

    def promote(self, *, queue: str, now: float) -> int:
        """Make scheduled tasks whose time has come ready, at most `statements.PROMOTE_LIMIT`.

        Returns:
            How many.
        """
        return len(
            self._connection.execute(statements.PROMOTE, {"queue_name": queue, "now": now}).all()
        )

    def lapsed(self, *, queue: str, now: float) -> list[ClaimedTask]:
        """The running tasks whose lease ended before the given moment, oldest first.

        As many as their workers had claimed, which `prefetch` bounds.
        """
        rows = self._connection.execute(statements.LAPSED, {"queue_name": queue, "now": now}).all()
        return [_claimed(row) for row in rows]

    def list_tasks(
        self, *, limit: int, status: Status | None = None, before: int | None = None
    ) -> tuple[list[Task], int | None]:
        """A page of tasks, newest first.

        Args:
            limit: How many it holds at most.
            status: Only those in this state.
            before: Only those older than this row number.

        Returns:
            The tasks, and the row number of the last one if there are older ones; fewer than
            asked for when they are long (`MAX_PAGE_BYTES`).
        """
        query = statements.page(limit=limit + 1, status=status, before=before)
        tasks_of_page: list[Task] = []
        length, last = 0, None
        options = {"yield_per": ROWS_AT_ONCE}
        with (
            self._asking(),
            self._connection.execute(query, execution_options=options) as rows,
        ):
            for seq, *columns in rows:
                if len(tasks_of_page) == limit or length > MAX_PAGE_BYTES:
                    return tasks_of_page, last
                task = _task(columns)
                tasks_of_page.append(task)
                length, last = length + len(task.data) + len(task.result or ""), seq
        return tasks_of_page, None

    def get(self, task_id: str) -> Task | None:
        """The task with this id, if there is one."""
        with self._asking():
            row = self._connection.exec_driver_sql(
                self._get.text, self._get.parameters(task_id=task_id)
            ).first()
        return None if row is None else _task(tuple(row))

    def oldest_ready(self, queue: str) -> float | None:
        """Since when the next task of the queue could run, Unix seconds; None if none is ready."""
        with self._asking():
            row = self._connection.execute(statements.OLDEST_READY, {"queue_name": queue}).first()
        return None if row is None else float(row[0])

    def counts(self) -> dict[Status, int]:
        """How many tasks there are in each state; reads every row's state."""
        with self._asking():
            rows = self._connection.execute(statements.COUNT).all()
        counted = {Status(row[0]): row[1] for row in rows}
        return {status: counted.get(status, 0) for status in Status}

    @property
    def _connection(self) -> sa.Connection:
        if self._open is None:
            message = "statements belong inside a transaction"
            raise RuntimeError(message)
        return self._open

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Tells a query that fails from a database that is not there."""
        try:
            yield
        except (sa.exc.ProgrammingError, sa.exc.OperationalError) as error:
            # SQLite says "no such table" with the error class of "disk full"; its code differs.
            code = getattr(error.orig, "sqlite_errorcode", None)
            if isinstance(error, sa.exc.OperationalError) and code != sqlite3.SQLITE_ERROR:
                raise
            raise QueryFailedError(_reason(error)) from error


def _claimed(row: Sequence[Any]) -> ClaimedTask:
    _, task_id, lease_id, action, data, attempt, max_attempts, losses = row
    return ClaimedTask(Lease(task_id, lease_id), action, data, attempt, max_attempts, losses)


def _task(columns: Sequence[Any]) -> Task:
    values = dict(zip(_NAMES, columns, strict=True))
    values["status"] = Status(values["status"])
    return Task(**values)


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """What the database said, in one line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return next(iter(str(original).strip().splitlines()), type(original).__name__)
