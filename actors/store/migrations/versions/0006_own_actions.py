"""The names of all actions, besides the built-in ones, that this database has ever known."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a table."""
    op.create_table("own_actions", sa.Column("name", sa.Text, primary_key=True))
