"""For whoever runs it: figures, nodes, groups of dead tasks, a secret to sign sessions with."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
rewrites = True

_AT_ONCE = 1_000
"""How many dead tasks are read together."""
_UUID = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_MEMBER = """
    CREATE FUNCTION task_queue_member(data text, path text[]) RETURNS jsonb
    LANGUAGE plpgsql IMMUTABLE STRICT AS $$
    DECLARE
        value jsonb;
        name text;
    BEGIN
        value := data::jsonb;
        FOREACH name IN ARRAY path LOOP
            -- Of objects alone: a name is no place in a list.
            value := value -> name;
        END LOOP;
        RETURN value;
    EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
        RETURN NULL;  -- no JSON, or none that PostgreSQL can hold
    END $$
"""
"""Returns a member of the data, NULL if it has none."""
_KEY = "queue, action, error_group, slot"
_VALUES = f"{_KEY}, number, first_at, last_at"


def upgrade() -> None:
    """Add tables and a column; group the dead tasks, and let triggers do it from now on."""
    _create_tables()
    op.add_column("tasks", sa.Column("error_group", sa.Text))
    _group()
    where = sa.text("error_group IS NOT NULL")
    op.create_index(
        "tasks_dead_group",
        "tasks",
        ["error_group", "queue", "action", "created_at", "seq"],
        sqlite_where=where,
        postgresql_where=where,
    )
    has_key = sa.text('"key" IS NOT NULL')
    op.create_index(
        "tasks_by_key",
        "tasks",
        ["key", "queue", "created_at", "seq"],
        sqlite_where=has_key,
        postgresql_where=has_key,
    )
    op.execute(
        f"INSERT INTO dead_groups ({_VALUES})"  # noqa: S608 - all made here
        " SELECT queue, action, error_group, 0, count(*), min(processed_at), max(processed_at)"
        " FROM tasks WHERE status = 'dead' GROUP BY queue, action, error_group"
    )
    if op.get_bind().dialect.name == "sqlite":
        _count_on_sqlite()
    else:
        _count_on_postgresql()
        op.execute(_MEMBER)


def _create_tables() -> None:
    op.create_table(
        "dead_groups",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("action", sa.Text, primary_key=True),
        sa.Column("error_group", sa.Text, primary_key=True),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("first_at", sa.BigInteger),
        sa.Column("last_at", sa.BigInteger),
        sqlite_with_rowid=False,
    )
    numbers = ("published", "started", "completed", "failed", "dead")
    seconds = ("wait_seconds", "run_seconds")
    op.create_table(
        "figures",
        sa.Column("queue", sa.Text, primary_key=True),
        sa.Column("minute", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger, nullable=False, server_default="0") for name in numbers),
        *(sa.Column(name, sa.Double, nullable=False, server_default="0") for name in seconds),
        sqlite_with_rowid=False,
    )
    op.create_index("figures_minute", "figures", ["minute"])
    op.create_table(
        "nodes",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", sa.Double, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("draining", sa.Boolean, nullable=False),
        sa.Column("queues", sa.Text, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _group() -> None:
    """Give each dead task its group."""
    connection, last = op.get_bind(), 0
    find = sa.text(
        "SELECT seq, error FROM tasks WHERE status = 'dead' AND seq > :last"
        " ORDER BY seq LIMIT :limit"
    )
    change = sa.text("UPDATE tasks SET error_group = :error_group WHERE seq = :seq")
    while rows := connection.execute(find, {"last": last, "limit": _AT_ONCE}).all():
        groups = [{"seq": row.seq, "error_group": _group_of(row.error or "")} for row in rows]
        connection.execute(change, groups)
        last = rows[-1].seq


def _group_of(error: str) -> str:
    """Return the error without ids and numbers."""
    text = re.sub(_UUID, "#", error[:500])
    text = re.sub(r"\w+", lambda word: "#" if re.search(r"\d", word[0]) else word[0], text)
    text = re.sub(r"#([.,:+/-]*#)+", "#", text)
    visible = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(visible.split())[:200].rstrip()


def _count_on_sqlite() -> None:
    """Rows of groups that no task is in any more are deleted at once."""
    for event, of, condition in (
        ("INSERT", "", "NEW.status = 'dead'"),
        ("UPDATE", " OF status", "(OLD.status = 'dead') <> (NEW.status = 'dead')"),
        ("DELETE", "", "OLD.status = 'dead'"),
    ):
        body = ""
        if event != "INSERT":
            group = (
                "queue = OLD.queue AND action = OLD.action"
                " AND error_group = coalesce(OLD.error_group, '') AND OLD.status = 'dead'"
            )
            body += (
                f" UPDATE dead_groups SET number = number - 1 WHERE {group};"  # noqa: S608
                f" DELETE FROM dead_groups WHERE number = 0 AND {group};"
            )
        if event != "DELETE":
            body += (
                f" INSERT INTO dead_groups ({_VALUES})"
                " SELECT NEW.queue, NEW.action, coalesce(NEW.error_group, ''), 0, 1,"
                " NEW.processed_at, NEW.processed_at WHERE NEW.status = 'dead'"
                f" ON CONFLICT ({_KEY}) DO UPDATE SET number = number + 1,"
                " first_at = coalesce(min(first_at, excluded.first_at), first_at,"
                " excluded.first_at),"
                " last_at = coalesce(max(last_at, excluded.last_at), last_at, excluded.last_at);"
            )
        op.execute(
            f"CREATE TRIGGER tasks_dead_{event.lower()} AFTER {event}{of} ON tasks"
            f" FOR EACH ROW WHEN ({condition}) BEGIN{body} END"
        )


def _count_on_postgresql() -> None:
    """Each connection counts in a slot of its own; a slot may be negative, their sums are not."""
    for event, condition in (
        ("INSERT", "NEW.status = 'dead'"),
        ("UPDATE", "(OLD.status = 'dead') <> (NEW.status = 'dead')"),
        ("DELETE", "OLD.status = 'dead'"),
    ):
        body = ""
        if event != "INSERT":
            body += (
                f" IF OLD.status = 'dead' THEN INSERT INTO dead_groups ({_VALUES})"  # noqa: S608
                " VALUES (OLD.queue, OLD.action, coalesce(OLD.error_group, ''),"
                " pg_backend_pid() % 1024, -1, NULL, NULL)"
                f" ON CONFLICT ({_KEY}) DO UPDATE SET number = dead_groups.number - 1; END IF;"
            )
        if event != "DELETE":
            body += (
                f" IF NEW.status = 'dead' THEN INSERT INTO dead_groups ({_VALUES})"  # noqa: S608
                " VALUES (NEW.queue, NEW.action, coalesce(NEW.error_group, ''),"
                " pg_backend_pid() % 1024, 1, NEW.processed_at, NEW.processed_at)"
                f" ON CONFLICT ({_KEY}) DO UPDATE SET number = dead_groups.number + 1,"
                " first_at = least(dead_groups.first_at, excluded.first_at),"
                " last_at = greatest(dead_groups.last_at, excluded.last_at); END IF;"
            )
        name = f"tasks_dead_{event.lower()}"
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN{body}"
            " RETURN NULL; END $$"
        )
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON tasks FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION {name}()"
        )
