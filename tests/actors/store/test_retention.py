"""Housekeeping: what expired, what was kept long enough, and the room it took."""

from collections.abc import Mapping
from functools import partial

import pytest
import sqlalchemy as sa

from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.writer import Prune
from task_queue.actors.store import changes, conditional, retention
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.database import Database
from task_queue.actors.store.retention import MAX_TERMS, RESERVE_PAGES, STEP_PAGES, STEP_ROWS
from task_queue.actors.store.schema import attempts as attempt_rows
from task_queue.actors.store.schema import idempotency_keys
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.conditions import REMEMBERED_SECONDS, Conditions, Idempotency
from task_queue.actors.tasks.filters import Cursor
from task_queue.actors.tasks.settlement import EXPIRED, Failure, nack
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.task import Task
from tests.actors.store.calls import attempts, call, claim, counts, find, get, put, settle
from tests.actors.store.races import while_held
from tests.databases import fill
from tests.fakes import AUDIT_SECONDS, NOW, Inbox, a_task

DAY = 86_400
PAGE_BYTES = 4_096
TERMS: Mapping[Status, int] = {
    Status.COMPLETED: 7 * DAY,
    Status.DEAD: 30 * DAY,
    Status.CANCELLED: 3 * DAY,
}
WAITING = (Status.SCHEDULED, Status.BLOCKED, Status.QUEUED)


def expire(session: Session, now: float = NOW) -> int:
    return len(call(session, lambda connection: retention.expire(connection, now)))


def delete_out_of_term(session: Session, now: float = NOW) -> int:
    return call(session, lambda connection: retention.delete_out_of_term(connection, now))[0]


def sweep(
    session: Session,
    after: Cursor | None = None,
    *,
    now: float = NOW,
    terms: Mapping[Status, int] = TERMS,
) -> tuple[int, Cursor | None]:
    return call(session, lambda connection: retention.sweep(connection, now, terms, after))


def prune(session: Session, *, sweeps: bool = True) -> int:
    """A step as the pruner asks for it; how many rows are gone or changed."""
    inbox = Inbox()
    with session.transaction():
        Commit(session, NOW).run([Prune(inbox, NOW, TERMS, None, sweeps, AUDIT_SECONDS)]).send()
    (pruned,) = inbox.all_of(Pruned)
    return pruned.removed


def an_old(status: Status, days: float, **columns: object) -> Task:
    """A task that reached its final state so many days ago, and was created a day before."""
    ended_at = int(NOW - days * DAY)
    return a_task(status=status, created_at=ended_at - DAY, processed_at=ended_at, **columns)


def kept(session: Session, tasks: list[Task]) -> list[bool]:
    return [find(session, task.id) is not None for task in tasks]


# --- tasks that were not started in time ----------------------------------------------------


@pytest.mark.parametrize("status", WAITING)
def test_a_task_that_was_not_started_in_time_is_dead(session: Session, status: Status) -> None:
    late, in_time = put(
        session,
        a_task(status=status, key="k", expires_at=NOW),
        a_task(status=status, key="k", expires_at=NOW + 0.25),
    )
    assert expire(session) == 1
    task = get(session, late)
    assert (task.status, task.error, task.processed_at) == (Status.DEAD, EXPIRED, int(NOW))
    assert get(session, in_time).status is status
    assert counts(session) == {Status.DEAD: 1, status: 1}


@pytest.mark.parametrize("status", FINAL)
def test_a_final_task_does_not_expire(session: Session, status: Status) -> None:
    task = a_task(status=status, expires_at=NOW)
    put(session, task)
    assert expire(session) == 0
    assert get(session, task.id) == task


def test_a_task_that_runs_does_not_expire_until_it_comes_back(session: Session) -> None:
    (task_id,) = put(session, a_task(expires_at=NOW + 5))
    (claimed,), _ = claim(session)
    assert expire(session, NOW + 9) == 0
    failed = nack(claimed, Failure("no"), backoff=Backoff(1, 2, 9), now=NOW, random=lambda: 0.5)
    settle(session, failed)
    assert expire(session, NOW + 9) == 1
    assert get(session, task_id).error == EXPIRED


def test_tasks_expire_so_many_at_a_time_the_most_overdue_first(session: Session) -> None:
    rows = [a_task(expires_at=NOW - number) for number in range(STEP_ROWS + 1)]
    put(session, *rows)
    assert expire(session) == STEP_ROWS
    assert get(session, rows[0].id).status is Status.QUEUED
    assert (expire(session), expire(session)) == (1, 0)


# --- tasks with a time of their own ---------------------------------------------------------


