"""Fills a SQLite file with tasks of all kinds, as whoever runs a large queue may find it."""

import time

import sqlalchemy as sa

from task_queue.actors.store.database import Database

BYTES_PER_ROW = 450
"""What a row may take of the disk; measured 292, indexes included, and the journal beside it."""
ROWS_AT_ONCE = 200_000
GROUPS = 10
"""How many errors the dead tasks have, each of five in a thousand tasks."""
_SPREAD_SECONDS = 604_800
"""Over how long they were published: what is finished is kept for a week."""

# Of a hundred tasks five wait, on a queue that is paused, five are dead, and all others are done.
_FILL = sa.text(
    "WITH RECURSIVE number (n) AS"
    " (SELECT :first UNION ALL SELECT n + 1 FROM number WHERE n < :last)"
    " INSERT INTO tasks (id, queue, action, data, status, result, error, error_group, priority,"
    " attempt, losses, max_attempts, run_at, created_at, started_at, processed_at)"
    " SELECT printf('00000000-0000-7000-8000-%012x', n),"
    " iif(status = 'queued', 'paused', 'tasks'), 'sum', json_object('user', n), status,"
    " iif(status = 'completed', json_object('output', n), NULL),"
    " iif(status = 'dead', 'ValueError: no ' || letter || ' ' || n, NULL),"
    " iif(status = 'dead', 'ValueError: no ' || letter || ' #', NULL),"
    " 0, iif(status = 'queued', 0, 1), 0, 5, second, second,"
    " iif(status = 'queued', NULL, second), iif(status = 'queued', NULL, second)"
    " FROM (SELECT n, :now - (:count - n) * :spread / :count AS second,"
    " CASE WHEN n % 100 < 5 THEN 'queued' WHEN n % 100 < 10 THEN 'dead' ELSE 'completed' END"
    " AS status, char(65 + n / 100 % :groups) AS letter FROM number)"
)
_PAUSE = sa.text(
    "INSERT INTO queues (name, paused, tokens, refilled_at) VALUES ('paused', true, 1, 0)"
)


def crowd(database: Database, count: int) -> None:
    """Add so many tasks to an empty table, of the queues `tasks` and `paused`."""
    row = {"now": int(time.time()), "count": count, "spread": _SPREAD_SECONDS, "groups": GROUPS}
    with database.engine().connect() as connection:
        connection.execute(_PAUSE)
        connection.commit()
        for first in range(1, count + 1, ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE - 1, count)
            with connection.begin():
                connection.execute(_FILL, {**row, "first": first, "last": last})
