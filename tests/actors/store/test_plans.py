"""The hot statements find their rows by an index, however many finished tasks there are."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from actors.store.connect import Database
from actors.store.store import Store
from actors.task import Lease, Settlement, Status
from tests.databases import execute, fill
from tests.fakes import NOW

FINISHED = 30_000
OTHERS = 100
LEASE = Lease("nobody", 1)


def hot_statements(store: Store) -> dict[str, tuple[Callable[[], object], str]]:
    """What is done often, and the index it needs on every database."""
    return {
        "claim": (
            lambda: store.claim(
                queue="tasks", limit=15, free=5, lease_id=1, now=NOW, leased_until=NOW
            ),
            "tasks_queued",
        ),
        "claim a suspect": (
            lambda: store.claim_suspect(queue="tasks", lease_id=1, now=NOW, leased_until=NOW),
            "tasks_suspects",
        ),
        "oldest ready": (lambda: store.oldest_ready("tasks"), "tasks_queued"),
        "promote": (lambda: store.promote(queue="tasks", now=NOW), "tasks_due"),
        "lapsed": (lambda: store.lapsed(queue="tasks", now=NOW), "tasks_running"),
        "get": (lambda: store.get("nobody"), ""),
        "settle": (lambda: store.settle([Settlement(LEASE, Status.DEAD, 1, NOW)]), ""),
        "renew": (lambda: store.renew([LEASE], NOW), ""),
        "list": (lambda: store.list_tasks(limit=100), ""),
        "list on": (lambda: store.list_tasks(limit=100, before=FINISHED // 2), ""),
        **{f"list {status}": listing(store, status, None) for status in Status},
        **{f"list on {status}": listing(store, status, FINISHED // 2) for status in Status},
    }


def listing(store: Store, status: Status, before: int | None) -> tuple[Callable[[], object], str]:
    # Where nearly all tasks are in that state, the index of the rows does as well as the state's.
    index = "" if status is Status.COMPLETED else f"tasks_{status}"
    return lambda: store.list_tasks(limit=100, status=status, before=before), index


def plan(database: Database, store: Store, call: Callable[[], object]) -> str:
    """How the database would do the first statement that the call says."""
    said: list[tuple[str, Any]] = []

    def note(*args: Any) -> None:  # noqa: ANN401 - SQLAlchemy's: statement and parameters inside
        said.append((args[2], args[3]))

    with store.transaction():
        sa.event.listen(store._engine, "before_cursor_execute", note)
        call()
        sa.event.remove(store._engine, "before_cursor_execute", note)
        statement, parameters = said[0]
        if isinstance(parameters, list):
            parameters = parameters[0]
        explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        rows = store._connection.exec_driver_sql(f"{explain} {statement}", parameters)
        return "\n".join(str(row[-1]) for row in rows)


def reads_everything(plan: str) -> bool:
    """Whether all rows are read; SQLite's way to a page without a condition stops early."""
    return "Seq Scan" in plan or ("SCAN tasks" in plan and "USING INDEX" not in plan)


@pytest.mark.parametrize(
    ("database_url", "analyzed"),
    # SQLite gathers no statistics by itself, PostgreSQL does.
    [("sqlite", False), ("sqlite", True), ("postgresql", True)],
    indirect=["database_url"],
)
def test_hot_statements_use_their_indexes(
    database: Database, store: Store, *, analyzed: bool
) -> None:
    for status in Status:
        fill(database, status, FINISHED if status is Status.COMPLETED else OTHERS)
    # SQLite's statistics leave out an index that is empty when they are gathered.
    execute(database, "UPDATE tasks SET losses = 1 WHERE status = 'queued' AND seq % 50 = 0")
    if analyzed:
        execute(database, "ANALYZE")
    seen = {
        name: (index, plan(database, store, call))
        for name, (call, index) in hot_statements(store).items()
    }
    bad = {
        name: how
        for name, (index, how) in seen.items()
        if index not in how or (reads_everything(how) and name not in {"list", "list completed"})
    }
    assert bad == {}


def test_a_missing_index_is_noticed(database: Database, store: Store) -> None:
    """The test above can fail."""
    fill(database, Status.COMPLETED, FINISHED)
    execute(database, "DROP INDEX tasks_queued", "ANALYZE")
    how = plan(database, store, lambda: store.oldest_ready("tasks"))
    assert "tasks_queued" not in how
    assert reads_everything(how)
