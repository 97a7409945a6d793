"""Callbacks: what tells how a task ended is stored in the same transaction as the end."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from uuid_utils import uuid7

from task_queue.actors.messages.base import Recipient
from task_queue.actors.store.columns import TASK_COLUMNS, task_in
from task_queue.actors.store.insert import insert
from task_queue.actors.store.schema import is_final, tasks
from task_queue.actors.tasks.event import delivery

STEP_TASKS = 20
"""How many are read at a time: each may have a megabyte of data, and one of a result."""

_ENDED = (
    sa.select(*TASK_COLUMNS)
    .where(
        tasks.c.id.in_(sa.bindparam("ids", expanding=True)),
        tasks.c.callback.is_not(None),
        is_final,
    )
    .order_by(tasks.c.id)
)


class Deliverer(NamedTuple):
    """Who delivers what is told.

    Attributes:
        queue: The queue of it; None: this node has none, and another may deliver it, or this one
            once it has a secret again.
        max_attempts: How often it is tried.
    """

    queue: Recipient | None
    max_attempts: int


NOBODY = Deliverer(None, 1)


def announce(
    connection: sa.Connection, task_ids: Sequence[str], now: float, max_attempts: int
) -> list[str]:
    """Store what tells how these tasks ended, of those that are final and have a callback.

    Args:
        connection: Inside the transaction in which they became final, before anything else can
            change them in it.
        task_ids: Tasks that may just have become final.
        now: The present moment, Unix seconds.
        max_attempts: How often to try to tell it.

    Returns:
        The ids of the tasks that tell it.
    """
    stored: list[str] = []
    for start in range(0, len(task_ids), STEP_TASKS):
        some = list(task_ids[start : start + STEP_TASKS])
        ended = [task_in(row) for row in connection.execute(_ENDED, {"ids": some})]
        if deliveries := [delivery(each, str(uuid7()), now, max_attempts) for each in ended]:
            insert(connection, deliveries)
            stored += [each.id for each in deliveries]
    return stored
