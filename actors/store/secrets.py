"""What all nodes sign with, as rows: drawn by the first node that needs it."""

import sqlalchemy as sa

from task_queue.actors.store import schema
from task_queue.actors.store.session import insert_into

_FIND = sa.select(schema.secrets.c.value).where(schema.secrets.c.name == sa.bindparam("wanted"))


def keep(connection: sa.Connection, name: str, drawn: str) -> str:
    """Return the secret by this name; the one just drawn, if there was none."""
    insert = insert_into(connection, schema.secrets).on_conflict_do_nothing()
    connection.execute(insert, {"name": name, "value": drawn})
    return str(connection.execute(_FIND, {"wanted": name}).scalar_one())
