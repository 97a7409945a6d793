"""At most so many tasks with the same key at once, on however many nodes."""

from itertools import count

import pytest
import sqlalchemy as sa

from task_queue.actors.messages.changes import CancelTask, RetryTask
from task_queue.actors.messages.queue import Claimed, Tended, Unblocked
from task_queue.actors.messages.writer import Claim, Insert, KeyPlace, Settle, Tend
from task_queue.actors.store import changes, concurrency
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.concurrency import SWEEP_KEYS
from task_queue.actors.store.database import Database
from task_queue.actors.store.notices import AnyWrite
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.conditions import Conditions
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.settlement import ack, requeue
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.task import Task
from tests.actors.store.calls import call, claim, claimant, claimed_ids, counts, get, put, settle
from tests.actors.store.races import race, while_held
from tests.databases import patient
from tests.fakes import NOW, Inbox, a_task

LIMIT = 2
LIMITS = {"tasks": QueueLimits(concurrency_per_key=LIMIT)}


def a_blocked(key: str = "k", **columns: object) -> Task:
    return a_task(status=Status.BLOCKED, key=key, **columns)


def unblock(session: Session, key: str = "k", limit: int = LIMIT) -> int:
    return call(session, lambda connection: locked_unblock(connection, key, limit))


def locked_unblock(connection: sa.Connection, key: str, limit: int = LIMIT) -> int:
    concurrency.lock(connection, [("tasks", key, limit)])
    return concurrency.unblock(connection, "tasks", key, limit)


def sweep(session: Session, after: str = "", limit: int = LIMIT) -> Tended:
    inbox = Inbox()
    commit(session, Tend(inbox, "tasks", NOW, NOW, limit, sweep_after=after))
    return inbox.wait_for(Tended, 0)


def commit(session: Session, *writes: AnyWrite) -> None:
    """Commit these, and tell what came of it."""
    with session.transaction():
        notices = Commit(session, NOW).run(writes)
    notices.send()


def an_insert(inbox: Inbox, *rows: Task) -> Insert:
    return Insert(inbox, rows, conditions=Conditions(limits=LIMITS))


def a_claim(inbox: Inbox, lease_id: int = 1) -> Claim:
    return Claim(inbox, claimant(lease_id=lease_id), limit=10, free=10)


def a_settle(inbox: Inbox, claimed: ClaimedTask) -> Settle:
    done = ack(claimed, "1", NOW, NOW)
    return Settle(inbox, done, KeyPlace("tasks", claimed.terms.key or "", LIMIT))


def statuses(session: Session, ids: list[str]) -> list[Status]:
    return [get(session, task_id).status for task_id in ids]


def test_as_many_go_as_there_are_places_the_first_by_rank(session: Session) -> None:
    low, high, old, young = put(
        session,
        a_blocked(priority=-1),
        a_blocked(priority=1),
        a_blocked(),
        a_blocked(),
    )
    assert unblock(session) == 2
    assert unblock(session) == 0
    assert claimed_ids(claim(session)[0]) == [high, old]
    assert statuses(session, [low, young]) == [Status.BLOCKED] * 2


@pytest.mark.parametrize("status", list(Status))
def test_the_queued_and_the_running_take_a_place_and_no_others(
    session: Session, status: Status
) -> None:
    put(session, a_task(status=status, key="k"), a_blocked(), a_blocked(), a_blocked())
    takes_a_place = status in {Status.QUEUED, Status.RUNNING}
    assert unblock(session) == (1 if takes_a_place else 2)


def test_tasks_of_other_keys_and_queues_take_no_place(session: Session) -> None:
    put(session, *(a_task(key="other") for _ in range(3)))
    put(session, *(a_task(key="k", queue="other") for _ in range(3)))
    mine, *others = put(session, a_blocked(), a_blocked("other"), a_blocked(queue="other"))
    assert unblock(session) == 1
    assert get(session, mine).status is Status.QUEUED
    assert statuses(session, others) == [Status.BLOCKED] * 2


def test_without_a_limit_all_go(session: Session) -> None:
    put(session, *(a_blocked() for _ in range(5)))
    assert unblock(session, limit=0) == 5


def test_a_publish_lets_go_what_may_run_in_the_same_commit(session: Session) -> None:
    inbox = Inbox()
    rows = [a_blocked(), a_blocked(), a_blocked(), a_blocked("other"), a_task()]
    commit(session, an_insert(inbox, *rows), a_claim(inbox))
    expected = [rows[0].id, rows[1].id, rows[3].id, rows[4].id]
    (claimed,) = inbox.all_of(Claimed)
    assert claimed_ids(claimed.tasks) == expected
    assert get(session, rows[2].id).status is Status.BLOCKED


def test_a_settlement_lets_the_next_one_go_and_its_queue_is_told(session: Session) -> None:
    inbox = Inbox()
    rows = [a_blocked() for _ in range(4)]
    commit(session, an_insert(inbox, *rows))
    first, second = claim(session)[0]
    inbox.messages.clear()
    commit(session, a_settle(inbox, first))
    assert inbox.all_of(Unblocked)
    commit(session, a_settle(inbox, second), a_claim(inbox))
    (claimed,) = inbox.all_of(Claimed)
    assert claimed_ids(claimed.tasks) == [rows[2].id, rows[3].id]


