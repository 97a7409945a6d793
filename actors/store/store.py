"""The database as the actors see it: one connection, and a method for each thing to be done."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from task_queue.actors.errors import BadRowError, QueryFailedError, StoreUnavailableError
from task_queue.actors.store import rate_limit, statements
from task_queue.actors.store.database import Database
from task_queue.actors.store.prepared import Prepared, PreparedRows
from task_queue.actors.store.schema import tasks
from task_queue.actors.tasks.claim import PLAIN_TERMS, ClaimedTask, Lease, Terms
from task_queue.actors.tasks.settlement import EXPIRED, Failure, Settlement
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Task

_RETRYABLE_SQLSTATE_CLASS = "40"
"""PostgreSQL rolled the transaction back because of a neighbour: a deadlock, a serialization."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimant:
    """Who claims, and on what terms.

    Attributes:
        queue: Whose tasks.
        lease_id: What is written into the rows.
        worker: Which process claims.
        now: When, Unix seconds.
        leased_until: When the leases lapse unless renewed, Unix seconds.
        rate_limit: How many starts per second the queue allows; 0: any number.
    """

    queue: str
    lease_id: int
    worker: str
    now: float
    leased_until: float
    rate_limit: float = 0.0


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
        self._driver_error: type[Exception] = dialect.loaded_dbapi.Error
        self._insert_plain = PreparedRows(
            statements.INSERT_PLAIN, dialect, statements.PLAIN_ATTRIBUTES
        )
        self._insert = PreparedRows(statements.INSERT, dialect, statements.INSERT_ATTRIBUTES)
        self._complete = PreparedRows(statements.COMPLETE, dialect, statements.COMPLETE_ATTRIBUTES)
        self._settle = PreparedRows(statements.SETTLE, dialect, statements.SETTLE_ATTRIBUTES)
        self._claim = Prepared(statements.CLAIM, dialect)
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
            with self.connection.begin_nested():
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
        plain = all(row.is_new_and_plain for row in rows)
        insert = self._insert_plain if plain else self._insert
        self._say(insert.text, insert.parameters(rows), many=True)

    def claim(self, claimant: Claimant, *, limit: int, free: int) -> tuple[list[ClaimedTask], bool]:
        """Lease the next ready tasks of the queue, by rank, and count an attempt for each.

        Suspects are left to `claim_suspect`; a paused queue has no ready tasks. What has expired
        becomes `dead` instead.

        Args:
            claimant: Who claims.
            limit: At most so many.
            free: How many consumers are free: a task that must not wait is taken only among the
                first so many, and nothing behind one that cannot be taken.

        Returns:
            The tasks in the order in which they are to run, and whether there may be more.
        """
        if claimant.rate_limit:
            limit = min(limit, self._allowed(claimant))
            if limit == 0:
                return [], False  # at the next tick
        rows = self._leased(claimant, limit)
        claimed = self._startable(rows, claimant.now)
        taken = next(
            (i for i, task in enumerate(claimed) if i >= free and task.must_not_wait), len(claimed)
        )
        if given_back := claimed[taken:]:
            self._put(given_back, Status.QUEUED)
        if claimant.rate_limit:
            rate_limit.take(self.connection, claimant.queue, taken)
        return claimed[:taken], len(rows) == limit or bool(given_back)

    def claim_suspect(self, claimant: Claimant) -> ClaimedTask | None:
        """Lease the first ready suspect of the queue, as `claim` does; None if there is none."""
        if claimant.rate_limit and not self._allowed(claimant):
            return None
        rows = self.connection.execute(
            statements.CLAIM_SUSPECT, _claim_parameters(claimant, at_most=1)
        ).all()
        claimed = self._startable(rows, claimant.now)
        if claimant.rate_limit:
            rate_limit.take(self.connection, claimant.queue, len(claimed))
        return claimed[0] if claimed else None

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
        completed = [each for each in in_order if each.status is Status.COMPLETED]
        if recorded := [
            each for each in in_order if each.failure is not None or each.stderr is not None
        ]:
            self._record(recorded)
        written = self._say_for(self._complete, completed) if completed else 0
        if len(completed) < len(in_order):
            others = [each for each in in_order if each.status is not Status.COMPLETED]
            written += self._say_for(self._settle, others)
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
            if self.connection.execute(
                statements.RENEW,
                {
                    "held_id": lease.task_id,
                    "held_lease_id": lease.lease_id,
                    "new_leased_until": leased_until,
                },
            ).rowcount
            == 0
        ]

    def report(self, lease: Lease, fraction: float, message: str | None) -> None:
        """Keep how far a task is, if the lease is still held."""
        self.connection.execute(
            statements.REPORT,
            {
                "held_id": lease.task_id,
                "held_lease_id": lease.lease_id,
                "fraction": fraction,
                "message": message,
            },
        )

    def promote(self, *, queue: str, now: float, keys_are_limited: bool) -> list[str | None]:
        """Make scheduled tasks whose time has come ready, at most `statements.PROMOTE_LIMIT`.

        Those with a key, where keys are limited, become blocked: see `actors.store.concurrency`.

        Returns:
            The key of each, or None.
        """
        parameters = {"queue_name": queue, "now": now, "keys_are_limited": keys_are_limited}
        return list(self.connection.scalars(statements.PROMOTE, parameters))

    def lapsed(self, *, queue: str, now: float) -> tuple[list[ClaimedTask], list[Lease]]:
        """The running tasks whose lease ended before the given moment, oldest first.

        And the leases of those that somebody asked to cancel. As many as their workers had
        claimed, which `prefetch` bounds.
        """
        rows = self.connection.execute(statements.LAPSED, {"queue_name": queue, "now": now}).all()
        lapsed = [_claimed(row[:-2]) for row in rows if row.leased_until <= now]
        cancelling = [Lease(row.id, row.lease_id) for row in rows if row.cancel_requested_at]
        return lapsed, cancelling

    def is_paused(self, queue: str) -> bool:
        """Whether the queue is paused."""
        return bool(self.connection.scalar(statements.PAUSED, {"queue_name": queue}))

    @property
    def connection(self) -> sa.Connection:
        """The connection, inside a transaction."""
        if self._open is None:
            message = "statements belong inside a transaction"
            raise RuntimeError(message)
        return self._open

    @contextmanager
    def asking(self) -> Iterator[sa.Connection]:
        """The connection for a query; tells one that fails from a database that is not there.

        Raises:
            QueryFailedError: The database is there but could not answer.
        """
        try:
            yield self.connection
        except (sa.exc.ProgrammingError, sa.exc.OperationalError) as error:
            # SQLite says "no such table" with the error class of "disk full"; its code differs.
            code = getattr(error.orig, "sqlite_errorcode", None)
            if isinstance(error, sa.exc.OperationalError) and code != sqlite3.SQLITE_ERROR:
                raise
            raise QueryFailedError(_reason(error)) from error

    def _allowed(self, claimant: Claimant) -> int:
        return rate_limit.allowed(
            self.connection, claimant.queue, claimant.rate_limit, claimant.now
        )

    def _leased(self, claimant: Claimant, limit: int) -> Sequence[Sequence[Any]]:
        parameters = self._claim.parameters(**_claim_parameters(claimant, at_most=limit))
        return self._say(self._claim.text, parameters)[0]

    def _startable(self, rows: Sequence[Any], now: float) -> list[ClaimedTask]:
        """The claimed tasks in order, without those that it is too late to start."""
        claimed = [_claimed(row) for row in sorted(rows)]  # by rank and row number
        if all(task.terms is PLAIN_TERMS for task in claimed):
            return claimed
        if expired := [task for task in claimed if task.has_expired(now)]:
            self._put(expired, Status.DEAD, error=EXPIRED, processed_at=int(now))
        return [task for task in claimed if task not in expired]

    def _put(self, claimed: Sequence[ClaimedTask], status: Status, **columns: object) -> None:
        """Undo the claim and put the tasks into this state."""
        self.connection.execute(
            sa.update(tasks)
            .where(tasks.c.id.in_([task.lease.task_id for task in claimed]))
            .values(
                status=status.value,
                attempt=tasks.c.attempt - 1,
                lease_id=None,
                leased_until=None,
                started_at=None,
                worker=None,
                **columns,
            )
        )

    def _say_for(self, prepared: PreparedRows, rows: Sequence[object]) -> int:
        """Say the statement for each of the rows; how many it found."""
        return self._say(prepared.text, prepared.parameters(rows), many=True)[1]

    def _say(
        self,
        text: str,
        parameters: Any,  # noqa: ANN401 - one row's, or those of many
        *,
        many: bool = False,
    ) -> tuple[Sequence[Sequence[Any]], int]:
        """Say a prepared statement straight to the driver: the rows it returns, and their count.

        Past SQLAlchemy's own execution, which takes 10 µs a statement, as much as SQLite needs for
        a few rows; its errors are SQLAlchemy's all the same.
        """
        cursor = self.connection.connection.cursor()
        try:
            if many:
                cursor.executemany(text, parameters)
            else:
                cursor.execute(text, parameters)
            return cursor.fetchall() if cursor.description else (), cursor.rowcount
        except self._driver_error as error:
            raise sa.exc.DBAPIError.instance(
                text, None, error, self._driver_error, dialect=self._engine.dialect
            ) from error
        finally:
            cursor.close()  # or a connection that is thrown away would keep its locks

    def _record(self, settlements: Sequence[Settlement]) -> None:
        rows = []
        for each in settlements:
            ending = each.failure or Failure("", Outcome.COMPLETED)
            rows.append(
                {
                    "held_id": each.lease.task_id,
                    "held_lease_id": each.lease.lease_id,
                    "started": each.started_at,
                    "ended": each.ended_at,
                    "outcome_name": ending.outcome.value,
                    "why": ending.error,
                    "where": ending.traceback,
                    "said": each.stderr,
                }
            )
        self.connection.execute(statements.RECORD, rows)


def _claim_parameters(claimant: Claimant, *, at_most: int) -> dict[str, object]:
    return {
        "queue_name": claimant.queue,
        "at_most": at_most,
        "new_lease_id": claimant.lease_id,
        "new_leased_until": claimant.leased_until,
        "new_worker": claimant.worker,
        "now": claimant.now,
    }


def _claimed(row: Sequence[Any]) -> ClaimedTask:
    _, _, task_id, lease_id, action, data, attempt, max_attempts, losses = row[:_TERMS]
    terms = PLAIN_TERMS if row[_TERMS:] == _PLAIN else Terms(*row[_TERMS:])
    return ClaimedTask(Lease(task_id, lease_id), action, data, attempt, max_attempts, losses, terms)


_TERMS = 9
"""Where in a claimed row its terms begin."""
_PLAIN = (None, None, None, 0, None)


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """What the database said, in one line, without the statement and its parameters."""
    original = getattr(error, "orig", None) or error
    return next(iter(str(original).strip().splitlines()), type(original).__name__)
