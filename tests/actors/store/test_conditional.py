"""Publishes that are looked at first: unique keys, limits, and requests that come again."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from task_queue.actors.errors import BadRowError, KeyReusedError, OverLimitError
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Insert
from task_queue.actors.store import changes, conditional
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.database import Database
from task_queue.actors.store.notices import Notices
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.conditions import (
    ACCEPTED,
    FINISHED,
    Conditions,
    Idempotency,
    Published,
)
from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.task import Receipt, Task
from tests.actors.store.calls import call, claim, counts, find, get, put
from tests.actors.store.races import race, while_held
from tests.fakes import NOW, Inbox, a_task

DAY = 86_400.0
SMALL = {"tasks": QueueLimits(max_length=3, max_bytes=20)}


def publish(
    session: Session,
    *rows: Task,
    limits: Mapping[str, QueueLimits] | None = None,
    once: Idempotency | None = None,
    now: float = NOW,
) -> Published:
    conditions = Conditions(limits=limits or {}, idempotency=once)
    with session.transaction():
        return begin_to_publish(session, rows, conditions, now)


def begin_to_publish(
    session: Session, rows: Sequence[Task], conditions: Conditions | None = None, now: float = NOW
) -> Published:
    """As a part of a transaction."""
    conditional.lock(session.connection, [(rows, conditions)])
    with session.savepoint():
        return conditional.publish(session.connection, rows, conditions, now)


def a_request(
    key: str = "key", fingerprint: str = "a", until: float = NOW + DAY, *, waits: bool = False
) -> Idempotency:
    return Idempotency(key, fingerprint, until, waits)


def keep_answer(session: Session, answered: int) -> int:
    return call(session, lambda connection: conditional.keep_answer(connection, "key", answered))


def ids(published: Published) -> list[str]:
    return [receipt.task_id for receipt in published.receipts]


def stored(session: Session) -> int:
    return sum(counts(session).values())


# --- unique keys ----------------------------------------------------------------------------


def test_a_second_task_with_a_unique_key_is_answered_with_the_first(session: Session) -> None:
    first = a_task(unique_key="u", run_at=NOW + 5, status=Status.SCHEDULED)
    assert publish(session, first).receipts == (Receipt(first.id, "scheduled", duplicate=False),)
    second = a_task(unique_key="u")
    assert publish(session, second).receipts == (Receipt(first.id, "scheduled", duplicate=True),)
    assert get(session, first.id) == first
    assert find(session, second.id) is None


@pytest.mark.parametrize("status", list(Status))
def test_a_unique_key_is_taken_until_its_task_is_final(session: Session, status: Status) -> None:
    holder, fresh = a_task(unique_key="u", status=status), a_task(unique_key="u")
    put(session, holder)
    (receipt,) = publish(session, fresh).receipts
    if status in FINAL:
        assert receipt == Receipt(fresh.id, "queued", duplicate=False)
    else:
        assert receipt == Receipt(holder.id, status.shown, duplicate=True)


def a_stopping(session: Session, unique_key: str = "u") -> str:
    """A running task with this unique key that was asked to stop."""
    (task_id,) = put(session, a_task(unique_key=unique_key, status=Status.RUNNING))
    call(session, lambda connection: changes.cancel(connection, task_id, NOW))
    return task_id


def test_a_task_that_was_asked_to_stop_leaves_its_unique_key_to_new_work(session: Session) -> None:
    stopping = a_stopping(session)
    fresh, again = a_task(unique_key="u"), a_task(unique_key="u")
    assert publish(session, fresh).receipts == (Receipt(fresh.id, "queued", duplicate=False),)
    assert publish(session, again).receipts == (Receipt(fresh.id, "queued", duplicate=True),)
    assert get(session, stopping).status is Status.RUNNING


def test_each_of_several_that_are_stopping_leaves_its_unique_key_to_the_next(
    session: Session,
) -> None:
    stopping = [a_stopping(session) for _ in range(3)]
    rows = [a_task(), a_task(unique_key="u"), a_task(unique_key="u")]
    receipts = publish(session, *rows, once=a_request()).receipts
    assert [each.task_id for each in receipts] == [rows[0].id, rows[1].id, rows[1].id]
    for task_id in stopping:  # it ends as it would have
        row = get(session, task_id)
        assert (row.status, row.options.unique_key) == (Status.RUNNING, "u")


def test_a_publish_beside_a_cancel_on_another_node_is_never_answered_with_what_stops(
    postgres_only: Database,
) -> None:
    session = Session(postgres_only)
    (holder,) = put(session, a_task(unique_key="u", status=Status.RUNNING))
    fresh = a_task(unique_key="u")

    def cancel(other: Session) -> None:
        changes.cancel(other.connection, holder, NOW)

    receipts = while_held(postgres_only, cancel, lambda other: publish(other, fresh)).receipts
    assert receipts == (Receipt(fresh.id, "queued", duplicate=False),)
    session.close()


def test_a_unique_key_is_its_queues_own(session: Session) -> None:
    rows = [a_task(unique_key="u", queue=queue) for queue in ("tasks", "mail")]
    assert ids(publish(session, *rows)) == [row.id for row in rows]


def test_a_batch_stores_what_is_new_in_it_and_says_which_is_not(session: Session) -> None:
    (there,) = put(session, a_task(unique_key="there"))
    rows = [
        a_task(),
        a_task(unique_key="there"),
        a_task(unique_key="new"),
        a_task(unique_key="new"),
        a_task(),
    ]
    receipts = publish(session, *rows).receipts
    assert [receipt.duplicate for receipt in receipts] == [False, True, False, True, False]
    assert [each.task_id for each in receipts] == [
        rows[0].id,
        there,
        rows[2].id,
        rows[2].id,
        rows[4].id,
    ]
    assert stored(session) == 4


def test_a_row_that_the_database_refuses_takes_its_publish_with_it(session: Session) -> None:
    (known,) = put(session, a_task())
    fresh, once = a_task(unique_key="u"), a_request()
    for bad in (a_task(id=known), a_task(id=known, unique_key="v")):
        with pytest.raises(BadRowError):
            publish(session, fresh, bad, once=once)
    assert find(session, fresh.id) is None
    assert not publish(session, fresh, once=once).replayed


def test_nodes_that_publish_the_same_keys_at_once_store_each_once(
    postgres_only: Database,
) -> None:
    keys = [f"key {number}" for number in range(50)]

    def work(session: Session) -> list[Receipt]:
        return [publish(session, a_task(unique_key=key)).receipts[0] for key in keys]

    by_node = race(postgres_only, *[work] * 4)
    for receipts in zip(*by_node, strict=True):
        assert len({receipt.task_id for receipt in receipts}) == 1
        assert sum(not receipt.duplicate for receipt in receipts) == 1


def test_a_publish_waits_for_another_nodes_task_with_its_unique_key(
    postgres_only: Database,
) -> None:
    first, second = a_task(unique_key="u"), a_task(unique_key="u")
    published = while_held(
        postgres_only,
        lambda session: begin_to_publish(session, [first]),
        lambda session: publish(session, second),
    )
    assert published.receipts == (Receipt(first.id, "queued", duplicate=True),)


@pytest.mark.parametrize("batched", [False, True], ids=["each alone", "in one batch"])
def test_nodes_whose_commits_have_the_same_keys_in_another_order_do_not_deadlock(
    postgres_only: Database, *, batched: bool
) -> None:
    keys = [f"key {number}" for number in range(200)]

    def commit_of(keys: list[str]) -> Callable[[Session], Notices]:
        rows = [a_task(unique_key=key) for key in keys]
        groups = [tuple(rows)] if batched else [(row,) for row in rows]
        inserts = [Insert(Inbox(), group, None, Reply()) for group in groups]

        def work(session: Session) -> Notices:
            with session.transaction():
                return Commit(session, NOW).run(inserts)

        return work

    both = race(postgres_only, commit_of(keys), commit_of(keys[::-1]))
    receipts = [
        receipt
        for notices in both
        for _, published in notices.answers
        for receipt in published.receipts
    ]
    assert sum(not receipt.duplicate for receipt in receipts) == len(keys)
    assert len({receipt.task_id for receipt in receipts}) == len(keys)


# --- limits ---------------------------------------------------------------------------------


def test_a_queue_takes_as_many_tasks_as_it_may_and_not_one_more(session: Session) -> None:
    limits = {"tasks": QueueLimits(max_length=3)}
    for left in (2, 1, 0):
        room = publish(session, a_task(), limits=limits).room
        assert room == {"tasks": Room(tasks=left, bytes=None)}
    with pytest.raises(OverLimitError, match="'tasks' would hold 4 unfinished") as caught:
        publish(session, a_task(), limits=limits)
    assert (caught.value.limit, caught.value.quota) == ("length", 3)
    assert stored(session) == 3


def test_a_queue_takes_as_many_bytes_as_it_may_and_not_one_more(session: Session) -> None:
    limits = {"tasks": QueueLimits(max_bytes=20)}
    room = publish(session, a_task(data='{"é":"é"}'), limits=limits).room  # 9 letters, 11 bytes
    assert room == {"tasks": Room(tasks=None, bytes=9)}
    with pytest.raises(OverLimitError, match="would hold 21 bytes") as caught:
        publish(session, a_task(data='{"a":12345'), limits=limits)
    assert (caught.value.limit, caught.value.quota) == ("bytes", 20)
    publish(session, a_task(data='{"a":1234'), limits=limits)


def test_a_batch_that_does_not_fit_is_not_stored_at_all(session: Session) -> None:
    rows = [a_task(data="{}", queue=queue) for queue in ("mail", "tasks", "tasks")]
    limits = SMALL | {"mail": QueueLimits(max_length=1)}
    assert publish(session, *rows, limits=limits).room == {
        "mail": Room(tasks=0, bytes=None),
        "tasks": Room(tasks=1, bytes=16),
    }
    again = [a_task(data="{}", queue=queue) for queue in ("tasks", "mail")]
    with pytest.raises(OverLimitError, match="'mail'"):
        publish(session, *again, limits=limits)
    assert [find(session, task.id) for task in again] == [None, None]


def test_finished_tasks_and_those_of_other_queues_take_no_room(session: Session) -> None:
    put(session, *(a_task(status=status) for status in (Status.DEAD, Status.CANCELLED)))
    put(session, *(a_task(queue="other") for _ in range(3)))
    (waiting,) = put(session, a_task(data="{}"))
    put(
        session,
        a_task(data="{}", status=Status.SCHEDULED),
        a_task(data="{}", status=Status.BLOCKED),
    )
    with pytest.raises(OverLimitError):
        publish(session, a_task(data="{}"), limits=SMALL)
    call(session, lambda connection: changes.cancel(connection, waiting, NOW))
    assert publish(session, a_task(data="{}"), limits=SMALL).room["tasks"].tasks == 0


def test_a_running_task_takes_room(session: Session) -> None:
    put(session, *(a_task(data="{}") for _ in range(3)))
    claim(session)
    with pytest.raises(OverLimitError):
        publish(session, a_task(data="{}"), limits=SMALL)


def test_a_duplicate_takes_no_room(session: Session) -> None:
    put(session, a_task(data="{}", unique_key="u"), a_task(data="{}"), a_task(data="{}"))
    published = publish(session, a_task(unique_key="u"), limits=SMALL)
    assert published.receipts[0].duplicate
    assert published.room == {"tasks": Room(tasks=0, bytes=14)}


def test_nodes_that_fill_a_queue_at_once_never_overfill_it(postgres_only: Database) -> None:
    limits = {"tasks": QueueLimits(max_length=40)}

    def work(session: Session) -> int:
        refused = 0
        for _ in range(30):
            try:
                publish(session, a_task(), limits=limits)
            except OverLimitError:
                refused += 1
        return refused

    assert sum(race(postgres_only, *[work] * 3)) == 3 * 30 - 40
    session = Session(postgres_only)
    assert stored(session) == 40
    session.close()


# --- requests that come again ---------------------------------------------------------------


def test_a_repeated_request_is_answered_as_the_first_was(session: Session) -> None:
    rows = [a_task(unique_key="u"), a_task(unique_key="u"), a_task()]
    first = publish(session, *rows, once=a_request())
    call(session, lambda connection: changes.cancel(connection, rows[0].id, NOW))
    again = publish(session, a_task(), once=a_request(), now=NOW + DAY - 1)
    assert (again.replayed, again.receipts) == (True, first.receipts)
    assert stored(session) == 2


def test_a_repeated_request_is_answered_though_the_queue_is_full(session: Session) -> None:
    limits, once = {"tasks": QueueLimits(max_length=1)}, a_request()
    first = publish(session, a_task(), limits=limits, once=once)
    assert publish(session, a_task(), limits=limits, once=once).receipts == first.receipts


def test_another_request_with_the_same_key_is_refused(session: Session) -> None:
    publish(session, a_task(), once=a_request())
    with pytest.raises(KeyReusedError):
        publish(session, a_task(), once=a_request(fingerprint="b"))
    assert publish(session, a_task(), once=a_request(), now=NOW).replayed
    assert not publish(session, a_task(), once=a_request("another key", "b")).replayed
    assert stored(session) == 2


def test_a_key_is_forgotten_after_its_time(session: Session) -> None:
    publish(session, a_task(), once=a_request())
    other = a_request(fingerprint="b", until=NOW + 2 * DAY)
    assert not publish(session, a_task(), once=other, now=NOW + DAY).replayed
    assert publish(session, a_task(), once=other, now=NOW + DAY).replayed


def test_a_request_that_was_refused_may_come_again(session: Session) -> None:
    once = a_request()
    put(session, *(a_task(data="{}") for _ in range(3)))
    with pytest.raises(OverLimitError):
        publish(session, a_task(data="{}"), limits=SMALL, once=once)
    assert not publish(session, a_task(), once=once).replayed


def test_how_a_request_is_answered_that_waits_is_known_only_once_it_is_kept(
    session: Session,
) -> None:
    waiting = a_request(waits=True)
    assert publish(session, a_task(), once=waiting).answered is None
    assert publish(session, a_task(), once=waiting).answered is None
    assert keep_answer(session, FINISHED) == FINISHED
    assert keep_answer(session, ACCEPTED) == FINISHED  # the first counts
    for once in (waiting, a_request()):
        assert publish(session, a_task(), once=once).answered == FINISHED


def test_a_request_that_does_not_wait_is_answered_at_once(session: Session) -> None:
    assert not publish(session, a_task(), once=a_request()).replayed
    assert publish(session, a_task(), once=a_request(waits=True)).answered == ACCEPTED


def test_a_repetition_that_does_not_wait_answers_for_one_that_has_not_been_answered(
    session: Session,
) -> None:
    publish(session, a_task(), once=a_request(waits=True))
    assert publish(session, a_task(), once=a_request()).answered == ACCEPTED
    assert keep_answer(session, FINISHED) == ACCEPTED


def test_what_is_kept_of_a_request_that_was_forgotten_is_what_was_to_be(session: Session) -> None:
    assert keep_answer(session, FINISHED) == FINISHED


def test_two_nodes_that_answer_the_same_request_answer_alike(postgres_only: Database) -> None:
    session = Session(postgres_only)
    publish(session, a_task(), once=a_request(waits=True))
    session.close()
    answered = while_held(
        postgres_only,
        lambda session: conditional.keep_answer(session.connection, "key", ACCEPTED),
        lambda session: keep_answer(session, FINISHED),
    )
    assert answered == ACCEPTED


def test_nodes_that_get_the_same_request_at_once_store_it_once(postgres_only: Database) -> None:
    keys = [f"request {number}" for number in range(30)]

    def work(session: Session) -> list[Published]:
        return [publish(session, a_task(), once=a_request(key)) for key in keys]

    by_node = race(postgres_only, *[work] * 3)
    for answers in zip(*by_node, strict=True):
        assert len({answer.receipts for answer in answers}) == 1
        assert sum(not answer.replayed for answer in answers) == 1


def test_a_repeated_request_waits_for_the_first_on_another_node(postgres_only: Database) -> None:
    once, task = a_request(), a_task()
    answer = while_held(
        postgres_only,
        lambda session: begin_to_publish(session, [task], Conditions(idempotency=once)),
        lambda session: publish(session, a_task(), once=once),
    )
    assert (answer.replayed, ids(answer)) == (True, [task.id])