def test_a_task_that_is_given_back_keeps_its_place(session: Session) -> None:
    put(session, a_task(key="k"), a_task(key="k"), a_blocked())
    claimed, _ = claim(session)
    settle(session, requeue(claimed[0]))
    assert unblock(session) == 0


def test_a_scheduled_task_with_a_key_asks_for_a_place_when_it_is_due(session: Session) -> None:
    inbox = Inbox()
    running = put(session, a_task(key="k"))
    due = put(session, *(a_task(status=Status.SCHEDULED, key="k") for _ in range(2)))
    claim(session)
    commit(session, Tend(inbox, "tasks", NOW, NOW, LIMIT))
    assert statuses(session, due) == [Status.QUEUED, Status.BLOCKED]
    assert get(session, running[0]).status is Status.RUNNING


def test_a_retried_task_with_a_key_asks_for_a_place_too(session: Session) -> None:
    inbox = Inbox()
    put(session, a_task(key="k"), a_task(key="k"))
    (dead,) = put(session, a_task(status=Status.DEAD, key="k"))
    commit(session, RetryTask(dead, NOW))
    commit(session, Tend(inbox, "tasks", NOW, NOW, LIMIT))
    assert get(session, dead).status is Status.BLOCKED


def test_a_sweep_finds_the_place_of_a_cancelled_task(session: Session) -> None:
    inbox = Inbox()
    (cancelled, _, blocked) = put(session, a_task(key="k"), a_task(key="k"), a_blocked())
    commit(session, CancelTask(cancelled, NOW))
    assert get(session, blocked).status is Status.BLOCKED
    commit(session, Tend(inbox, "tasks", NOW, NOW, LIMIT, sweep_after=""))
    assert get(session, blocked).status is Status.QUEUED
    assert inbox.messages == [Tended(promoted=0, lapsed=(), swept=1), Unblocked()]


@pytest.mark.parametrize(("limit", "ready"), [(LIMIT, 0), (LIMIT + 1, 2), (0, 6)])
def test_a_sweep_after_a_limit_was_raised_or_lifted_lets_more_go(
    session: Session, limit: int, ready: int
) -> None:
    put(session, *(a_task(key=key) for key in "kl" for _ in range(LIMIT)))
    put(session, *(a_blocked(key) for key in "kl" for _ in range(3)))
    assert sweep(session, limit=limit) == Tended(0, (), swept=2)
    assert counts(session).get(Status.QUEUED) == 2 * LIMIT + ready


def test_a_sweep_looks_at_so_many_keys_and_goes_on_from_there(session: Session) -> None:
    names = [f"key {number:03}" for number in range(SWEEP_KEYS + 5)]
    put(session, *(a_blocked(name) for name in names for _ in range(3)))
    last = names[SWEEP_KEYS - 1]
    assert sweep(session) == Tended(0, (), swept=SWEEP_KEYS, swept_to=last)
    assert counts(session)[Status.QUEUED] == LIMIT * SWEEP_KEYS
    assert sweep(session, last) == Tended(0, (), swept=5)
    assert counts(session) == {Status.QUEUED: LIMIT * len(names), Status.BLOCKED: len(names)}


def test_a_node_waits_for_another_that_gives_places_of_the_same_key(
    postgres_only: Database,
) -> None:
    session = Session(postgres_only)
    put(session, *(a_blocked() for _ in range(2 * LIMIT)))
    second = while_held(
        postgres_only,
        lambda first: locked_unblock(first.connection, "k"),
        unblock,
    )
    assert second == 0
    assert counts(session) == {Status.QUEUED: LIMIT, Status.BLOCKED: LIMIT}
    session.close()


def test_a_node_does_not_wait_for_another_that_gives_places_of_another_key(
    postgres_only: Database,
) -> None:
    first, second = (Session(patient(postgres_only)) for _ in range(2))
    put(first, a_blocked("k"), a_blocked("l"))
    with first.transaction():
        assert locked_unblock(first.connection, "k") == 1
        assert unblock(second, "l") == 1
    first.close()
    second.close()


def test_nodes_at_work_never_run_more_of_a_key_than_it_may_and_finish_all(
    postgres_only: Database,
) -> None:
    number = 30
    lease_ids = count(1)
    at_once = sa.select(sa.func.count()).where(
        tasks.c.key == "k", sa.or_(tasks.c.status == "queued", tasks.c.status == "running")
    )

    def work(session: Session) -> int:
        """A queue that takes what it can get and is done with it at once; the most it saw."""
        inbox, most = Inbox(), 0
        commit(session, an_insert(inbox, *(a_blocked() for _ in range(number))))
        while any(status not in FINAL for status in counts(session)):
            claimed = [task for each in inbox.all_of(Claimed) for task in each.tasks]
            inbox.messages.clear()
            commit(
                session,
                *(a_settle(inbox, task) for task in claimed),
                a_claim(inbox, next(lease_ids)),
            )
            most = max(
                most, call(session, lambda connection: connection.execute(at_once).scalar_one())
            )
        return most

    assert max(race(postgres_only, *[work] * 3)) <= LIMIT
    session = Session(postgres_only)
    assert counts(session) == {Status.COMPLETED: 3 * number}
    session.close()


def test_what_waits_for_its_key_can_be_cancelled(session: Session) -> None:
    first, second = put(session, a_blocked(), a_blocked())
    call(session, lambda connection: changes.cancel(connection, first, NOW))
    assert unblock(session, limit=1) == 1
    assert statuses(session, [first, second]) == [Status.CANCELLED, Status.QUEUED]
