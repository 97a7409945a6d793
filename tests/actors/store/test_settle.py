"""What becomes of claimed tasks, and what is refused."""

import pytest

from task_queue.actors.errors import BadRowError
from task_queue.actors.store import changes
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.settlement import Failure, Settlement, ack, drained, requeue
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from tests.actors.store.calls import a_claimed_task, attempts, call, claim, get, put, settle
from tests.fakes import NOW, a_task

NOT_HELD = Settlement(Lease("nobody", 1), Status.COMPLETED, attempt=1)


def done(claimed: ClaimedTask, result: str = "1") -> Settlement:
    return ack(claimed, result, NOW + 1, NOW + 2.5)


def failed(claimed: ClaimedTask, status: Status, **columns: object) -> Settlement:
    settlement = Settlement(
        claimed.lease,
        status,
        claimed.attempt,
        error="no",
        failure=Failure("no"),
        ended_at=NOW + 2.5,
        processed_at=int(NOW) if status in FINAL else None,
    )
    return settlement._replace(**columns)  # type: ignore[arg-type] # any of them


def test_losses_are_kept_by_every_settlement(session: Session) -> None:
    claimed = a_claimed_task(session)
    settle(session, failed(claimed, Status.SCHEDULED, losses=3))
    assert get(session, claimed.lease.task_id).losses == 3


def test_a_completed_task_keeps_its_result_and_the_times_of_its_attempt(session: Session) -> None:
    claimed = a_claimed_task(session, attempt=1, error="last time")
    assert settle(session, done(claimed, '{"output":1}')) == []
    task = get(session, claimed.lease.task_id)
    assert (task.status, task.result, task.error) == (Status.COMPLETED, '{"output":1}', None)
    assert (task.attempt, task.processed_at) == (2, int(NOW) + 2)
    assert (task.started_at, task.course.ended_at) == (NOW + 1, NOW + 2.5)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.DEAD, Status.CANCELLED])
def test_a_failed_task_keeps_its_error_and_has_its_attempt_recorded(
    session: Session, status: Status
) -> None:
    claimed = a_claimed_task(session)
    failure = Failure("no", Outcome.TIMED_OUT, started_at=NOW + 1, traceback="line")
    settle(session, failed(claimed, status, run_at=NOW + 0.5, postponed=3, failure=failure))
    task = get(session, claimed.lease.task_id)
    assert (task.status, task.error, task.run_at) == (status, "no", NOW + 0.5)
    assert task.course.postponed == 3
    (attempt,) = attempts(session, task.id)
    assert (attempt.number, attempt.outcome, attempt.worker) == (1, Outcome.TIMED_OUT, "worker")
    assert (attempt.error, attempt.traceback, attempt.ended_at) == ("no", "line", NOW + 2.5)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.QUEUED])
def test_what_somebody_asked_to_cancel_is_not_started_again_but_cancelled(
    session: Session, status: Status
) -> None:
    asked, other = a_claimed_task(session), a_claimed_task(session)
    call(session, lambda connection: changes.cancel(connection, asked.lease.task_id, NOW + 0.75))
    settle(session, *(failed(claimed, status) for claimed in (asked, other)))
    assert get(session, other.lease.task_id).status is status
    task = get(session, asked.lease.task_id)
    ended = failed(asked, status).ended_second
    assert (task.status, task.processed_at) == (Status.CANCELLED, ended), "not when it was asked"
    assert [attempt.outcome for attempt in attempts(session, task.id)] == [Outcome.FAILED]


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.DEAD])
def test_what_ended_before_it_could_be_cancelled_is_what_it_came_to(
    session: Session, status: Status
) -> None:
    claimed = a_claimed_task(session)
    call(session, lambda connection: changes.cancel(connection, claimed.lease.task_id, NOW))
    settle(session, done(claimed) if status is Status.COMPLETED else failed(claimed, status))
    assert get(session, claimed.lease.task_id).status is status


def test_a_moment_that_is_not_named_stays_as_it_was(session: Session) -> None:
    claimed = a_claimed_task(session, run_at=NOW - 5)
    settle(session, drained(claimed, NOW + 3))
    task = get(session, claimed.lease.task_id)
    assert (task.run_at, task.started_at) == (NOW - 5, NOW)
    (attempt,) = attempts(session, task.id)
    assert (attempt.started_at, attempt.ended_at) == (NOW, NOW + 3)


def test_a_requeued_task_gets_its_attempt_back_and_keeps_its_last_error(session: Session) -> None:
    claimed = a_claimed_task(session, attempt=2, error="last time")
    assert claimed.attempt == 3
    settle(session, requeue(claimed))
    task = get(session, claimed.lease.task_id)
    assert (task.status, task.attempt, task.error) == (Status.QUEUED, 2, "last time")
    assert (task.started_at, task.course.worker) == (None, None)  # it did not run
    (again,), _ = claim(session)
    assert again.attempt == 3


def test_a_settlement_without_the_lease_is_refused_and_writes_nothing(session: Session) -> None:
    claimed = a_claimed_task(session)
    forged = claimed._replace(lease=claimed.lease._replace(lease_id=2))
    before = get(session, claimed.lease.task_id)
    assert settle(session, done(forged)) == [forged.lease]
    assert get(session, claimed.lease.task_id) == before
    assert settle(session, done(claimed)) == []
    assert settle(session, done(claimed, "2")) == [claimed.lease]
    assert get(session, claimed.lease.task_id).result == "1"


def test_of_several_settlements_none_is_written_if_one_is_refused(session: Session) -> None:
    claimed = a_claimed_task(session)
    lost = failed(claimed._replace(lease=NOT_HELD.lease), Status.DEAD)
    for mine in (done(claimed), failed(claimed, Status.DEAD)):
        for other in (NOT_HELD, lost):
            with pytest.raises(BadRowError, match="1 of 2 leases"):
                settle(session, mine, other)
    assert get(session, claimed.lease.task_id).status is Status.RUNNING
    assert [attempt.outcome for attempt in attempts(session, claimed.lease.task_id)] == [None]


def test_several_settlements_are_written_together(session: Session) -> None:
    put(session, *(a_task() for _ in range(5)))
    one, two, three, four, five = claimed = claim(session)[0]
    settlements = [
        done(one, "1"),
        failed(two, Status.DEAD),
        done(three, "3"),
        requeue(four),
        failed(five, Status.SCHEDULED),
    ]
    assert settle(session, *settlements) == []
    rows = [get(session, task.lease.task_id) for task in claimed]
    assert [(row.status, row.result) for row in rows] == [
        (Status.COMPLETED, "1"),
        (Status.DEAD, None),
        (Status.COMPLETED, "3"),
        (Status.QUEUED, None),
        (Status.SCHEDULED, None),
    ]
    assert [len(attempts(session, row.id)) for row in rows] == [1, 1, 1, 0, 1]
