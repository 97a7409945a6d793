"""A task that was asked to stop leaves its unique key to others."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the unique index without the tasks that were asked to stop."""
    holds = sa.text(
        "unique_key IS NOT NULL AND processed_at IS NULL AND cancel_requested_at IS NULL"
    )
    op.drop_index("tasks_unique", "tasks")
    op.create_index(
        "tasks_unique",
        "tasks",
        ["queue", "unique_key"],
        unique=True,
        sqlite_where=holds,
        postgresql_where=holds,
    )
