"""Intervals and the clock: more of a schedule, and what each wait and lease was counted from."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
rewrites = True

_WAITS = "status = 'scheduled' AND counted_from IS NOT NULL"


def upgrade() -> None:
    """Add columns and an index; a schedule may do without `cron`."""
    with op.batch_alter_table("schedules") as schedules:  # SQLite has to write the table anew
        schedules.alter_column("cron", existing_type=sa.Text, nullable=True)
        schedules.add_column(sa.Column("every", sa.Text))
        schedules.add_column(sa.Column("clock_forward", sa.Text))
        schedules.add_column(sa.Column("clock_back", sa.Text))
        schedules.add_column(sa.Column("expires_after_seconds", sa.Double))
        schedules.add_column(sa.Column("set_back", sa.Integer, nullable=False, server_default="0"))
    op.add_column("tasks", sa.Column("counted_from", sa.Double))
    where = sa.text(_WAITS)
    op.create_index(
        "tasks_waits",
        "tasks",
        ["queue", "counted_from"],
        sqlite_where=where,
        postgresql_where=where,
    )
