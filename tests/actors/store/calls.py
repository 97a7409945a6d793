"""The functions of the store, each in a transaction of its own."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from task_queue.actors.store import claim as claims
from task_queue.actors.store.counts import by_state
from task_queue.actors.store.history import history
from task_queue.actors.store.insert import insert
from task_queue.actors.store.session import Session
from task_queue.actors.store.settle import settle as settle_all
from task_queue.actors.tasks.claim import Claimant, ClaimedTask, Lease
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Attempt, Task
from tests.fakes import NOW, a_task

R = TypeVar("R")


def put(session: Session, *rows: Task) -> list[str]:
    with session.transaction():
        insert(session.connection, rows)
    return [row.id for row in rows]


def claimant(  # noqa: PLR0913 - a claim's terms
    *,
    queue: str = "tasks",
    lease_id: int = 1,
    node: str = "worker",
    now: float = NOW,
    leased_until: float = NOW + 60,
    rate_limit: float = 0.0,
) -> Claimant:
    return Claimant(
        queue=queue,
        lease_id=lease_id,
        node=node,
        now=now,
        leased_until=leased_until,
        rate_limit=rate_limit,
    )


def claim(  # noqa: PLR0913 - a claim's terms
    session: Session,
    *,
    limit: int = 10,
    free: int = 10,
    lease_id: int = 1,
    now: float = NOW,
    leased_until: float = NOW + 60,
    queue: str = "tasks",
    rate_limit: float = 0.0,
) -> tuple[list[ClaimedTask], bool]:
    who = claimant(
        queue=queue,
        lease_id=lease_id,
        now=now,
        leased_until=leased_until,
        rate_limit=rate_limit,
    )
    with session.transaction():
        return claims.claim(session.connection, who, limit=limit, free=free)


def a_claimed_task(session: Session, **changes: object) -> ClaimedTask:
    put(session, a_task(**changes))
    (claimed,), _ = claim(session)
    return claimed


def claim_suspect(
    session: Session, *, now: float = NOW, rate_limit: float = 0.0
) -> ClaimedTask | None:
    with session.transaction():
        return claims.claim_suspect(
            session.connection, claimant(lease_id=9, now=now, rate_limit=rate_limit)
        )


def settle(session: Session, *settlements: Settlement) -> list[Lease]:
    with session.transaction():
        return settle_all(session.connection, settlements)


def call(session: Session, what: Callable[[sa.Connection], R]) -> R:
    with session.transaction():
        return what(session.connection)


def find(session: Session, task_id: str) -> Task | None:
    found = call(session, lambda connection: history(connection, task_id))
    return None if found is None else found[0]


def get(session: Session, task_id: str) -> Task:
    task = find(session, task_id)
    assert task is not None
    return task


def attempts(session: Session, task_id: str) -> list[Attempt]:
    found = call(session, lambda connection: history(connection, task_id))
    assert found is not None
    return found[1]


def counts(session: Session, queue: str = "tasks") -> dict[Status, int]:
    """How many tasks of the queue are kept count of, by state; states without any left out."""
    counted = call(session, by_state).get(queue, {})
    return {status: number for status, number in counted.items() if number}


def ids(tasks: Sequence[Task]) -> list[str]:
    return [task.id for task in tasks]


def claimed_ids(claimed: Sequence[ClaimedTask]) -> list[str]:
    return [task.lease.task_id for task in claimed]
