"""What users do to tasks that are there: cancel, retry, delete, redrive, purge."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.store import changes, leases
from task_queue.actors.store import claim as claims
from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.settlement import Failure, ack, nack, requeue
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from task_queue.actors.tasks.task import NOT_BEGUN, Options, rank
from tests.actors.store.calls import attempts, call, claim, claimant, counts, find, get, put, settle
from tests.actors.store.races import while_held
from tests.fakes import NOW, a_task

LATER = NOW + 100.5
WAITING = (Status.SCHEDULED, Status.BLOCKED, Status.QUEUED)
PUT_BACK = (Status.DEAD, Status.CANCELLED)
BACKOFF = Backoff(1.0, 2.0, 60.0)


def cancel(session: Session, task_id: str, now: float = LATER) -> Status:
    return call(session, lambda connection: changes.cancel(connection, task_id, now))


def retry(session: Session, task_id: str, now: float = LATER) -> Status:
    return call(session, lambda connection: changes.retry(connection, task_id, now))


def delete(session: Session, task_id: str) -> None:
    call(session, lambda connection: changes.delete(connection, task_id))


def redrive(session: Session, *run_at: tuple[str, float]) -> int:
    return call(session, lambda connection: changes.redrive(connection, dict(run_at), LATER))


def purge(session: Session, limit: int = 100, created_until: float = NOW) -> int:
    purged = call(
        session,
        lambda connection: changes.purge(connection, "tasks", limit, int(created_until), LATER),
    )
    return len(purged)


def in_all_states(statuses: Iterable[Status]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("status", list(statuses))


# --- of the queues that the user sees ---------------------------------------------------------


@pytest.mark.parametrize("status", [Status.QUEUED, Status.DEAD, Status.COMPLETED])
def test_a_task_of_a_queue_that_the_user_does_not_see_is_not_there(
    session: Session, status: Status
) -> None:
    (task_id,) = put(session, a_task(queue="secret", status=status))
    before = get(session, task_id)
    for queues in ({"mail", "tasks"}, set()):
        for change in (
            lambda c, queues=queues: changes.cancel(c, task_id, LATER, queues),
            lambda c, queues=queues: changes.retry(c, task_id, LATER, queues),
            lambda c, queues=queues: changes.delete(c, task_id, queues),
        ):
            with pytest.raises(NotFoundError, match=r"^task not found$"):
                call(session, change)
    assert get(session, task_id) == before


def test_a_task_of_a_queue_that_the_user_sees_is_there(session: Session) -> None:
    task_id, other = put(session, a_task(queue="mail"), a_task(queue="mail"))
    seen = frozenset({"mail", "sms"})
    assert call(session, lambda c: changes.cancel(c, task_id, LATER, seen)) is Status.CANCELLED
    assert call(session, lambda c: changes.retry(c, task_id, LATER, seen)) is Status.QUEUED
    call(session, lambda c: changes.cancel(c, other, LATER, seen))
    call(session, lambda c: changes.delete(c, other, seen))
    assert find(session, other) is None


# --- cancel ---------------------------------------------------------------------------------


@in_all_states(WAITING)
def test_a_task_that_waits_is_cancelled_at_once(session: Session, status: Status) -> None:
    (task_id,) = put(session, a_task(status=status, key="k"))
    assert cancel(session, task_id) is Status.CANCELLED
    task = get(session, task_id)
    assert (task.status, task.processed_at) == (Status.CANCELLED, int(LATER))
    assert task.course.cancel_requested_at == int(LATER)
    assert counts(session) == {Status.CANCELLED: 1}
    assert claim(session) == ([], False)


def test_a_task_that_runs_is_asked_to_stop(session: Session) -> None:
    (task_id,) = put(session, a_task())
    (claimed,), _ = claim(session, leased_until=NOW + 60)
    assert cancel(session, task_id) is Status.RUNNING
    assert cancel(session, task_id, LATER + 5) is Status.RUNNING  # once more changes nothing
    assert get(session, task_id).course.cancel_requested_at == int(LATER)
    with session.transaction():
        lapsed, cancelling = leases.lapsed(session.connection, queue="tasks", now=NOW)
    assert (lapsed, cancelling) == ([], [claimed.lease])


@pytest.mark.parametrize("how", ["nack", "lost", "given back"])
def test_a_task_that_was_asked_to_stop_is_not_run_again(session: Session, how: str) -> None:
    (task_id,) = put(session, a_task())
    (claimed,), _ = claim(session)
    cancel(session, task_id)
    if how == "given back":
        settle(session, requeue(claimed))
    else:
        failure = Failure("no", Outcome.LOST if how == "lost" else Outcome.FAILED)
        settle(session, nack(claimed, failure, backoff=BACKOFF, now=LATER + 5, random=lambda: 0.5))
    task = get(session, task_id)
    assert (task.status, task.processed_at is None) == (Status.CANCELLED, False)
    assert claim(session) == ([], False)
    assert counts(session) == {Status.CANCELLED: 1}


def test_a_task_that_is_done_before_it_hears_that_it_should_stop_is_completed(
    session: Session,
) -> None:
    (task_id,) = put(session, a_task())
    (claimed,), _ = claim(session)
    cancel(session, task_id)
    settle(session, ack(claimed, "1", NOW, LATER))
    assert get(session, task_id).status is Status.COMPLETED


@in_all_states(FINAL)
def test_a_final_task_is_not_cancelled(session: Session, status: Status) -> None:
    task = a_task(status=status)
    put(session, task)
    with pytest.raises(ConflictError, match=f"the task is {status}"):
        cancel(session, task.id)
    assert get(session, task.id) == task


def test_a_cancel_waits_for_a_claim_on_another_node_and_asks_it_to_stop(
    postgres_only: Database,
) -> None:
    session = Session(postgres_only)
    (task_id,) = put(session, a_task())
    status = while_held(
        postgres_only,
        lambda first: claims.claim(first.connection, claimant(), limit=1, free=1),
        lambda second: cancel(second, task_id),
    )
    assert status is Status.RUNNING
    assert get(session, task_id).course.cancel_requested_at == int(LATER)
    session.close()


# --- retry and redrive ----------------------------------------------------------------------


@in_all_states(PUT_BACK)
def test_a_task_is_put_back_with_all_its_attempts(session: Session, status: Status) -> None:
    options = Options(keep_result_seconds=5, expires_at=NOW + 1, unique_key="u")
    task = a_task(status=status, attempt=5, error="no", priority=3, options=options)
    put(session, task)
    assert retry(session, task.id) is Status.QUEUED
    assert get(session, task.id) == task._replace(
        status=Status.QUEUED,
        attempt=0,
        run_at=LATER,
        rank=rank(LATER, 3),
        processed_at=None,
        options=replace(options, expires_at=None),  # or it would be dead again at once
        course=NOT_BEGUN,
    )
    (claimed,), _ = claim(session)
    assert claimed.attempt == 1


def test_a_retried_task_keeps_the_attempts_it_had_and_counts_anew(session: Session) -> None:
    (task_id,) = put(session, a_task(max_attempts=1))
    for error in ("first", "second"):
        (claimed,), _ = claim(session)
        settle(session, nack(claimed, Failure(error), backoff=BACKOFF, now=NOW, random=lambda: 0.5))
        retry(session, task_id)
    seen = [(attempt.number, attempt.error) for attempt in attempts(session, task_id)]
    assert seen == [(1, "first"), (1, "second")]


def test_a_cancelled_task_that_is_retried_is_not_cancelled_again(session: Session) -> None:
    (task_id,) = put(session, a_task())
    cancel(session, task_id)
    retry(session, task_id)
    (claimed,), _ = claim(session)
    settle(session, nack(claimed, Failure("no"), backoff=BACKOFF, now=NOW, random=lambda: 0.5))
    assert get(session, task_id).status is Status.SCHEDULED


@in_all_states([each for each in Status if each not in PUT_BACK])
def test_a_task_in_another_state_is_not_retried(session: Session, status: Status) -> None:
    task = a_task(status=status)
    put(session, task)
    with pytest.raises(ConflictError, match=f"the task is {status.shown}"):
        retry(session, task.id)
    assert get(session, task.id) == task


def test_a_task_whose_unique_key_went_to_another_is_not_put_back(session: Session) -> None:
    dead, holder = put(
        session, a_task(status=Status.DEAD, unique_key="u"), a_task(unique_key="u", run_at=LATER)
    )
    with pytest.raises(ConflictError, match=f"'u' has gone to the task {holder}"):
        retry(session, dead)
    assert redrive(session, (dead, LATER)) == 0
    assert get(session, dead).status is Status.DEAD
    cancel(session, holder)
    assert retry(session, dead) is Status.QUEUED


@pytest.mark.parametrize("how", ["retry", "redrive"])
def test_a_task_that_was_asked_to_stop_is_in_nobodys_way(session: Session, how: str) -> None:
    dead, holder = put(
        session,
        a_task(status=Status.DEAD, unique_key="u"),
        a_task(status=Status.RUNNING, unique_key="u"),
    )
    cancel(session, holder)
    if how == "retry":
        assert retry(session, dead) is Status.QUEUED
    else:
        assert redrive(session, (dead, LATER)) == 1
    assert get(session, holder).status is Status.RUNNING


def test_a_task_that_stopped_is_not_put_back_over_the_one_that_came_after_it(
    session: Session,
) -> None:
    (first,) = put(session, a_task(unique_key="u"))
    (claimed,), _ = claim(session)
    cancel(session, first)
    (second,) = put(session, a_task(unique_key="u"))
    settle(session, requeue(claimed))
    assert get(session, first).status is Status.CANCELLED
    with pytest.raises(ConflictError, match=f"'u' has gone to the task {second}"):
        retry(session, first)


def test_dead_tasks_are_put_back_each_at_its_time(session: Session) -> None:
    now, later = put(session, *(a_task(status=Status.DEAD) for _ in range(2)))
    others = put(
        session, *(a_task(status=status) for status in Status if status is not Status.DEAD)
    )
    before = [get(session, task_id) for task_id in others]
    moments = [(now, LATER), (later, LATER + 0.5), *((each, LATER) for each in others)]
    assert redrive(session, *moments, ("nobody", LATER)) == 2
    assert (get(session, now).status, get(session, now).run_at) == (Status.QUEUED, LATER)
    assert (get(session, later).status, get(session, later).run_at) == (
        Status.SCHEDULED,
        LATER + 0.5,
    )
    assert [get(session, task_id) for task_id in others] == before


def test_of_dead_tasks_with_one_unique_key_one_is_put_back(session: Session) -> None:
    dead = put(session, *(a_task(status=Status.DEAD, unique_key="u") for _ in range(3)))
    assert redrive(session, *((task_id, LATER) for task_id in dead)) == 1
    assert counts(session) == {Status.QUEUED: 1, Status.DEAD: 2}


def test_a_redrive_of_nothing_does_nothing(session: Session) -> None:
    assert redrive(session) == 0


# --- delete ---------------------------------------------------------------------------------


@in_all_states(FINAL)
def test_a_final_task_is_forgotten_with_its_attempts(session: Session, status: Status) -> None:
    (task_id,) = put(session, a_task(max_attempts=1))
    (claimed,), _ = claim(session)
    settle(session, nack(claimed, Failure("no"), backoff=BACKOFF, now=NOW, random=lambda: 0.5))
    retry(session, task_id)
    if status is Status.CANCELLED:
        cancel(session, task_id)
    else:
        (claimed,), _ = claim(session)
        failed = nack(claimed, Failure("no"), backoff=BACKOFF, now=NOW, random=lambda: 0.5)
        settle(session, failed if status is Status.DEAD else ack(claimed, "1", NOW, NOW))
    assert attempts(session, task_id)
    delete(session, task_id)
    assert find(session, task_id) is None
    assert counts(session) == {}
    put(session, a_task(id=task_id))
    assert attempts(session, task_id) == []


@in_all_states([each for each in Status if each not in FINAL])
def test_a_task_that_is_not_final_is_not_deleted(session: Session, status: Status) -> None:
    task = a_task(status=status)
    put(session, task)
    with pytest.raises(ConflictError, match=f"the task is {status.shown}"):
        delete(session, task.id)
    assert get(session, task.id) == task


# --- purge ----------------------------------------------------------------------------------


def test_a_purge_cancels_all_that_waits_and_nothing_else(session: Session) -> None:
    (running,) = put(session, a_task())
    claim(session)
    waiting = put(session, *(a_task(status=status) for status in WAITING))
    others = [
        *(a_task(status=status) for status in FINAL),
        *(a_task(status=status, queue="other") for status in WAITING),
        *(a_task(status=status, created_at=int(NOW) + 1) for status in WAITING),
    ]
    put(session, *others)
    assert purge(session) == 3
    for task_id in waiting:
        task = get(session, task_id)
        assert (task.status, task.processed_at) == (Status.CANCELLED, int(LATER))
    assert get(session, running).status is Status.RUNNING
    assert [get(session, task.id) for task in others] == others
    assert purge(session) == 0


def test_a_purge_takes_no_more_than_its_limit_at_a_time_the_oldest_first(session: Session) -> None:
    rows = [
        a_task(status=status, created_at=int(NOW) - age) for status in WAITING for age in (1, 3, 2)
    ]
    put(session, *rows)
    steps = [purge(session, limit=4) for _ in range(4)]
    assert steps == [4, 4, 1, 0]
    young = a_task(created_at=int(NOW) - 1)
    old = a_task(created_at=int(NOW) - 2)
    put(session, young, old)
    assert purge(session, limit=1) == 1
    assert (get(session, old.id).status, get(session, young.id).status) == (
        Status.CANCELLED,
        Status.QUEUED,
    )


@pytest.mark.parametrize("what", [cancel, retry, delete])
def test_a_task_that_is_not_there_is_not_found(
    session: Session, what: Callable[[Session, str], object]
) -> None:
    with pytest.raises(NotFoundError):
        what(session, "nobody")
