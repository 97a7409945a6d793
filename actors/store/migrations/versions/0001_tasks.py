"""The table of tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_INDEXES = (
    ("queued", "seq"),
    ("scheduled", "run_at"),
    ("running", "leased_until"),
    ("completed", "seq"),
    ("dead", "seq"),
    ("cancelled", "seq"),
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
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("run_at", sa.Double, nullable=False),
        sa.Column("lease_id", sa.BigInteger),
        sa.Column("leased_until", sa.Double),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("processed_at", sa.BigInteger),
    )
    for status, column in _INDEXES:
        condition = sa.text(f"status = '{status}'")
        op.create_index(
            f"tasks_{status}",
            "tasks",
            [column],
            sqlite_where=condition,
            postgresql_where=condition,
        )
