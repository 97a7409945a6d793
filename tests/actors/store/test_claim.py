"""Claims: which tasks, in which order, for whom, and how many at a rate."""

import threading

import pytest

from task_queue.actors.store import claim as claims
from task_queue.actors.store import queues
from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.claim import Lease, Terms
from task_queue.actors.tasks.settlement import EXPIRED
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Course
from tests.actors.store.calls import (
    attempts,
    call,
    claim,
    claim_suspect,
    claimant,
    claimed_ids,
    get,
    put,
)
from tests.databases import patient
from tests.fakes import DEADLINE_SECONDS, NOW, a_task


def pause(session: Session, queue: str = "tasks", *, paused: bool = True) -> None:
    call(session, lambda connection: queues.set_paused(connection, queue, paused=paused))


def test_tasks_are_claimed_in_the_order_of_their_publishing(session: Session) -> None:
    # Ids that sort against the order show that it is not theirs.
    put(session, a_task(id="c"), a_task(id="b"))
    put(session, a_task(id="a"))
    claimed, more = claim(session)
    assert claimed_ids(claimed) == ["c", "b", "a"]
    assert not more


def test_the_higher_priority_is_claimed_first_and_an_hour_of_waiting_makes_up_for_one(
    session: Session,
) -> None:
    hour = 3_600
    low, high, old = put(
        session,
        a_task(priority=1),
        a_task(priority=2),
        a_task(created_at=int(NOW) - 2 * hour - 1),
    )
    claimed, _ = claim(session)
    assert claimed_ids(claimed) == [old, high, low]


def test_a_claim_takes_at_most_its_limit_and_says_whether_there_is_more(session: Session) -> None:
    expected = put(session, *(a_task() for _ in range(5)))
    first, more = claim(session, limit=3)
    assert (claimed_ids(first), more) == (expected[:3], True)
    second, more = claim(session, limit=3)
    assert (claimed_ids(second), more) == (expected[3:], False)
    assert claim(session, limit=3) == ([], False)


def test_suspects_are_claimed_one_by_one_and_not_with_the_others(session: Session) -> None:
    first, second, fresh = put(session, a_task(losses=1), a_task(losses=2), a_task())
    claimed, more = claim(session)
    assert (claimed_ids(claimed), more) == ([fresh], False)
    for task_id, losses in ((first, 1), (second, 2)):
        suspect = claim_suspect(session)
        assert suspect is not None
        assert (suspect.lease, suspect.attempt) == (Lease(task_id, 9), losses + 1)
        assert (suspect.losses, suspect.is_suspect) == (losses, True)
        assert get(session, task_id).status is Status.RUNNING
    assert claim_suspect(session) is None


def test_a_claim_writes_lease_attempt_and_start(session: Session) -> None:
    (task_id,) = put(session, a_task())
    (claimed,), _ = claim(session, lease_id=2**63 - 1)
    assert (claimed.lease, claimed.attempt) == (Lease(task_id, 2**63 - 1), 1)
    task = get(session, task_id)
    assert (task.status, task.attempt, task.started_at) == (Status.RUNNING, 1, NOW)
    assert task.course.worker == "worker"


def test_a_claim_clears_what_is_shown_of_the_last_attempt(session: Session) -> None:
    course = Course(worker="former", ended_at=NOW - 1, progress=0.9, progress_message="nearly")
    (task_id,) = put(session, a_task(attempt=1, course=course, started_at=NOW - 2))
    claim(session)
    task = get(session, task_id)
    assert (task.started_at, task.course) == (NOW, Course(worker="worker", counted_from=NOW))


def test_a_claim_takes_ready_tasks_of_its_own_queue_only(session: Session) -> None:
    put(session, *(a_task(status=status) for status in Status if status is not Status.QUEUED))
    put(session, a_task(queue="other"))
    assert claim(session) == ([], False)


@pytest.mark.parametrize("columns", [{"attempt": 1}, {"max_attempts": 1}], ids=str)
def test_a_task_that_must_not_wait_is_claimed_only_for_a_free_consumer(
    session: Session, columns: dict[str, int]
) -> None:
    expected = put(session, a_task(), a_task(**columns), a_task())
    claimed, more = claim(session, free=1)
    assert (claimed_ids(claimed), more) == (expected[:1], True)
    left = get(session, expected[1])
    assert (left.status, left.attempt) == (Status.QUEUED, columns.get("attempt", 0))
    assert claim(session, free=0) == ([], True)
    claimed, more = claim(session, free=1)
    assert (claimed_ids(claimed), more) == (expected[1:], False)


def test_what_has_to_be_minded_is_claimed_with_the_task(session: Session) -> None:
    put(session, a_task(key="k", expires_at=NOW + 1, backoff="1.0 2.0 3.0"), a_task())
    (minded, ordinary), _ = claim(session)
    assert minded.terms == Terms("k", NOW + 1, "1.0 2.0 3.0")
    assert ordinary.terms == Terms()


def test_what_expired_is_not_claimed_but_dead(session: Session) -> None:
    late, in_time = put(session, a_task(expires_at=NOW), a_task(expires_at=NOW + 0.001))
    claimed, _ = claim(session)
    assert claimed_ids(claimed) == [in_time]
    task = get(session, late)
    assert (task.status, task.error, task.attempt) == (Status.DEAD, EXPIRED, 0)
    assert task.processed_at == int(NOW)
    assert attempts(session, late) == []


