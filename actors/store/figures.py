"""The figures of the queues: what happened on each in every minute of the last day."""

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from task_queue.actors.store.schema import figures
from task_queue.actors.store.session import insert_into
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.figures import KEPT_SECONDS, MINUTE_SECONDS, Figures, Row

STEP_MINUTES = 20
"""Of how many minutes one step deletes the figures at most."""

_KEY = ("queue", "minute", "slot")
_SUMS = [sa.func.sum(figures.c[name]).label(name) for name in Figures._fields]
_ENDS = sa.select(
    # Each by itself: SQLite finds only one end at a time by the index.
    *(sa.select(end(figures.c.minute)).scalar_subquery() for end in (sa.func.min, sa.func.max))
)
_FORGET = sa.delete(figures).where(
    figures.c.minute >= sa.bindparam("first"), figures.c.minute < sa.bindparam("end")
)


def add(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """Add what happened to what is stored.

    Args:
        connection: Inside a transaction.
        rows: By queue and minute, in this order: so two nodes never wait for each other in turns.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    new = insert_into(connection, figures).values(
        # A slot for each connection, or nodes would wait for each other.
        slot=sa.literal_column("0") if is_sqlite else sa.func.pg_backend_pid()
    )
    statement = new.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: figures.c[name] + new.excluded[name] for name in Figures._fields},
    )
    values = [{"queue": queue, "minute": at, **each._asdict()} for queue, at, each in rows]
    connection.execute(statement, values)


def forget(connection: sa.Connection, now: float) -> int:
    """Delete those that were kept long enough, and those of a clock that was ahead, some at a time.

    Returns:
        How many rows.
    """
    oldest, newest = connection.execute(_ENDS).one()
    if oldest is None:
        return 0
    since = int(now - KEPT_SECONDS) // MINUTE_SECONDS
    until = int(now + TOLERANCE_SECONDS) // MINUTE_SECONDS
    if oldest < since:
        step = {"first": oldest, "end": min(since, oldest + STEP_MINUTES)}
    elif newest > until:
        step = {"first": max(until + 1, newest - STEP_MINUTES), "end": newest + 1}
    else:
        return 0
    return connection.execute(_FORGET, step).rowcount


def by_step(
    connection: sa.Connection,
    begin: int,
    steps: int,
    minutes: int,
    queues: Collection[str] | None = None,
) -> Mapping[str, Mapping[int, Figures]]:
    """Return what happened on the queues in each step of some time, but for steps with nothing.

    Args:
        connection: Inside a transaction.
        begin: The first minute, Unix seconds divided by 60.
        steps: How many steps.
        minutes: How long each is.
        queues: The names of the queues; None: all.
    """
    step = ((figures.c.minute - begin) // minutes).label("step")
    query = (
        sa.select(figures.c.queue, step, *_SUMS)
        .where(figures.c.minute >= begin, figures.c.minute < begin + steps * minutes)
        .group_by(figures.c.queue, step)
        .order_by(figures.c.queue, step)
    )
    if queues is not None:
        query = query.where(figures.c.queue.in_(queues))
    found: dict[str, dict[int, Figures]] = {}
    for queue, number, *sums in connection.execute(query):
        # PostgreSQL returns sums of whole numbers as decimals.
        counts, seconds = map(int, sums[:5]), map(float, sums[5:])
        found.setdefault(queue, {})[int(number)] = Figures(*counts, *seconds)
    return found
