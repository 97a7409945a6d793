"""The tables, as they are at the newest migration.

The tutorial's six columns are `id`, `payload` (here `action` and `data`), `status`, `result`,
`created_at` and `processed_at`; the others carry what is promised beyond it.
"""

from typing import Any

import sqlalchemy as sa

from actors.task import Status

metadata = sa.MetaData()

tasks = sa.Table(
    "tasks",
    metadata,
    # Row number in order of publishing: what is claimed next, and what a page is cut by.
    sa.Column(
        "seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True
    ),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    # JSON as text on both databases: passed through unparsed, and the same to the letter.
    sa.Column("data", sa.Text, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("result", sa.Text),
    sa.Column("error", sa.Text),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False),
    sa.Column("max_attempts", sa.Integer, nullable=False),
    sa.Column("run_at", sa.Double, nullable=False),
    sa.Column("lease_id", sa.BigInteger),
    sa.Column("leased_until", sa.Double),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("started_at", sa.BigInteger),
    sa.Column("processed_at", sa.BigInteger),
)


def in_state(status: Status) -> sa.ColumnElement[bool]:
    """The condition that a task is in this state.

    A literal, not a parameter: only so do both databases see that a partial index fits.
    """
    return tasks.c.status == sa.literal_column(f"'{status.value}'")


is_suspect = tasks.c.losses > sa.literal_column("0")
"""The condition that a former attempt was lost: see `ClaimedTask.is_suspect`."""


def _partial(
    name: str, column: sa.Column[Any], status: Status, *further: sa.ColumnElement[bool]
) -> sa.Index:
    condition = sa.and_(in_state(status), *further)
    return sa.Index(name, column, sqlite_where=condition, postgresql_where=condition)


# One small index per state instead of one large one over all: a row is in exactly one of them, so
# finished tasks, however many, cost the hot states nothing. All by `seq`, the order of claims and
# pages; not by `leased_until`, since few tasks run at a time and renewing should touch no index.
_partial("tasks_queued", tasks.c.seq, Status.QUEUED)
_partial("tasks_suspects", tasks.c.seq, Status.QUEUED, is_suspect)
_partial("tasks_scheduled", tasks.c.seq, Status.SCHEDULED)
_partial("tasks_due", tasks.c.run_at, Status.SCHEDULED)
_partial("tasks_running", tasks.c.seq, Status.RUNNING)
_partial("tasks_completed", tasks.c.seq, Status.COMPLETED)
_partial("tasks_dead", tasks.c.seq, Status.DEAD)
_partial("tasks_cancelled", tasks.c.seq, Status.CANCELLED)
