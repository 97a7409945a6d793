"""The calls of a store, each in a transaction of its own."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from task_queue.actors.store import listing
from task_queue.actors.store.counts import by_state
from task_queue.actors.store.store import Claimant, Store
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Attempt, Task
from tests.fakes import NOW

R = TypeVar("R")


def put(store: Store, *rows: Task) -> list[str]:
    with store.transaction():
        store.insert(rows)
    return [row.id for row in rows]


def claimant(  # noqa: PLR0913 - a claim's terms
    *,
    queue: str = "tasks",
    lease_id: int = 1,
    worker: str = "worker",
    now: float = NOW,
    leased_until: float = NOW + 60,
    rate_limit: float = 0.0,
) -> Claimant:
    return Claimant(
        queue=queue,
        lease_id=lease_id,
        worker=worker,
        now=now,
        leased_until=leased_until,
        rate_limit=rate_limit,
    )


def claim(  # noqa: PLR0913 - a claim's terms
    store: Store,
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
    with store.transaction():
        return store.claim(who, limit=limit, free=free)


def claim_suspect(store: Store, *, now: float = NOW, rate_limit: float = 0.0) -> ClaimedTask | None:
    with store.transaction():
        return store.claim_suspect(claimant(lease_id=9, now=now, rate_limit=rate_limit))


def settle(store: Store, *settlements: Settlement) -> list[Lease]:
    with store.transaction():
        return store.settle(settlements)


def call(store: Store, what: Callable[[sa.Connection], R]) -> R:
    with store.transaction():
        return what(store.connection)


def find(store: Store, task_id: str) -> Task | None:
    found = call(store, lambda connection: listing.history(connection, task_id))
    return None if found is None else found[0]


def get(store: Store, task_id: str) -> Task:
    task = find(store, task_id)
    assert task is not None
    return task


def attempts(store: Store, task_id: str) -> list[Attempt]:
    found = call(store, lambda connection: listing.history(connection, task_id))
    assert found is not None
    return found[1]


def counts(store: Store, queue: str = "tasks") -> dict[Status, int]:
    """How many tasks of the queue are kept count of, by state; states without any left out."""
    counted = call(store, by_state).get(queue, {})
    return {status: number for status, number in counted.items() if number}


def ids(tasks: Sequence[Task]) -> list[str]:
    return [task.id for task in tasks]


def claimed_ids(claimed: Sequence[ClaimedTask]) -> list[str]:
    return [task.lease.task_id for task in claimed]
