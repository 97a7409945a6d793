"""The rows of the nodes, and which tasks run."""

from collections.abc import Collection

import orjson
import sqlalchemy as sa

from task_queue.actors.store.schema import in_state, nodes, tasks
from task_queue.actors.store.session import insert_into
from task_queue.actors.tasks.nodes import FORGET_SECONDS, SILENT_SECONDS, Node, RunningTask
from task_queue.actors.tasks.states import Status

MAX_RUNNING = 1_000
"""How many running tasks are shown: consumers are few, but workers may hold very many."""

_RUNNING = (
    sa.select(
        tasks.c.id,
        tasks.c.action,
        tasks.c.queue,
        tasks.c.attempt,
        tasks.c.started_at,
        tasks.c.worker,
        tasks.c.external,
    )
    .where(in_state(Status.RUNNING))
    .order_by(tasks.c.queue, tasks.c.created_at, tasks.c.seq)
    .limit(MAX_RUNNING)
)


def say_alive(connection: sa.Connection, node: Node, *, alone: bool) -> None:
    """Store that the node lives, and forget those that have been silent for long.

    Or for a while, if this one has been started on the same host since: it is in their place.

    Args:
        connection: Inside a transaction.
        node: The node.
        alone: Whether no other can live: whatever else is stored has died.
    """
    row = {
        "version": node.version,
        "started_at": node.started_at,
        "seen_at": node.seen_at,
        "draining": node.draining,
        "queues": orjson.dumps(dict(node.queues)).decode(),
    }
    new = insert_into(connection, nodes).values(name=node.name, **row)
    connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=row))
    others = nodes.c.name != node.name
    if not alone:
        seen_at, host = nodes.c.seen_at, node.name.rpartition(":")[0]
        is_replaced = sa.and_(
            nodes.c.name.startswith(f"{host}:", autoescape=True),
            seen_at < min(node.started_at, node.seen_at - SILENT_SECONDS),
        )
        is_forgotten = seen_at < node.seen_at - FORGET_SECONDS
        others = sa.and_(others, sa.or_(is_replaced, is_forgotten))
    connection.execute(sa.delete(nodes).where(others))


def forget(connection: sa.Connection, name: str) -> None:
    """Delete a node, which has ended as it should."""
    connection.execute(sa.delete(nodes).where(nodes.c.name == name))


def every(connection: sa.Connection) -> list[Node]:
    """Return all nodes, by name."""
    return [
        Node(**{**row._asdict(), "queues": orjson.loads(row.queues)})
        for row in connection.execute(sa.select(nodes).order_by(nodes.c.name))
    ]


def running(connection: sa.Connection, queues: Collection[str] | None = None) -> list[RunningTask]:
    """Return the tasks that run, at most `MAX_RUNNING`.

    Args:
        connection: Inside a transaction.
        queues: The names of the queues; None: all.
    """
    query = _RUNNING if queues is None else _RUNNING.where(tasks.c.queue.in_(queues))
    return [RunningTask(**row._asdict()) for row in connection.execute(query)]
