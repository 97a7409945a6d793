"""Tasks become ready when they are due."""

import pytest

from task_queue.actors.store import due
from task_queue.actors.store.due import PROMOTE_LIMIT
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import get, put
from tests.fakes import NOW, a_task


def promote(session: Session, *, keys_are_limited: bool = False) -> list[str | None]:
    with session.transaction():
        return due.promote(
            session.connection, queue="tasks", now=NOW, keys_are_limited=keys_are_limited
        )


def test_only_due_tasks_of_the_queue_become_ready(session: Session) -> None:
    scheduled = a_task(status=Status.SCHEDULED)
    in_time, later, other = put(
        session,
        scheduled,
        scheduled._replace(id="later", run_at=NOW + 0.1),
        scheduled._replace(id="other", queue="other"),
    )
    put(session, a_task(id="dead", status=Status.DEAD, run_at=NOW - 1))
    assert promote(session) == [None]
    assert promote(session) == []
    assert get(session, in_time).status is Status.QUEUED
    assert get(session, later).status is get(session, other).status is Status.SCHEDULED
    assert get(session, "dead").status is Status.DEAD


@pytest.mark.parametrize("limited", [False, True])
def test_due_tasks_with_a_key_wait_for_a_place_where_places_are_limited(
    session: Session, *, limited: bool
) -> None:
    with_key, without = put(
        session, a_task(status=Status.SCHEDULED, key="k"), a_task(status=Status.SCHEDULED)
    )
    assert set(promote(session, keys_are_limited=limited)) == {"k", None}
    assert get(session, with_key).status is (Status.BLOCKED if limited else Status.QUEUED)
    assert get(session, without).status is Status.QUEUED


def test_due_tasks_become_ready_a_bounded_number_at_a_time_the_oldest_first(
    session: Session,
) -> None:
    count = PROMOTE_LIMIT + 1
    rows = [a_task(status=Status.SCHEDULED, run_at=NOW - number) for number in range(count)]
    put(session, *rows)
    assert len(promote(session)) == PROMOTE_LIMIT
    assert get(session, rows[0].id).status is Status.SCHEDULED
    assert len(promote(session)) == 1
