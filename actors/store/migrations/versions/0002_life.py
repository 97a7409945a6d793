"""A task's whole life: queues, options, attempts, schedules, and counts that are kept."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
rewrites = True

_COUNTS = ("scheduled", "blocked", "active", "completed", "dead", "cancelled", "bytes")

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_OLD_INDEXES = (
    "tasks_queued",
    "tasks_suspects",
    "tasks_scheduled",
    "tasks_due",
    "tasks_running",
    "tasks_completed",
    "tasks_dead",
    "tasks_cancelled",
)
_CLAIMED = "OLD.status = 'queued' AND NEW.status = 'running'"
_UNFINISHED = "processed_at IS NULL"
_INDEXES = (
    ("tasks_by_state", ["status", "queue", "created_at", "seq"], None, False),
    ("tasks_ready", ["queue", "rank", "seq"], "status = 'queued'", False),
    ("tasks_suspects", ["queue", "rank", "seq"], "status = 'queued' AND losses > 0", False),
    ("tasks_due", ["queue", "run_at"], "status = 'scheduled'", False),
    (
        "tasks_keys",
        ["queue", "status", "key", "rank"],
        f'"key" IS NOT NULL AND {_UNFINISHED}',
        False,
    ),
    (
        "tasks_unique",
        ["queue", "unique_key"],
        f"unique_key IS NOT NULL AND {_UNFINISHED}",
        True,
    ),
    ("tasks_unique_key", ["unique_key", "created_at", "seq"], "unique_key IS NOT NULL", False),
    ("tasks_occurrence", ["occurrence"], "occurrence IS NOT NULL", True),
    ("tasks_expiring", ["expires_at"], f"expires_at IS NOT NULL AND {_UNFINISHED}", False),
    (
        "tasks_kept",
        ["keep_result_seconds", "processed_at"],
        "keep_result_seconds IS NOT NULL AND processed_at IS NOT NULL",
        False,
    ),
    ("tasks_created", ["created_at", "seq"], None, False),
    ("tasks_action", ["action", "created_at", "seq"], None, False),
)


def upgrade() -> None:
    """Add columns, tables, indexes and triggers; count what is there."""
    for index in _OLD_INDEXES:
        op.drop_index(index, "tasks")
    _add_columns()
    _create_tables()
    # Unfinished tasks keep their order; finished ones are never claimed again by it, unless they
    # are redriven, which is when they get a rank.
    op.execute("UPDATE tasks SET rank = created_at WHERE processed_at IS NULL")
    for name, columns, condition, unique in _INDEXES:
        where = None if condition is None else sa.text(condition)
        op.create_index(
            name, "tasks", columns, unique=unique, sqlite_where=where, postgresql_where=where
        )
    _count()


def _add_columns() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("tasks", "started_at", type_=sa.Double)
    for column in (
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
    ):
        op.add_column("tasks", column)


def _create_tables() -> None:
    op.create_table(
        "attempts",
        sa.Column("seq", _ROW_NUMBER, sa.Identity(), primary_key=True),
        sa.Column("task_id", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("started_at", sa.Double),
        sa.Column("ended_at", sa.Double, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("traceback", sa.Text),
    )
    op.create_index("attempts_task_id", "attempts", ["task_id"])
    op.create_table(
        "queues",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("paused", sa.Boolean, nullable=False),
        sa.Column("tokens", sa.Double, nullable=False),
        sa.Column("refilled_at", sa.Double, nullable=False),
    )
    op.create_table(
        "counts",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in _COUNTS),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "schedules",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("cron", sa.Text, nullable=False),
        sa.Column("timezone", sa.Text, nullable=False),
        sa.Column("missed", sa.Text, nullable=False),
        sa.Column("task", sa.Text, nullable=False),
        sa.Column("configured", sa.Boolean, nullable=False),
        sa.Column("next_at", sa.Double, nullable=False),
        sa.Column("last_at", sa.Double),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("receipts", sa.Text, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])


def _count() -> None:
    """Count the rows there are, and have every change to them counted from now on."""
    op.execute(
        f"INSERT INTO counts (queue, slot, {', '.join(_COUNTS)})"  # noqa: S608 - all made here
        f" SELECT queue, 0, {', '.join(f'sum({each})' for each in _amounts('tasks'))}"
        " FROM tasks GROUP BY queue"
    )
    if op.get_bind().dialect.name == "sqlite":
        _count_on_sqlite()
    else:
        _count_on_postgresql()


def _amounts(row: str) -> list[str]:
    """What one row adds to each count, as SQL.

    No list of states: for one of more than two SQLite builds a table, at every row.
    """
    number, size = "({})", "length(CAST({}.data AS BLOB))"
    if op.get_bind().dialect.name == "postgresql":
        number, size = "CAST({} AS integer)", "octet_length({}.data)"
    states = {name: f"{row}.status = '{name}'" for name in _COUNTS}
    states["active"] = f"{row}.status = 'queued' OR {row}.status = 'running'"
    amounts = {name: number.format(f"({state})") for name, state in states.items()}
    amounts["bytes"] = f"CASE WHEN {row}.{_UNFINISHED} THEN {size.format(row)} ELSE 0 END"
    return list(amounts.values())


def _changed() -> list[str]:
    before, after = _amounts("OLD"), _amounts("NEW")
    return [f"{new} - {old}" for old, new in zip(before, after, strict=True)]


def _count_on_sqlite() -> None:
    """One trigger for each event: even one whose condition does not hold takes its time."""
    for event, of, row, amounts, condition in (
        ("INSERT", "", "NEW", _amounts("NEW"), ""),
        ("UPDATE", " OF status", "NEW", _changed(), f" WHEN (NOT ({_CLAIMED}))"),
        ("DELETE", "", "OLD", [f"-{each}" for each in _amounts("OLD")], ""),
    ):
        changes = [
            f"{name} = {name} + {amount}" for name, amount in zip(_COUNTS, amounts, strict=True)
        ]
        op.execute(
            f"CREATE TRIGGER tasks_count_{event.lower()} AFTER {event}{of} ON tasks"  # noqa: S608
            f" FOR EACH ROW{condition} BEGIN"
            f" UPDATE counts SET {', '.join(changes)} WHERE queue = {row}.queue AND slot = 0;"
            # The first row of a queue.
            f" INSERT INTO counts (queue, slot, {', '.join(_COUNTS)})"
            f" SELECT {row}.queue, 0, {', '.join(amounts)} WHERE changes() = 0;"
            " END"
        )


def _count_on_postgresql() -> None:
    changes = ", ".join(f"{name} = counts.{name} + excluded.{name}" for name in _COUNTS)
    for event, row, amounts, condition in (
        ("INSERT", "NEW", _amounts("NEW"), "TRUE"),
        ("UPDATE", "NEW", _changed(), f"OLD.status <> NEW.status AND NOT ({_CLAIMED})"),
        ("DELETE", "OLD", [f"-{each}" for each in _amounts("OLD")], "TRUE"),
    ):
        name = f"tasks_count_{event.lower()}"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"  # noqa: S608
            f" INSERT INTO counts (queue, slot, {', '.join(_COUNTS)})"
            f" VALUES ({row}.queue, pg_backend_pid() % 1024, {', '.join(amounts)})"
            f" ON CONFLICT (queue, slot) DO UPDATE SET {changes};"
            " RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON tasks FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION {name}()"
        )