def test_a_task_is_kept_as_long_as_it_asked_for_be_that_shorter_or_longer(session: Session) -> None:
    rows = [
        an_old(Status.COMPLETED, 1, keep_result_seconds=DAY),
        an_old(Status.COMPLETED, 1, keep_result_seconds=DAY + 1),
        an_old(Status.CANCELLED, 90, keep_result_seconds=90 * DAY),
        an_old(Status.DEAD, 90, keep_result_seconds=100 * DAY),
        an_old(Status.DEAD, 0, keep_result_seconds=0),
    ]
    put(session, *rows)
    assert delete_out_of_term(session) == 3
    assert sweep(session) == (0, None)
    assert kept(session, rows) == [False, True, False, True, False]


@pytest.mark.parametrize("status", [*WAITING, Status.RUNNING])
def test_a_task_that_is_not_final_is_kept(session: Session, status: Status) -> None:
    old = int(NOW) - 999 * DAY
    rows = [
        a_task(status=status, created_at=old, run_at=old, keep_result_seconds=0),
        a_task(status=status, created_at=old, run_at=old),
    ]
    put(session, *rows)
    assert prune(session) == 0
    assert kept(session, rows) == [True, True]


def test_tasks_out_of_term_go_so_many_at_a_time(session: Session) -> None:
    put(
        session,
        *(
            an_old(Status.COMPLETED, 1, keep_result_seconds=number % 3)
            for number in range(STEP_ROWS + 7)
        ),
    )
    assert [delete_out_of_term(session) for _ in range(3)] == [STEP_ROWS, 7, 0]
    assert counts(session) == {}


def test_a_task_out_of_term_goes_however_many_other_terms_there_are(session: Session) -> None:
    """Each publisher may ask for a time of its own, and keep publishing."""
    put(
        session,
        *(
            a_task(status=Status.COMPLETED, keep_result_seconds=DAY + number)
            for number in range(MAX_TERMS + 1)
        ),
    )
    old = [an_old(Status.COMPLETED, 90, keep_result_seconds=30 * DAY)]
    put(session, *old)
    _, looked_to = call(session, lambda c: retention.delete_out_of_term(c, NOW))
    assert kept(session, old) == [True]
    call(session, lambda c: retention.delete_out_of_term(c, NOW, looked_to))
    assert kept(session, old) == [False]


# --- the sweep through the old --------------------------------------------------------------


def test_a_task_is_kept_as_long_as_its_state_says(session: Session) -> None:
    rows = [an_old(status, days) for status in FINAL for days in (1, 3, 7, 30)]
    put(session, *rows)
    assert sweep(session) == (6, None)
    assert kept(session, rows) == [
        *(True, True, False, False),  # completed
        *(True, True, True, False),  # dead
        *(True, False, False, False),  # cancelled
    ]


def test_it_is_the_end_of_a_task_that_counts_and_not_its_beginning(session: Session) -> None:
    rows = [
        a_task(status=Status.COMPLETED, created_at=int(NOW) - 99 * DAY, processed_at=int(NOW) - DAY)
    ]
    put(session, *rows)
    assert sweep(session) == (0, None)
    assert kept(session, rows) == [True]


def test_a_sweep_goes_so_many_rows_at_a_time_past_those_that_stay(session: Session) -> None:
    stay = [an_old(Status.DEAD, 20) for _ in range(STEP_ROWS - 1)]
    unfinished = [a_task(created_at=int(NOW) - 20 * DAY) for _ in range(2)]
    go = [an_old(Status.COMPLETED, 10) for _ in range(STEP_ROWS + 3)]
    put(session, *stay, *unfinished, *go)
    removed: list[int] = []
    cursors: list[Cursor | None] = [None]
    while True:
        number, cursor = sweep(session, cursors[-1])
        removed.append(number)
        if cursor is None:
            break
        assert cursor not in cursors
        cursors.append(cursor)
    assert (len(removed), sum(removed)) == (3, len(go))
    assert all(kept(session, stay + unfinished))
    assert counts(session) == {Status.DEAD: len(stay), Status.QUEUED: 2}


def test_a_sweep_passes_many_rows_of_the_same_second(session: Session) -> None:
    put(session, *(an_old(Status.DEAD, 20) for _ in range(STEP_ROWS)))
    put(session, an_old(Status.CANCELLED, 20))
    _, cursor = sweep(session)
    assert cursor is not None
    assert sweep(session, cursor) == (1, None)


def test_a_sweep_does_not_look_at_what_is_too_new_to_go(session: Session) -> None:
    put(session, *(an_old(Status.COMPLETED, 1) for _ in range(STEP_ROWS + 1)))
    assert sweep(session) == (0, None)


