"""The actions, besides the built-in ones, that nodes on this database have ever had.

A service that is started without its settings has none, and would take any action name, as the
tutorial does: tasks that others published for an action would be done by the fallback.
"""

from collections.abc import Collection

import sqlalchemy as sa

from task_queue.actors.store.schema import own_actions
from task_queue.actors.store.session import insert_into

_NAMES = sa.select(own_actions.c.name).order_by(own_actions.c.name)


def remember(connection: sa.Connection, names: Collection[str]) -> list[str]:
    """Add these names, and return all."""
    known = set(connection.scalars(_NAMES))
    if new := sorted(set(names) - known):
        insert = insert_into(connection, own_actions).on_conflict_do_nothing()
        connection.execute(insert, [{"name": name} for name in new])
    return sorted(known.union(names))


def names(connection: sa.Connection) -> tuple[str, ...]:
    """Return their names."""
    return tuple(connection.scalars(_NAMES))
