"""Looks for signs of trouble, by counts and indexes alone: cheap, however many tasks there are."""

from collections.abc import Collection
from functools import reduce

import sqlalchemy as sa

from task_queue.actors.store import counts, figures, nodes, queues
from task_queue.actors.store.external_actions import ready_actions
from task_queue.actors.store.schema import in_state, tasks
from task_queue.actors.tasks.figures import MINUTE_SECONDS, Figures
from task_queue.actors.tasks.signs import Signs
from task_queue.actors.tasks.states import Status

MAX_ACTIONS = 100
"""Of how many external actions of a queue the waits are looked at."""
HOUR_MINUTES = 60

_NEXT_EXTERNAL = (
    sa.select(tasks.c.run_at)
    .where(
        in_state(Status.QUEUED),
        tasks.c.external,
        tasks.c.queue == sa.bindparam("queue_name"),
        tasks.c.action == sa.bindparam("wanted"),
    )
    .order_by(tasks.c.rank, tasks.c.seq)
    .limit(1)
)


def signs(connection: sa.Connection, now: float, names: Collection[str]) -> Signs:
    """Return what trouble can be seen in.

    Args:
        connection: Inside a transaction.
        now: The present moment, Unix seconds.
        names: The queues whose waits are looked at.
    """
    ready = {name: counts.next_ready(connection, name) for name in names}
    last = int(now) // MINUTE_SECONDS
    hour = figures.by_step(connection, last - HOUR_MINUTES, 1, HOUR_MINUTES + 1)
    return Signs(
        counts=counts.by_state(connection),
        paused=queues.paused_queues(connection),
        ready={name: since for name, since in ready.items() if since is not None},
        external=_external(connection, names),
        nodes=nodes.every(connection),
        last_hour={name: reduce(Figures.plus, each.values()) for name, each in hour.items()},
    )


def _external(connection: sa.Connection, names: Collection[str]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for name in names:
        for _, action in zip(range(MAX_ACTIONS), ready_actions(connection, name), strict=False):
            since = connection.scalar(_NEXT_EXTERNAL, {"queue_name": name, "wanted": action})
            if since is not None:  # it was not leased meanwhile
                found[name, action] = float(since)
    return found