def test_the_attempts_go_with_the_task(session: Session) -> None:
    for columns in ({"keep_result_seconds": 0}, {}):
        (task_id,) = put(session, a_task(max_attempts=1, **columns))
        (claimed,), _ = claim(session)
        failure = Failure("no")
        settle(
            session,
            nack(claimed, failure, backoff=Backoff(1, 2, 9), now=NOW, random=lambda: 0.5),
        )
        assert attempts(session, task_id)
    assert delete_out_of_term(session) == 1
    assert sweep(session, now=NOW + 30 * DAY) == (1, None)
    left = call(session, lambda connection: connection.execute(sa.select(attempt_rows)).all())
    assert left == []


def test_a_task_that_is_retried_while_it_is_swept_is_kept_with_its_attempts(
    postgres_only: Database,
) -> None:
    session = Session(postgres_only)
    (task_id,) = put(session, a_task(max_attempts=1))
    (claimed,), _ = claim(session)
    failure = Failure("no")
    settle(session, nack(claimed, failure, backoff=Backoff(1, 2, 9), now=NOW, random=lambda: 0.5))
    later = NOW + 30 * DAY
    swept = while_held(
        postgres_only,
        lambda node: changes.retry(node.connection, task_id, later),
        lambda node: sweep(node, now=later),
    )
    assert swept == (0, None)
    assert get(session, task_id).status is Status.QUEUED
    assert [attempt.error for attempt in attempts(session, task_id)] == ["no"]
    session.close()


# --- and the rest ---------------------------------------------------------------------------


def test_idempotency_keys_are_forgotten_after_their_time_so_many_at_a_time(
    session: Session,
) -> None:
    with session.transaction():
        for number in range(STEP_ROWS + 2):
            once = Idempotency(f"key {number}", "a", NOW + (number == 0))
            conditional.publish(
                session.connection, [a_task()], Conditions(idempotency=once), NOW - DAY
            )

    def forget() -> int:
        return call(session, lambda connection: retention.forget_keys(connection, NOW))

    assert [forget() for _ in range(3)] == [STEP_ROWS, 1, 0]
    names = sa.select(idempotency_keys.c.key)
    assert call(session, lambda connection: list(connection.scalars(names))) == ["key 0"]


def test_keys_that_a_clock_ahead_has_made_are_forgotten_a_day_from_now(session: Session) -> None:
    ahead = NOW + 30 * REMEMBERED_SECONDS
    count = sa.select(sa.func.count()).select_from(idempotency_keys)
    for key, until in (("ahead", ahead), ("today", NOW + REMEMBERED_SECONDS)):
        conditions = Conditions(idempotency=Idempotency(key, "a", until))
        with session.transaction():
            conditional.publish(session.connection, [a_task()], conditions, NOW)
    for now, left in ((NOW, 2), (NOW + REMEMBERED_SECONDS - 1, 2), (NOW + REMEMBERED_SECONDS, 0)):
        call(session, partial(retention.forget_keys, now=now))
        assert call(session, lambda each: each.scalar(count)) == left


def test_one_step_does_all_of_it(session: Session) -> None:
    put(
        session,
        a_task(expires_at=NOW),
        an_old(Status.COMPLETED, 1, keep_result_seconds=0),
        an_old(Status.COMPLETED, 10),
    )
    assert prune(session, sweeps=False) == 2
    assert counts(session) == {Status.DEAD: 1, Status.COMPLETED: 1}
    assert prune(session) == 1
    assert counts(session) == {Status.DEAD: 1}
    assert prune(session) == 0


def pages(session: Session) -> tuple[int, int]:
    """How many pages the file has, and how many of them are free."""

    def look(connection: sa.Connection) -> tuple[int, int]:
        count = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        return int(count), int(connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())

    return call(session, look)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_file_gives_back_the_room_of_what_is_gone_but_for_a_reserve(
    database: Database, session: Session
) -> None:
    fill(database, Status.COMPLETED, 30_000)
    call(session, lambda connection: connection.execute(sa.text("DELETE FROM tasks")))
    before, free = pages(session)
    spare = free - RESERVE_PAGES
    assert spare > 2 * STEP_PAGES
    call(session, retention.vacuum)
    assert pages(session)[1] == free - STEP_PAGES
    for _ in range(spare // STEP_PAGES + 2):
        call(session, retention.vacuum)
    after, free = pages(session)
    assert free == RESERVE_PAGES
    assert after <= before - spare
    session.close()  # the last one: what is in the log goes into the file
    assert database.path.stat().st_size == after * PAGE_BYTES


def test_where_there_is_no_file_there_is_nothing_to_give_back(postgres_only: Database) -> None:
    session = Session(postgres_only)
    call(session, retention.vacuum)
    session.close()
