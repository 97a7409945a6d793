"""For a network: keys, an audit log, external tasks, callbacks, traces, answers that wait."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add columns and tables.

    The order of claims is one of the tasks that are not external; the tasks with an action or a
    unique key are found queue by queue, as one who sees some queues alone asks for them.
    """
    for table in ("tasks", "own_actions"):
        external = sa.Column("external", sa.Boolean, nullable=False, server_default=sa.false())
        op.add_column(table, external)
    op.add_column("tasks", sa.Column("callback", sa.Text))
    op.add_column("tasks", sa.Column("traceparent", sa.Text))
    op.add_column("tasks", sa.Column("tracestate", sa.Text))
    op.add_column("idempotency_keys", sa.Column("answered", sa.Integer))
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    ready = "status = 'queued' AND " + ("external = 0" if is_sqlite else "NOT external")
    op.drop_index("tasks_ready", "tasks")
    op.drop_index("tasks_suspects", "tasks")
    by_rank = ["queue", "rank", "seq"]
    _create_index("tasks_ready", by_rank, ready)
    _create_index("tasks_suspects", by_rank, f"{ready} AND losses > 0")
    handed_out = "status = 'queued' AND " + ("external = 1" if is_sqlite else "external")
    _create_index("tasks_external", ["queue", "action", "rank", "seq"], handed_out)
    op.drop_index("tasks_action", "tasks")
    op.create_index("tasks_action", "tasks", ["action", "queue", "created_at", "seq"])
    op.drop_index("tasks_unique_key", "tasks")
    in_queue = ["unique_key", "queue", "created_at", "seq"]
    _create_index("tasks_unique_key", in_queue, "unique_key IS NOT NULL")
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("queues", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.Double),
        sa.Column("revoked_at", sa.Double),
    )
    row_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "audit",
        sa.Column("seq", row_number, sa.Identity(), primary_key=True),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("target", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
    )
    op.create_index("audit_at", "audit", ["at"])


def _create_index(name: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, "tasks", columns, sqlite_where=where, postgresql_where=where)
