"""Publishes with conditions: unique keys, limits of queues, repeated requests."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

import orjson
import sqlalchemy as sa

from task_queue.actors.errors import BadRowError, KeyReusedError, OverLimitError
from task_queue.actors.store import advisory_locks, counts
from task_queue.actors.store.columns import ATTRIBUTES
from task_queue.actors.store.insert import insert
from task_queue.actors.store.schema import holds_unique_key, idempotency_keys, tasks
from task_queue.actors.store.session import insert_into
from task_queue.actors.tasks.conditions import ACCEPTED, Conditions, Idempotency, Published
from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Receipt, Task

TRIES = 3
"""How often to try an insert whose unique key is taken, but free again at the next look."""

_HOLDER = sa.select(tasks.c.id, tasks.c.status).where(
    tasks.c.queue == sa.bindparam("queue_name"),
    tasks.c.unique_key == sa.bindparam("wanted"),
    holds_unique_key,
)
_REMEMBERED = sa.select(
    idempotency_keys.c.fingerprint, idempotency_keys.c.receipts, idempotency_keys.c.answered
).where(idempotency_keys.c.key == sa.bindparam("name"))
_ANSWER = (
    sa.update(idempotency_keys)
    .where(
        idempotency_keys.c.key == sa.bindparam("name"),
        idempotency_keys.c.answered.is_(None),
    )
    .values(answered=sa.bindparam("status"))
)
_FORGET = sa.delete(idempotency_keys).where(
    idempotency_keys.c.key == sa.bindparam("name"),
    idempotency_keys.c.expires_at <= sa.bindparam("now"),
)


def lock(
    connection: sa.Connection, publishes: Iterable[tuple[Sequence[Task], Conditions | None]]
) -> None:
    """Take the advisory locks that these publishes need, until the commit.

    Args:
        connection: Inside a transaction, before the first of these publishes.
        publishes: Tasks and conditions of all publishes of the transaction.
    """
    names: list[str] = []
    for rows, conditions in publishes:
        names += [
            f"unique {task.queue}/{task.options.unique_key}"
            for task in rows
            if task.options.unique_key is not None
        ]
        names += [f"queue {name}" for name in _bound(conditions)]
        if conditions is not None and conditions.idempotency is not None:
            names.append(f"request {conditions.idempotency.key}")
    advisory_locks.take(connection, advisory_locks.Kind.PUBLISH, names)


def publish(
    connection: sa.Connection, rows: Sequence[Task], conditions: Conditions | None, now: float
) -> Published:
    """Add the tasks, all or none, if the conditions allow it.

    Args:
        connection: Inside a savepoint, with the locks that `lock` takes.
        rows: The tasks.
        conditions: The conditions besides unique keys.
        now: The present moment, Unix seconds.

    Raises:
        TaskQueueError: It is refused, and not a repetition.
        KeyReusedError: The idempotency key belongs to another request.
        OverLimitError: A queue is full.
        BadRowError: The database refuses a task.
    """
    idempotency = None if conditions is None else conditions.idempotency
    if idempotency is not None:
        remembered = _remember(connection, idempotency, now)
        if remembered is not None:
            return remembered
    if conditions is not None and conditions.refusal is not None:
        raise conditions.refusal
    receipts: list[Receipt] = []
    for is_plain, group in groupby(rows, key=lambda task: task.options.is_plain):
        if is_plain:
            together = list(group)
            insert(connection, together)
            receipts += [Receipt(task.id, task.status.shown, duplicate=False) for task in together]
        else:
            receipts += [_insert_unique(connection, task) for task in group]
    # Afterwards, as only now it is known which are new. If they do not fit, they are rolled back.
    bound = _bound(conditions)
    room = {name: _room(connection, name, limits) for name, limits in bound.items()}
    if idempotency is not None:
        _keep_receipts(connection, idempotency, receipts)
    return Published(receipts=tuple(receipts), room=room)


def keep_answer(connection: sa.Connection, key: str, answered: int) -> int:
    """Keep how the first request with this key is answered; return how it is.

    Args:
        connection: Inside a transaction.
        key: The key.
        answered: How it is to be answered, unless that has been kept already.
    """
    connection.execute(_ANSWER, {"name": key, "status": answered})
    row = connection.execute(_REMEMBERED, {"name": key}).first()
    return answered if row is None else row.answered  # none: it has been forgotten meanwhile


def insert_occurrence(connection: sa.Connection, task: Task) -> bool:
    """Add the task of a schedule, unless there is one for its occurrence, or with its key.

    Returns:
        Whether it was added.
    """
    return connection.execute(_insert_or_nothing(connection), _values(task)).first() is not None


def _remember(connection: sa.Connection, idempotency: Idempotency, now: float) -> Published | None:
    """Return what the first request with this key was answered; None: this is the first."""
    connection.execute(_FORGET, {"name": idempotency.key, "now": now})
    # Take the key before anything else is done.
    new = insert_into(connection, idempotency_keys).on_conflict_do_nothing()
    taken = connection.execute(
        new.returning(idempotency_keys.c.key),
        {
            "key": idempotency.key,
            "fingerprint": idempotency.fingerprint,
            "receipts": "[]",
            "expires_at": idempotency.expires_at,
        },
    ).first()
    if taken is not None:
        return None
    row = connection.execute(_REMEMBERED, {"name": idempotency.key}).one()
    if row.fingerprint != idempotency.fingerprint:
        message = f"{idempotency.repeated_by} was sent before with another request"
        raise KeyReusedError(message)
    answered = row.answered
    if answered is None and not idempotency.waits:
        # The first one has not been answered, maybe it still waits on another node: this answers.
        answered = keep_answer(connection, idempotency.key, ACCEPTED)
    receipts = tuple(Receipt(*each) for each in orjson.loads(row.receipts))
    return Published(receipts=receipts, replayed=True, answered=answered)


def _keep_receipts(
    connection: sa.Connection, idempotency: Idempotency, receipts: Sequence[Receipt]
) -> None:
    text = orjson.dumps([(each.task_id, each.status, each.duplicate) for each in receipts]).decode()
    connection.execute(
        sa.update(idempotency_keys)
        .where(idempotency_keys.c.key == idempotency.key)
        .values(receipts=text, answered=None if idempotency.waits else ACCEPTED)
    )


def _bound(conditions: Conditions | None) -> dict[str, QueueLimits]:
    """Return the limits of the queues that bound publishes, always in the same order."""
    limits = {} if conditions is None else conditions.limits
    return {name: limits[name] for name in sorted(limits) if limits[name].bound_publishes}


def _room(connection: sa.Connection, name: str, limits: QueueLimits) -> Room:
    """Return the room that the queue has left, with the new tasks on it."""
    length, size = counts.unfinished(connection, name)
    if limits.max_length and length > limits.max_length:
        message = (
            f"the queue {name!r} would hold {length} unfinished tasks; {limits.max_length} may"
        )
        raise OverLimitError(message, "length", limits.max_length)
    if limits.max_bytes and size > limits.max_bytes:
        message = f"the queue {name!r} would hold {size} bytes of data; {limits.max_bytes} may"
        raise OverLimitError(message, "bytes", limits.max_bytes)
    return Room(
        limits.max_length - length if limits.max_length else None,
        limits.max_bytes - size if limits.max_bytes else None,
    )


def _insert_unique(connection: sa.Connection, task: Task) -> Receipt:
    holder = {"queue_name": task.queue, "wanted": task.options.unique_key}
    for _ in range(TRIES):
        if connection.execute(_insert_or_nothing(connection), _values(task)).first() is not None:
            return Receipt(task.id, task.status.shown, duplicate=False)
        if (row := connection.execute(_HOLDER, holder).first()) is not None:
            return Receipt(row.id, Status(row.status).shown, duplicate=True)
    message = f"the unique key {task.options.unique_key!r} is taken and free in turns"
    raise BadRowError(message)


def _insert_or_nothing(connection: sa.Connection) -> Any:  # noqa: ANN401 - each dialect's own
    return insert_into(connection, tasks).on_conflict_do_nothing().returning(tasks.c.id)


def _values(task: Task) -> dict[str, object]:
    return {name: attrgetter(attribute)(task) for name, attribute in ATTRIBUTES.items()}
