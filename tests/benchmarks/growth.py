"""Fills a SQLite file with tasks in a moment, as they are after much use."""

import time

import sqlalchemy as sa

from task_queue.actors.store.database import Database
from task_queue.actors.tasks.states import Status
from tests.benchmarks.system import NUMBERS

BYTES_PER_ROW = 400
"""What a row may take of the disk; measured 212, indexes included, and the journal beside it."""
ROWS_AT_ONCE = 100_000
_PER_SECOND = 1_000
"""How fast they were published, by their times."""

_FILL = sa.text(
    "WITH RECURSIVE number (n) AS"
    " (SELECT :first UNION ALL SELECT n + 1 FROM number WHERE n < :last)"
    " INSERT INTO tasks (id, queue, action, data, status, result, priority, attempt, losses,"
    " max_attempts, run_at, created_at, started_at, processed_at)"
    # In order of time, as real ids are, and before all real ones.
    " SELECT printf('00000000-0000-7000-8000-%012x', n), 'tasks', 'sum', :data, :status, :result,"
    " 0, :attempt, 0, 5, second, second, iif(:done, second, NULL), iif(:done, second, NULL)"
    " FROM (SELECT n, :now - (:count - n) / :per_second AS second FROM number)"
)


def fill(database: Database, status: Status, count: int) -> None:
    """Add so many tasks in this state, `queued` or `completed`, to an empty table."""
    done = status is Status.COMPLETED
    row = {
        "data": f'{{"numbers":[{",".join(map(str, NUMBERS))}]}}',
        "status": status.value,
        "result": f'{{"output":{sum(NUMBERS)}}}' if done else None,
        "attempt": int(done),
        "done": done,
        "now": int(time.time()),
        "count": count,
        "per_second": _PER_SECOND,
    }
    with database.engine().connect() as connection:
        for first in range(1, count + 1, ROWS_AT_ONCE):
            last = min(first + ROWS_AT_ONCE - 1, count)
            with connection.begin():
                connection.execute(_FILL, {**row, "first": first, "last": last})
