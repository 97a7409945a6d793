"""Statements find their rows by an index, however many finished tasks there are."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Hear, Lend, Mark
from task_queue.actors.store import (
    changes,
    concurrency,
    conditional,
    counts,
    dead_groups,
    due,
    external,
    external_marks,
    leases,
    listing,
    nodes,
    queues,
    rate_limit,
    recount,
    retention,
)
from task_queue.actors.store import claim as claims
from task_queue.actors.store import settle as settlements
from task_queue.actors.store.database import Database
from task_queue.actors.store.ended import ended
from task_queue.actors.store.external_actions import ready_actions
from task_queue.actors.store.history import history
from task_queue.actors.store.queues import ensure_queue
from task_queue.actors.store.session import Session
from task_queue.actors.store.signs import signs
from task_queue.actors.tasks.claim import Bid, Lease
from task_queue.actors.tasks.filters import ALL, Cursor, Filters
from task_queue.actors.tasks.settlement import Failure, Settlement
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.verdict import Acked, Said
from tests.actors.store.calls import call, claimant
from tests.databases import count_groups, execute, fill, overhear
from tests.fakes import NOW, Inbox, a_task

FINISHED = 30_000
OTHERS = 200
A_WALK = 50
"""In place of `MAX_WALK`, as small beside these tables as that is beside large ones."""
SOON = int(NOW)
MIDDLE = (SOON + FINISHED // 20, FINISHED // 2)
LEASE = Lease("tasks-running-2001", 1)
TAKEN = "key-10"
SEEN = frozenset({"mail", "small"})
DEAD = Settlement(LEASE, Status.DEAD, 1, ended_at=NOW, failure=Failure("broken"))

BID = Bid(actions=("uppercase", "rare"), limit=10, lease_id=1, worker="host-1", lease_seconds=60.0)
LEND = Lend(Inbox(), "tasks", (BID,), 500, 0.0, {}, NOW)
SAID = Said(lease=LEASE, verdict=Acked(result="1"), fingerprint="")
HEAR = Hear(Inbox(), (SAID,), None, {}, {}, 0.5, NOW, Reply())
MARK = Mark(Inbox(), (), ("uppercase", "rare"), ("tasks", "mail"), None)

Deed = Callable[[sa.Connection], object]


def hot_deeds(session: Session) -> dict[str, tuple[Deed, tuple[str, ...]]]:
    """What is done often, and the indexes of ours that it needs on every database."""
    retention_seconds = dict.fromkeys(FINAL, 60)
    return {
        "claim": (
            lambda _: claims.claim(session.connection, claimant(), limit=15, free=5),
            ("tasks_ready",),
        ),
        "claim a suspect": (
            lambda _: claims.claim_suspect(session.connection, claimant()),
            ("tasks_suspects",),
        ),
        "spend the rate": (lambda c: rate_limit.allowed(c, "tasks", 9.0, NOW), ()),
        "is it paused": (lambda _: queues.is_paused(session.connection, "tasks"), ()),
        "settle": (lambda _: settlements.settle(session.connection, [DEAD]), ()),
        "complete": (
            lambda _: settlements.settle(
                session.connection, [DEAD._replace(status=Status.COMPLETED)]
            ),
            (),
        ),
        "renew": (lambda _: leases.renew(session.connection, [LEASE], NOW, NOW), ()),
        "report": (lambda _: leases.report(session.connection, LEASE, 0.5, None), ()),
        "promote": (
            lambda _: due.promote(
                session.connection, queue="tasks", now=NOW, keys_are_limited=True
            ),
            ("tasks_due",),
        ),
        "recount": (
            lambda c: recount.recount(c, "tasks", NOW + 10**6),
            ("tasks_waits", "tasks_by_state", "tasks_ready", "tasks_external"),
        ),
        "lend": (lambda c: external.lend(c, LEND), ("tasks_external",)),
        "hear": (lambda c: external.hear(c, HEAR), ()),
        "strays": (lambda c: external_marks.mark(c, MARK), ("tasks_external",)),
        "signs of trouble": (
            lambda c: signs(c, NOW, ("tasks", "mail")),
            ("tasks_ready", "tasks_external", "tasks_by_state"),
        ),
        "what runs": (nodes.running, ("tasks_by_state",)),
        "what runs in two queues": (lambda c: nodes.running(c, SEEN), ("tasks_by_state",)),
        "next ready": (lambda c: counts.next_ready(c, "tasks"), ("tasks_ready",)),
        "lapsed": (
            lambda _: leases.lapsed(session.connection, queue="tasks", now=NOW),
            ("tasks_by_state",),
        ),
        "unblock": (lambda c: concurrency.unblock(c, "tasks", "tenant-1", 100), ("tasks_keys",)),
        "sweep keys": (lambda c: concurrency.blocked(c, "tasks", ""), ("tasks_keys",)),
        "publish what is there": (
            lambda _: conditional.publish(
                session.connection, [a_task(unique_key=TAKEN)], None, NOW
            ),
            ("tasks_unique",),
        ),
        "purge": (
            lambda c: changes.purge(c, "tasks", 100, SOON + FINISHED, NOW),
            ("tasks_by_state",),
        ),
        "expire": (lambda c: retention.expire(c, NOW), ("tasks_expiring",)),
        "end of term": (lambda c: retention.delete_out_of_term(c, NOW), ("tasks_kept",)),
        "retention": (
            lambda c: retention.sweep(c, NOW + 10**6, retention_seconds, (SOON, 5)),
            ("tasks_created",),
        ),
        "count": (counts.by_state, ("tasks_by_state",)),
        "unfinished": (lambda c: counts.unfinished(c, "tasks"), ()),
        "oldest ready": (
            lambda c: counts.oldest_ready(c, "tasks"),
            ("tasks_by_state", "tasks_ready"),
        ),
        "ends": (lambda c: ended(c, [LEASE.task_id, "nobody"]), ()),
        "history": (lambda c: history(c, LEASE.task_id), ("attempts_task_id",)),
        "history in two queues": (
            lambda c: history(c, LEASE.task_id, SEEN | {"tasks"}),
            ("attempts_task_id",),
        ),
        "cancel in two queues": (
            lambda c: changes.cancel(c, "tasks-queued-2001", NOW, SEEN | {"tasks"}),
            (),
        ),
        "the dead": (
            lambda c: listing.dead_ids(c, Filters(error_contains="x"), 100),
            ("tasks_by_state", "attempts_task_id"),
        ),
        "the dead of a group": (
            lambda c: listing.dead_ids(c, Filters(error_group="group-3", queue="mail"), 100),
            ("tasks_dead_group", "attempts_task_id"),
        ),
        "groups": (lambda c: dead_groups.groups(c, Filters(queues=SEEN), 100), ()),
        "ids": (
            lambda c: listing.ids(c, Filters(queue="tasks", statuses=(Status.DEAD,)), 100),
            ("tasks_by_state",),
        ),
        "named ids": (
            lambda c: listing.named_ids(c, Filters(queue="tasks", queues=SEEN), [LEASE.task_id]),
            (),
        ),
        "cancel many": (
            lambda c: changes.cancel_many(
                c, [f"tasks-queued-{2001 + n}" for n in range(50)], NOW, [Status.QUEUED], SEEN
            ),
            (),
        ),
        "delete many": (
            lambda c: changes.delete_many(
                c, [f"tasks-dead-{2001 + n}" for n in range(50)], [Status.DEAD]
            ),
            ("attempts_task_id",),
        ),
        "the dead of an action": (
            lambda c: listing.dead_ids(c, Filters(action="rare", queue="mail"), 100, ["sum"]),
            ("tasks_by_state", "attempts_task_id"),
        ),
    }


FILTERS = {
    "all": (ALL, "tasks_created"),
    "created": (Filters(created_after=SOON, created_before=SOON + 100), "tasks_created"),
    "any state": (Filters(statuses=tuple(Status)), "tasks_created"),
    "error": (Filters(error_contains="x"), "tasks_created"),
    **{status.value: (Filters(statuses=(status,)), "tasks_by_state") for status in Status},
    **{
        f"{status} in a queue": (Filters(statuses=(status,), queue="mail"), "tasks_by_state")
        for status in Status
    },
    "several states": (
        Filters(statuses=(Status.RUNNING, Status.DEAD, Status.QUEUED)),
        "tasks_by_state",
    ),
    "queue": (Filters(queue="mail"), "tasks_by_state"),
    "large queue": (Filters(queue="tasks"), "tasks_by_state"),
    "dead error": (Filters(statuses=(Status.DEAD,), error_contains="x"), "tasks_by_state"),
    "queue created": (Filters(queue="mail", created_after=SOON + 10), "tasks_by_state"),
    "action": (Filters(action="uppercase"), "tasks_action"),
    "rare action": (Filters(action="rare"), "tasks_action"),
    "no action": (Filters(action="unknown"), "tasks_action"),
    "rare action completed": (
        Filters(action="rare", statuses=(Status.COMPLETED,)),
        "tasks_action",
    ),
    "rare action in a queue": (Filters(action="rare", queue="tasks"), "tasks_action"),
    "action running in small queue": (
        Filters(action="uppercase", statuses=(Status.RUNNING,), queue="small"),
        "tasks_by_state",
    ),
    "two queues": (Filters(queues=SEEN), "tasks_by_state"),
    "dead in two queues": (Filters(queues=SEEN, statuses=(Status.DEAD,)), "tasks_by_state"),
    "created in two queues": (Filters(queues=SEEN, created_after=SOON + 10), "tasks_by_state"),
    "action in two queues": (Filters(queues=SEEN, action="uppercase"), "tasks_action"),
    "no action in two queues": (Filters(queues=SEEN, action="unknown"), "tasks_action"),
    "unique key in two queues": (Filters(queues=SEEN, unique_key="common"), "tasks_unique_key"),
    "unique key": (Filters(unique_key="key-7"), "tasks_unique_key"),
    "common unique key": (Filters(unique_key="common"), "tasks_unique_key"),
    "key": (Filters(key="tenant-4"), "tasks_by_key"),
    "key of the dead in a queue": (
        Filters(key="tenant-4", queue="mail", statuses=(Status.DEAD,)),
        "tasks_by_key",
    ),
    "error group": (Filters(error_group="group-3"), "tasks_dead_group"),
    "error group of two queues": (
        Filters(error_group="group-3", queues=SEEN, action="uppercase"),
        "tasks_dead_group",
    ),
    "data": (Filters(data=(("user.name", "ada"), ("n", "17"))), "tasks_created"),
    "data in a queue": (Filters(queue="mail", data=(("n", "17"),)), "tasks_by_state"),
    "unique key and more": (
        Filters(unique_key="common", queue="tasks", statuses=(Status.DEAD,), action="rare"),
        "tasks_unique_key",
    ),
}


def listed(filters: Filters, after: Cursor | None) -> Deed:
    return lambda connection: listing.page(connection, filters, 100, after)


def listings() -> dict[str, tuple[Deed, tuple[str, ...]]]:
    """Pages by every filter, both ways, the first one and one in the middle."""
    return {
        f"list {name}, {oldest_first=}, {after=}": (
            listed(replace(filters, oldest_first=oldest_first), after),
            (index,),
        )
        for name, (filters, index) in FILTERS.items()
        for oldest_first in (False, True)
        for after in (None, MIDDLE)
    }


def fill_with_everything(database: Database) -> None:
    """Many finished tasks, some of every other kind, in two queues and a small one."""
    for status in Status:
        fill(database, status, FINISHED if status is Status.COMPLETED else OTHERS)
        fill(database, status, OTHERS, queue="mail")
    fill(database, Status.RUNNING, A_WALK // 5, queue="small")
    execute(
        database,
        f"UPDATE tasks SET created_at = {SOON} + seq / 10, rank = {SOON} + seq / 10,"  # noqa: S608
        " action = CASE WHEN seq % 100 = 0 THEN 'rare' ELSE action END,"
        " error = CASE WHEN seq % 2 = 0 THEN 'an error' END,"
        " unique_key = CASE WHEN seq % 10 = 0 THEN 'key-' || seq"
        " WHEN seq % 10 = 1 AND status = 'completed' THEN 'common' END,"
        " expires_at = CASE WHEN seq % 10 = 2 THEN 1 END,"
        f" counted_from = CASE WHEN seq % 2 = 0 THEN {SOON} END,"
        " external = (status = 'queued' AND seq % 3 = 0),"
        " error_group = CASE WHEN status = 'dead' THEN 'group-' || (seq % 5) END,"
        " keep_result_seconds = CASE WHEN seq % 10 = 3 THEN 60 END,"
        # SQLite's statistics leave out an index that is empty when they are gathered.
        " losses = CASE WHEN status = 'queued' AND seq % 50 = 0 THEN 1 ELSE 0 END,"
        " key = CASE WHEN seq % 4 = 0 OR status = 'blocked' THEN 'tenant-' || (seq % 20) END",
        "INSERT INTO attempts (task_id, number, ended_at, outcome, error)"
        " SELECT id, 1, 1, 'failed', 'an error' FROM tasks WHERE status = 'completed'",
    )
    count_groups(database)


def plan(database: Database, session: Session, deed: Deed) -> str:
    """How the database would do every statement that the deed says; nothing of it stays."""
    said: list[tuple[str, Any]] = []

    explain = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    lines: list[str] = []
    with session.transaction():
        part = session.connection.begin_nested()
        end = overhear(session, lambda text, parameters: said.append((text, parameters)))
        deed(session.connection)
        end()
        part.rollback()
        for statement, parameters in said:
            one = parameters[0] if isinstance(parameters, list) else parameters
            rows = session.connection.exec_driver_sql(f"{explain} {statement}", one)
            lines += [str(row[-1]) for row in rows]
    return "\n".join(lines)


def reads_everything(plan: str) -> bool:
    """Whether all rows of a large table are read."""
    return bool(
        re.search(r"Seq Scan on (tasks|attempts)\b|^SCAN (tasks|attempts)\b", plan, re.MULTILINE)
    )


def indexes_in(plan: str) -> set[str]:
    """Which indexes it takes, but for those that find one row by its number or id.

    `tasks_1` is an alias.
    """
    return set(re.findall(r"\b(?:tasks|attempts)_(?!pkey|id_key|\d)\w+", plan))


@pytest.mark.parametrize(
    ("database", "analyzed"),
    # SQLite gathers no statistics by itself, PostgreSQL does.
    [("sqlite", False), ("sqlite", True), ("postgresql", True)],
    indirect=["database"],
)
def test_every_statement_finds_its_rows_by_an_index(
    database: Database, session: Session, monkeypatch: pytest.MonkeyPatch, *, analyzed: bool
) -> None:
    monkeypatch.setattr(listing, "MAX_WALK", A_WALK)
    fill_with_everything(database)
    call(session, lambda connection: ensure_queue(connection, "tasks"))
    if analyzed:
        execute(database, "ANALYZE")
    bad = {}
    for name, (deed, indexes) in (hot_deeds(session) | listings()).items():
        how = plan(database, session, deed)
        # Which queues there are is told by the counts, and what runs by its state.
        others = indexes_in(how) - {*indexes, "tasks_by_state"}
        if reads_everything(how) or others or not indexes_in(how) >= set(indexes):
            bad[name] = how
    assert not bad, "\n\n".join(f"{name}:\n{how}" for name, how in bad.items())


@pytest.mark.parametrize("analyzed", [False, True])
def test_actions_with_external_tasks_are_found_without_a_look_at_what_else_is_ready(
    database: Database, session: Session, *, analyzed: bool
) -> None:
    fill_with_everything(database)
    if analyzed:
        execute(database, "ANALYZE")
    found = plan(database, session, lambda c: list(ready_actions(c, "tasks")))
    assert indexes_in(found) == {"tasks_external"}


@pytest.mark.parametrize(
    ("index", "name"), [("tasks_by_state", "oldest ready"), ("tasks_ready", "claim")]
)
def test_a_missing_index_is_noticed(
    database: Database, session: Session, index: str, name: str
) -> None:
    """The test above can fail."""
    fill(database, Status.COMPLETED, FINISHED)
    execute(database, f"DROP INDEX {index}", "ANALYZE")
    deed, indexes = hot_deeds(session)[name]
    assert index in indexes
    assert index not in indexes_in(plan(database, session, deed))


def test_a_table_that_is_read_through_is_noticed(database: Database, session: Session) -> None:
    fill(database, Status.COMPLETED, FINISHED)
    by_error = sa.text("SELECT id FROM tasks WHERE error = 'x'")
    assert reads_everything(plan(database, session, lambda c: c.execute(by_error).all()))
