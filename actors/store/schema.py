"""The tables, as they are at the newest migration.

The tutorial's six columns are `id`, `payload` (here `action` and `data`), `status`, `result`,
`created_at` and `processed_at`; the others carry what is promised beyond it.
"""

from typing import Any

import sqlalchemy as sa

from task_queue.actors.tasks.states import Status

metadata = sa.MetaData()

_RowNumber = sa.BigInteger().with_variant(sa.Integer, "sqlite")

tasks = sa.Table(
    "tasks",
    metadata,
    # Row number in order of publishing.
    sa.Column("seq", _RowNumber, sa.Identity(), primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("queue", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    # JSON as text on both databases: passed through unparsed, unchanged to the letter.
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
    # SQLite stores fractions in it all the same, and cannot change the type of a column.
    sa.Column("started_at", sa.Double().with_variant(sa.BigInteger, "sqlite")),
    sa.Column("processed_at", sa.BigInteger),
    sa.Column("rank", sa.Double, nullable=False, server_default="0"),
    sa.Column("worker", sa.Text),
    sa.Column("ended_at", sa.Double),
    sa.Column("postponed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("cancel_requested_at", sa.Double),
    sa.Column("progress", sa.Double),
    sa.Column("progress_message", sa.Text),
    sa.Column("unique_key", sa.Text),
    sa.Column("key", sa.Text),
    sa.Column("expires_at", sa.Double),
    sa.Column("keep_result_seconds", sa.BigInteger),
    sa.Column("backoff", sa.Text),
    sa.Column("occurrence", sa.Text),
    sa.Column("timeout_seconds", sa.Double),
    # What `run_at` of a scheduled task and `leased_until` of a running one were counted from, Unix
    # seconds; null: `run_at` is what its publisher asked for. See the module `recount`.
    sa.Column("counted_from", sa.Double),
    # Whether workers over HTTP do it, and no consumer of a node.
    sa.Column("external", sa.Boolean, nullable=False, server_default=sa.false()),
    # Where to tell how it ended.
    sa.Column("callback", sa.Text),
    # The trace it was published in (W3C Trace Context).
    sa.Column("traceparent", sa.Text),
    sa.Column("tracestate", sa.Text),
    # Of a dead task: its error without ids and numbers, see `tasks.error_group`.
    sa.Column("error_group", sa.Text),
)

attempts = sa.Table(
    "attempts",
    metadata,
    # Every attempt that ended, except those that completed their task and left nothing on standard
    # error: these are in the task's own row, so that a task that goes well costs no second row.
    sa.Column("seq", _RowNumber, sa.Identity(), primary_key=True),
    sa.Column("task_id", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("started_at", sa.Double),
    sa.Column("ended_at", sa.Double, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column("traceback", sa.Text),
    sa.Column("stderr", sa.Text),
)
sa.Index("attempts_task_id", attempts.c.task_id)

queues = sa.Table(
    "queues",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False),
    # The token bucket of `rate_limit`.
    sa.Column("tokens", sa.Double, nullable=False),
    sa.Column("refilled_at", sa.Double, nullable=False),
)

counts = sa.Table(
    "counts",
    metadata,
    # Kept by triggers on `tasks`, so that they cannot disagree with the rows. On PostgreSQL every
    # connection counts in a slot of its own, or nodes would wait for each other at every commit; a
    # slot's numbers may be negative, their sums are not. `active` is queued or running: few run at
    # a time, so those are counted when asked for, and a claim changes no count. `bytes` is the size
    # of the data of all tasks that are not final.
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    *(
        sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        for name in ("scheduled", "blocked", "active", "completed", "dead", "cancelled", "bytes")
    ),
    sqlite_with_rowid=False,
)

schedules = sa.Table(
    "schedules",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    # Either a line or an interval.
    sa.Column("cron", sa.Text),
    sa.Column("timezone", sa.Text, nullable=False),
    sa.Column("missed", sa.Text, nullable=False),
    # The task to publish, as the body of a publish.
    sa.Column("task", sa.Text, nullable=False),
    # Whether it comes from the settings.
    sa.Column("configured", sa.Boolean, nullable=False),
    sa.Column("next_at", sa.Double, nullable=False),
    sa.Column("last_at", sa.Double),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("every", sa.Text),
    sa.Column("clock_forward", sa.Text),
    sa.Column("clock_back", sa.Text),
    sa.Column("expires_after_seconds", sa.Double),
    # How often `next_at` was set back.
    sa.Column("set_back", sa.Integer, nullable=False, server_default="0"),
)

own_actions = sa.Table(
    "own_actions",
    metadata,
    # All but the built-in ones that any node has ever had.
    sa.Column("name", sa.Text, primary_key=True),
    # Whether its tasks that are not final are marked as external.
    sa.Column("external", sa.Boolean, nullable=False, server_default=sa.false()),
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("fingerprint", sa.Text, nullable=False),
    # The answer to the first request: receipts as JSON.
    sa.Column("receipts", sa.Text, nullable=False),
    sa.Column("expires_at", sa.Double, nullable=False),
    # The status of the first answer, if that waited for the task's end; null: it has not left.
    sa.Column("answered", sa.Integer),
    sqlite_with_rowid=False,
)
sa.Index("idempotency_keys_expires_at", idempotency_keys.c.expires_at)

api_keys = sa.Table(
    "api_keys",
    metadata,
    # The public part of the key.
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    # SHA-256 of the whole key, in hexadecimal digits.
    sa.Column("hash", sa.Text, nullable=False),
    # JSON lists; no queues: all of them.
    sa.Column("scopes", sa.Text, nullable=False),
    sa.Column("queues", sa.Text),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.Double),
    sa.Column("revoked_at", sa.Double),
)

audit = sa.Table(
    "audit",
    metadata,
    # What was asked for with the scopes `operate` and `admin`, stored before it is done.
    sa.Column("seq", _RowNumber, sa.Identity(), primary_key=True),
    sa.Column("at", sa.Double, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    # The HTTP status that it was answered with; null: not known.
    sa.Column("status", sa.Integer),
)
sa.Index("audit_at", audit.c.at)

dead_groups = sa.Table(
    "dead_groups",
    metadata,
    # How many dead tasks have the same error, kept by triggers on `tasks`, in slots as the counts.
    sa.Column("queue", sa.Text, primary_key=True),
    sa.Column("action", sa.Text, primary_key=True),
    sa.Column("error_group", sa.Text, primary_key=True),
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    # When the first and the last of them died, whole Unix seconds; null: that is not known here.
    sa.Column("first_at", sa.BigInteger),
    sa.Column("last_at", sa.BigInteger),
    sqlite_with_rowid=False,
)

figures = sa.Table(
    "figures",
    metadata,
    # What happened on a queue within a minute, added up by the nodes once a second; for a day.
    sa.Column("queue", sa.Text, primary_key=True),
    # Unix seconds, divided by 60.
    sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
    # As with the counts, so that nodes do not wait for each other.
    sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
    # `failed` are attempts, `dead` tasks; see `tasks.figures`.
    *(
        sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        for name in ("published", "started", "completed", "failed", "dead")
    ),
    *(
        sa.Column(name, sa.Double, nullable=False, server_default="0")
        for name in ("wait_seconds", "run_seconds")
    ),
    sqlite_with_rowid=False,
)
sa.Index("figures_minute", figures.c.minute)

nodes = sa.Table(
    "nodes",
    metadata,
    # The processes that run consumers; each says every few seconds that it lives.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("started_at", sa.Double, nullable=False),
    sa.Column("seen_at", sa.Double, nullable=False),
    sa.Column("draining", sa.Boolean, nullable=False),
    # How many consumers each of its queues has: a JSON object.
    sa.Column("queues", sa.Text, nullable=False),
)

secrets = sa.Table(
    "secrets",
    metadata,
    # What all nodes sign with: drawn by the first that needs it.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)


def literal(status: Status) -> sa.ColumnElement[str]:
    """Return the state as part of a statement's text, not as a parameter."""
    return sa.literal_column(f"'{status.value}'", sa.Text)


def in_state(status: Status) -> sa.ColumnElement[bool]:
    """Return the condition that a task is in this state.

    With a literal: only so do both databases see that a partial index fits.
    """
    return tasks.c.status == literal(status)


is_suspect = tasks.c.losses > sa.literal_column("0")
"""The condition that a former attempt was lost: see `ClaimedTask.is_suspect`."""

is_final = tasks.c.processed_at.is_not(None)
"""The condition that a task is in a final state. Not by a list of states: for a list of more than
two SQLite builds a table at every row it looks at."""

is_inner = sa.not_(tasks.c.external)
"""The condition that a consumer of a node runs a task, no worker over HTTP."""

holds_unique_key = sa.and_(
    tasks.c.unique_key.is_not(None), sa.not_(is_final), tasks.c.cancel_requested_at.is_(None)
)
"""The condition that a task keeps its unique key from others in its queue. One that was asked to
stop does not: it never starts again, so a duplicate of it would be work that nobody does."""


def _partial(
    name: str, condition: sa.ColumnElement[bool], *columns: sa.Column[Any], unique: bool = False
) -> sa.Index:
    return sa.Index(
        name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition
    )


t = tasks.c
# Every change of state checks each index whose columns or condition it touches, for 0.1 µs even if
# the index does not change. So there is one index over all states, in the order of pages, and
# partial ones only for rows that must be found among very many.
sa.Index("tasks_by_state", t.status, t.queue, t.created_at, t.seq)
# The order of claims.
_ready = sa.and_(in_state(Status.QUEUED), is_inner)
_partial("tasks_ready", _ready, t.queue, t.rank, t.seq)
_partial("tasks_suspects", sa.and_(_ready, is_suspect), t.queue, t.rank, t.seq)
_partial(
    "tasks_external",
    sa.and_(in_state(Status.QUEUED), t.external),
    t.queue,
    t.action,
    t.rank,
    t.seq,
)
_partial("tasks_due", in_state(Status.SCHEDULED), t.queue, t.run_at)
_partial(
    "tasks_waits",
    sa.and_(in_state(Status.SCHEDULED), t.counted_from.is_not(None)),
    t.queue,
    t.counted_from,
)
_partial(
    "tasks_keys",
    sa.and_(t.key.is_not(None), sa.not_(is_final)),
    t.queue,
    t.status,
    t.key,
    t.rank,
)
_partial(
    "tasks_unique",
    holds_unique_key,
    t.queue,
    t.unique_key,
    unique=True,
)
_partial(
    "tasks_unique_key",
    t.unique_key.is_not(None),
    t.unique_key,
    t.queue,
    t.created_at,
    t.seq,
)
_partial("tasks_by_key", t.key.is_not(None), t.key, t.queue, t.created_at, t.seq)
_partial("tasks_occurrence", t.occurrence.is_not(None), t.occurrence, unique=True)
_partial("tasks_expiring", sa.and_(t.expires_at.is_not(None), sa.not_(is_final)), t.expires_at)
_partial(
    "tasks_kept",
    sa.and_(t.keep_result_seconds.is_not(None), is_final),
    t.keep_result_seconds,
    t.processed_at,
)
_partial(
    "tasks_dead_group",
    t.error_group.is_not(None),
    t.error_group,
    t.queue,
    t.action,
    t.created_at,
    t.seq,
)
# Pages of all states.
sa.Index("tasks_created", t.created_at, t.seq)
sa.Index("tasks_action", t.action, t.queue, t.created_at, t.seq)
del t
