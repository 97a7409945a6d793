"""The calls of a store, each in a transaction of its own."""

from collections.abc import Sequence

from actors.store.store import Store
from actors.task import ClaimedTask, Lease, Settlement, Task
from tests.fakes import NOW


def put(store: Store, *rows: Task) -> list[str]:
    with store.transaction():
        store.insert(rows)
    return [row.id for row in rows]


def claim(  # noqa: PLR0913 - a claim's terms
    store: Store,
    *,
    limit: int = 10,
    free: int = 10,
    lease_id: int = 1,
    leased_until: float = NOW + 60,
    queue: str = "tasks",
) -> tuple[list[ClaimedTask], bool]:
    with store.transaction():
        return store.claim(
            queue=queue,
            limit=limit,
            free=free,
            lease_id=lease_id,
            now=NOW,
            leased_until=leased_until,
        )


def claim_suspect(store: Store) -> ClaimedTask | None:
    with store.transaction():
        return store.claim_suspect(queue="tasks", lease_id=9, now=NOW, leased_until=NOW + 60)


def settle(store: Store, *settlements: Settlement) -> list[Lease]:
    with store.transaction():
        return store.settle(settlements)


def get(store: Store, task_id: str) -> Task:
    with store.transaction():
        task = store.get(task_id)
    assert task is not None
    return task


def ids(tasks: Sequence[Task]) -> list[str]:
    return [task.id for task in tasks]


def claimed_ids(claimed: Sequence[ClaimedTask]) -> list[str]:
    return [task.lease.task_id for task in claimed]
