"""What an action may take, and what its program said."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add two columns."""
    op.add_column("tasks", sa.Column("timeout_seconds", sa.Double))
    op.add_column("attempts", sa.Column("stderr", sa.Text))
