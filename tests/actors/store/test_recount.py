"""What a clock that was ahead has left is counted anew, and nothing else."""

from typing import Any

import pytest
import sqlalchemy as sa

from task_queue.actors.store import changes, leases, recount
from task_queue.actors.store.claim import claim
from task_queue.actors.store.due import promote
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.store.settle import settle
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.new import QueueInfo, task_of
from task_queue.actors.tasks.settlement import Failure, nack
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Task, rank
from tests.actors.store.calls import call, claimant, get, put
from tests.fakes import NOW

HOUR = 3_600.0
JUMPS = pytest.mark.parametrize("ahead", [HOUR, 30 * 24 * HOUR], ids=["hour", "month"])
QUEUE = QueueInfo(name="tasks", max_attempts=5, backoff=Backoff(1.0, 2.0, 60.0))


def a_publish(number: int, now: float, **members: Any) -> Task:  # noqa: ANN401 - any member
    members = {"action": "x", "data": "{}", **members}
    return task_of(f"0190b6a4-0000-7000-8000-{number:012}", QUEUE, members, now)


def count_anew(session: Session, now: float = NOW) -> int:
    return call(session, lambda connection: recount.recount(connection, "tasks", now))


def claimed(session: Session, now: float, number: int = 1) -> list[Any]:
    terms = claimant(now=now, leased_until=now + 30)
    return call(session, lambda each: claim(each, terms, limit=number, free=number))[0]


@JUMPS
def test_a_delay_goes_on_as_if_it_had_begun_now(session: Session, ahead: float) -> None:
    task = a_publish(1, NOW + ahead, delay_seconds=600)
    put(session, task)
    assert count_anew(session) == 1
    assert get(session, task.id).run_at == NOW + 600
    assert count_anew(session, NOW + 5) == 0
    assert call(session, lambda each: promote(each, "tasks", NOW + 600, keys_are_limited=False))


@JUMPS
def test_a_time_that_the_publisher_named_stays(session: Session, ahead: float) -> None:
    task = a_publish(1, NOW + ahead, run_at=NOW + ahead + 600, expires_at=NOW + ahead + 900)
    put(session, task)
    assert count_anew(session) == 0
    assert get(session, task.id) == task


@JUMPS
@pytest.mark.parametrize("failure", [Failure("bad"), Failure("later", retry_after=9.0)], ids=str)
def test_a_task_that_failed_is_tried_again_after_its_backoff(
    session: Session, ahead: float, failure: Failure
) -> None:
    put(session, a_publish(1, NOW - 60))
    (task,) = claimed(session, NOW)
    later = NOW + ahead
    settlement = nack(task, failure, backoff=QUEUE.backoff, now=later, random=lambda: 0.5)
    assert call(session, lambda each: settle(each, [settlement])) == []
    assert count_anew(session) == 1
    wait = (settlement.run_at or 0.0) - later
    assert get(session, task.lease.task_id).run_at == pytest.approx(NOW + wait, abs=1e-5)


@JUMPS
@pytest.mark.parametrize("renewed", [False, True])
def test_a_lease_of_a_node_that_is_gone_lapses_after_its_time(
    session: Session,
    ahead: float,
    renewed: bool,  # noqa: FBT001
) -> None:
    put(session, a_publish(1, NOW - 60))
    later = NOW + ahead
    (task,) = claimed(session, NOW if renewed else later)
    if renewed:
        call(session, lambda each: leases.renew(each, [task.lease], later + 30, later))
    assert call(session, lambda each: leases.lapsed(each, "tasks", NOW + 31))[0] == []
    assert count_anew(session) == 1
    assert call(session, lambda each: leases.lapsed(each, "tasks", NOW + 29))[0] == []
    assert call(session, lambda each: leases.lapsed(each, "tasks", NOW + 31))[0] == [task]


@JUMPS
def test_what_was_published_by_a_clock_ahead_does_not_starve_behind_what_is_new(
    session: Session, ahead: float
) -> None:
    before = [a_publish(number, NOW + ahead + number, priority=number % 2) for number in range(4)]
    put(session, *before, a_publish(5, NOW + 1), a_publish(6, NOW + 1, priority=-100))
    assert count_anew(session) == 4
    order = [task.lease.task_id[-1] for task in claimed(session, NOW + 2, 6)]
    assert order == ["1", "3", "0", "2", "5", "6"]


def test_what_waits_in_its_own_right_stays(session: Session) -> None:
    waiting = [
        a_publish(1, NOW - 5, delay_seconds=9_000_000),
        a_publish(2, NOW + TOLERANCE_SECONDS, delay_seconds=5),  # of a node that is ahead a little
        a_publish(3, NOW, priority=-100),
    ]
    put(session, *waiting)
    (task,) = claimed(session, NOW)
    assert task.lease.task_id == waiting[2].id
    assert count_anew(session) == 0
    assert [get(session, each.id) for each in waiting[:2]] == waiting[:2]


def test_other_queues_are_left_to_themselves(session: Session) -> None:
    put(session, *(a_publish(number, NOW + HOUR, delay_seconds=5) for number in range(20)))
    assert call(session, lambda each: recount.recount(each, "mail", NOW)) == 0
    assert count_anew(session) == 20
    run_at = call(session, lambda each: list(each.scalars(sa.select(tasks.c.run_at))))
    assert set(run_at) == {NOW + 5}


@JUMPS
def test_what_was_published_by_a_clock_ahead_is_purged_with_the_rest(
    session: Session, ahead: float
) -> None:
    put(session, a_publish(1, NOW), a_publish(2, NOW + ahead), a_publish(3, NOW + 10))
    purged = call(session, lambda each: changes.purge(each, "tasks", 9, int(NOW), NOW + 1))
    assert len(purged) == 2


@JUMPS
def test_a_task_put_back_by_a_clock_ahead_waits_as_long_as_it_was_to(
    session: Session, ahead: float
) -> None:
    later = NOW + ahead
    task = a_publish(1, NOW - 60)._replace(status=Status.DEAD, processed_at=int(NOW))
    put(session, task)
    call(session, lambda each: changes.redrive(each, {task.id: later + 20}, later))
    assert count_anew(session) == 1
    assert get(session, task.id).run_at == NOW + 20
    call(session, lambda each: promote(each, "tasks", NOW + 20, keys_are_limited=False))
    assert count_anew(session, NOW + 20) == 1
    assert get(session, task.id).rank == rank(NOW + 20, 0)