def test_an_expired_suspect_is_dead_too(session: Session) -> None:
    (task_id,) = put(session, a_task(losses=1, expires_at=NOW))
    assert claim_suspect(session) is None
    assert get(session, task_id).status is Status.DEAD


def test_nothing_of_a_paused_queue_is_claimed(session: Session) -> None:
    put(session, a_task(), a_task(losses=1), a_task(queue="other"))
    pause(session)
    with session.transaction():
        assert queues.is_paused(session.connection, "tasks")
        assert not queues.is_paused(session.connection, "other")
    assert claim(session) == ([], False)
    assert claim_suspect(session) is None
    assert len(claim(session, queue="other")[0]) == 1
    pause(session, paused=False)
    assert len(claim(session)[0]) == 1
    assert claim_suspect(session) is not None


def test_two_workers_never_claim_the_same_row(postgres_only: Database) -> None:
    with_rows = Session(patient(postgres_only))
    expected = put(with_rows, *(a_task() for _ in range(400)))
    with_rows.close()
    together = threading.Barrier(2)
    taken: list[list[str]] = [[], []]

    def work(number: int) -> None:
        session = Session(patient(postgres_only))
        together.wait(DEADLINE_SECONDS)
        more = True
        while more:
            claimed, more = claim(session, limit=3, lease_id=number)
            taken[number] += claimed_ids(claimed)
        session.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert sorted(taken[0] + taken[1]) == expected


def test_a_claim_does_not_wait_for_rows_that_another_worker_is_claiming(
    postgres_only: Database,
) -> None:
    mine, theirs = (Session(patient(postgres_only)) for _ in range(2))
    expected = put(mine, *(a_task() for _ in range(4)))
    with mine.transaction():
        first, _ = claims.claim(mine.connection, claimant(), limit=2, free=2)
        second, _ = claim(theirs, limit=2)
    assert (claimed_ids(first), claimed_ids(second)) == (expected[:2], expected[2:])
    mine.close()
    theirs.close()


def started(session: Session, now: float, rate_limit: float = 4.0) -> int:
    return len(claim(session, limit=100, now=now, rate_limit=rate_limit)[0])


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_more_tasks_are_started_than_the_rate_allows(session: Session) -> None:
    put(session, *(a_task() for _ in range(100)))
    seen = [started(session, NOW + quarter / 4) for quarter in range(9)]
    assert seen == [2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert started(session, NOW + 60) == 2  # however long it was idle
    assert started(session, NOW - 3_600) == 0  # whatever the clock does
    assert started(session, NOW - 3_600 + 0.5) == 2


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_rate_below_one_a_second_is_kept_too(session: Session) -> None:
    put(session, *(a_task() for _ in range(10)))
    assert [started(session, NOW + second, rate_limit=0.5) for second in range(5)] == [
        1,
        0,
        1,
        0,
        1,
    ]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_what_is_not_started_costs_no_token(session: Session) -> None:
    put(session, a_task(attempt=1), a_task(expires_at=NOW), a_task(losses=1))
    with session.transaction():
        # One must not wait, and nobody is free.
        claimed, _ = claims.claim(session.connection, claimant(rate_limit=4.0), limit=9, free=0)
    assert claimed == []
    assert started(session, NOW) == 1
    assert claim_suspect(session, rate_limit=4.0) is not None
    assert claim_suspect(session, rate_limit=4.0) is None
    put(session, a_task())
    assert started(session, NOW) == 0


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_suspect_needs_a_token_like_others(session: Session) -> None:
    put(session, a_task(), a_task(), a_task(losses=1))
    assert started(session, NOW) == 2
    assert claim_suspect(session, rate_limit=4.0) is None
    assert claim_suspect(session, now=NOW + 0.25, rate_limit=4.0) is not None


def test_each_queue_has_a_rate_of_its_own(session: Session) -> None:
    put(session, *(a_task(queue=queue) for queue in ("tasks", "other") for _ in range(10)))
    assert len(claim(session, rate_limit=0.001)[0]) == 1
    assert len(claim(session, rate_limit=0.001, queue="other")[0]) == 1
    assert len(claim(session, rate_limit=0.001)[0]) == 0


def test_two_nodes_with_clocks_far_apart_share_one_rate(postgres_only: Database) -> None:
    nodes = [Session(postgres_only) for _ in range(2)]
    put(nodes[0], *(a_task() for _ in range(100)))
    seen = [started(node, NOW + day, 0.001) for day in range(5) for node in nodes]
    assert seen == [1] + [0] * 9
    for node in nodes:
        node.close()


def test_two_nodes_never_spend_the_same_token(postgres_only: Database) -> None:
    together = threading.Barrier(2)
    taken = [0, 0]
    with_rows = Session(patient(postgres_only))
    put(with_rows, *(a_task() for _ in range(100)))
    with_rows.close()

    def work(number: int) -> None:
        session = Session(patient(postgres_only))
        together.wait(DEADLINE_SECONDS)
        for _ in range(20):
            taken[number] += len(claim(session, limit=1, lease_id=number, rate_limit=0.001)[0])
        session.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert sum(taken) == 1
