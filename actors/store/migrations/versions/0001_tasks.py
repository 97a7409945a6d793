"""The table of tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INDEXES = (
    ("tasks_queued", "seq", "status = 'queued'"),
    ("tasks_suspects", "seq", "status = 'queued' AND losses > 0"),
    ("tasks_scheduled", "seq", "status = 'scheduled'"),
    ("tasks_due", "run_at", "status = 'scheduled'"),
    ("tasks_running", "seq", "status = 'running'"),
    ("tasks_completed", "seq", "status = 'completed'"),
    ("tasks_dead", "seq", "status = 'dead'"),
    ("tasks_cancelled", "seq", "status = 'cancelled'"),
)


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "tasks",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            sa.Identity(),
            primary_key=True,
        ),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
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
    for name, column, condition in _INDEXES:
        op.create_index(
            name,
            "tasks",
            [column],
            sqlite_where=sa.text(condition),
            postgresql_where=sa.text(condition),
        )
