"""What a store does, on both databases alike."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from actors.errors import BadRowError, QueryFailedError, StoreUnavailableError
from actors.store.connect import Database
from actors.store.statements import PROMOTE_LIMIT
from actors.store.store import Store
from actors.task import ClaimedTask, Lease, Settlement, Status, ack, requeue
from tests.actors.store.calls import claim, claim_suspect, claimed_ids, get, put, settle
from tests.fakes import DEADLINE_SECONDS, NOW, a_task

NOT_HELD = Settlement(Lease("nobody", 1), Status.COMPLETED, attempt=1, run_at=NOW)


def a_claimed_task(store: Store, **changes: object) -> ClaimedTask:
    put(store, a_task(**changes))
    (claimed,), _ = claim(store)
    return claimed


def test_a_row_is_read_back_as_it_was_written(store: Store) -> None:
    task = a_task(
        data='{"text":"\\u0000 \N{SNOWMAN} \N{PILE OF POO}"}',
        status=Status.DEAD,
        result="null",
        error="why\nnot",
        priority=-3,
        attempt=5,
        run_at=NOW + 0.125,
        started_at=int(NOW) + 1,
        processed_at=2**40,
    )
    put(store, task)
    assert get(store, task.id) == task
    with store.transaction():
        assert store.get("nobody") is None


def test_tasks_are_claimed_in_the_order_of_their_publishing(store: Store) -> None:
    # Ids that sort against the order show that it is not theirs.
    put(store, a_task(id="c"), a_task(id="b"))
    put(store, a_task(id="a"))
    claimed, more = claim(store)
    assert claimed_ids(claimed) == ["c", "b", "a"]
    assert not more


def test_a_claim_takes_at_most_its_limit_and_says_whether_there_is_more(store: Store) -> None:
    expected = put(store, *(a_task() for _ in range(5)))
    first, more = claim(store, limit=3)
    assert (claimed_ids(first), more) == (expected[:3], True)
    second, more = claim(store, limit=3)
    assert (claimed_ids(second), more) == (expected[3:], False)
    assert claim(store, limit=3) == ([], False)


def test_suspects_are_claimed_one_by_one_and_not_with_the_others(store: Store) -> None:
    first, second, fresh = put(store, a_task(losses=1), a_task(losses=2), a_task())
    claimed, more = claim(store)
    assert (claimed_ids(claimed), more) == ([fresh], False)
    for task_id, losses in ((first, 1), (second, 2)):
        suspect = claim_suspect(store)
        assert suspect is not None
        assert (suspect.lease, suspect.attempt) == (Lease(task_id, 9), 1)
        assert (suspect.losses, suspect.is_suspect) == (losses, True)
        assert get(store, task_id).status is Status.RUNNING
    assert claim_suspect(store) is None


def test_losses_are_kept_by_every_settlement(store: Store) -> None:
    claimed = a_claimed_task(store)
    settle(store, Settlement(claimed.lease, Status.SCHEDULED, 1, NOW, losses=3))
    assert get(store, claimed.lease.task_id).losses == 3


def test_a_claim_writes_lease_attempt_and_start(store: Store) -> None:
    (task_id,) = put(store, a_task())
    (claimed,), _ = claim(store, lease_id=2**63 - 1)
    assert (claimed.lease, claimed.attempt) == (Lease(task_id, 2**63 - 1), 1)
    task = get(store, task_id)
    assert (task.status, task.attempt, task.started_at) == (Status.RUNNING, 1, int(NOW))


def test_a_claim_takes_ready_tasks_of_its_own_queue_only(store: Store) -> None:
    put(store, *(a_task(status=status) for status in Status if status is not Status.QUEUED))
    put(store, a_task(queue="other"))
    assert claim(store) == ([], False)


@pytest.mark.parametrize("columns", [{"attempt": 1}, {"max_attempts": 1}], ids=str)
def test_a_task_that_must_not_wait_is_claimed_only_for_a_free_consumer(
    store: Store, columns: dict[str, int]
) -> None:
    expected = put(store, a_task(), a_task(**columns), a_task())
    claimed, more = claim(store, free=1)
    assert (claimed_ids(claimed), more) == (expected[:1], True)
    left = get(store, expected[1])
    assert (left.status, left.attempt) == (Status.QUEUED, columns.get("attempt", 0))
    assert claim(store, free=0) == ([], True)
    claimed, more = claim(store, free=1)
    assert (claimed_ids(claimed), more) == (expected[1:], False)


def test_a_completed_task_keeps_its_result(store: Store) -> None:
    claimed = a_claimed_task(store)
    assert settle(store, ack(claimed, '{"output":1}', NOW + 2.5)) == []
    task = get(store, claimed.lease.task_id)
    assert (task.status, task.result, task.error) == (Status.COMPLETED, '{"output":1}', None)
    assert (task.attempt, task.processed_at) == (1, int(NOW) + 2)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.DEAD])
def test_a_failed_task_keeps_its_error(store: Store, status: Status) -> None:
    claimed = a_claimed_task(store)
    settle(store, Settlement(claimed.lease, status, 1, run_at=NOW + 0.5, error="no"))
    task = get(store, claimed.lease.task_id)
    assert (task.status, task.error, task.run_at) == (status, "no", NOW + 0.5)


def test_a_requeued_task_gets_its_attempt_back_and_keeps_its_last_error(store: Store) -> None:
    claimed = a_claimed_task(store, attempt=2, error="last time")
    assert claimed.attempt == 3
    settle(store, requeue(claimed, NOW))
    task = get(store, claimed.lease.task_id)
    assert (task.status, task.attempt, task.error) == (Status.QUEUED, 2, "last time")
    (again,), _ = claim(store)
    assert again.attempt == 3


def test_a_settlement_without_the_lease_is_refused_and_writes_nothing(store: Store) -> None:
    claimed = a_claimed_task(store)
    forged = replace(claimed, lease=replace(claimed.lease, lease_id=2))
    before = get(store, claimed.lease.task_id)
    assert settle(store, ack(forged, "1", NOW)) == [forged.lease]
    assert get(store, claimed.lease.task_id) == before
    assert settle(store, ack(claimed, "1", NOW)) == []
    assert settle(store, ack(claimed, "2", NOW)) == [claimed.lease]
    assert get(store, claimed.lease.task_id).result == "1"


def test_of_several_settlements_none_is_written_if_one_is_refused(store: Store) -> None:
    claimed = a_claimed_task(store)
    with pytest.raises(BadRowError, match="1 of 2 leases"):
        settle(store, ack(claimed, "1", NOW), NOT_HELD)
    assert get(store, claimed.lease.task_id).status is Status.RUNNING


def test_several_settlements_are_written_together(store: Store) -> None:
    put(store, *(a_task() for _ in range(3)))
    claimed, _ = claim(store)
    assert settle(store, *(ack(task, f"{i}", NOW) for i, task in enumerate(claimed))) == []
    assert [get(store, task.lease.task_id).result for task in claimed] == ["0", "1", "2"]


def test_a_renewed_lease_does_not_lapse_and_a_lost_one_is_told(store: Store) -> None:
    put(store, a_task(), a_task())
    (kept, lapsing), _ = claim(store, leased_until=NOW + 1)
    with store.transaction():
        lost = store.renew([kept.lease, NOT_HELD.lease], NOW + 100)
        lapsed = store.lapsed(queue="tasks", now=NOW + 1)
    assert lost == [NOT_HELD.lease]
    assert lapsed == [lapsing]


def test_only_lapsed_leases_of_the_queue_are_found_oldest_first(store: Store) -> None:
    put(store, a_task(), a_task(), a_task(), a_task(queue="other"), a_task())
    late = claim(store, limit=1, leased_until=NOW + 2)[0]
    early = claim(store, limit=1, leased_until=NOW + 1)[0]
    claim(store, limit=1, leased_until=NOW + 3)
    claim(store, queue="other", leased_until=NOW + 1)
    with store.transaction():
        assert store.lapsed(queue="tasks", now=NOW + 2) == early + late
        assert store.lapsed(queue="tasks", now=NOW + 0.5) == []


def test_only_due_tasks_of_the_queue_become_ready(store: Store) -> None:
    scheduled = a_task(status=Status.SCHEDULED)
    due, later, other = put(
        store,
        scheduled,
        replace(scheduled, id="later", run_at=NOW + 0.1),
        replace(scheduled, id="other", queue="other"),
    )
    put(store, a_task(id="dead", status=Status.DEAD, run_at=NOW - 1))
    with store.transaction():
        assert store.promote(queue="tasks", now=NOW) == 1
        assert store.promote(queue="tasks", now=NOW) == 0
    assert get(store, due).status is Status.QUEUED
    assert get(store, later).status is get(store, other).status is Status.SCHEDULED
    assert get(store, "dead").status is Status.DEAD


def test_due_tasks_become_ready_a_bounded_number_at_a_time_the_oldest_first(store: Store) -> None:
    count = PROMOTE_LIMIT + 1
    rows = [a_task(status=Status.SCHEDULED, run_at=NOW - number) for number in range(count)]
    put(store, *rows)
    with store.transaction():
        assert store.promote(queue="tasks", now=NOW) == PROMOTE_LIMIT
    assert get(store, rows[0].id).status is Status.SCHEDULED
    with store.transaction():
        assert store.promote(queue="tasks", now=NOW) == 1


def test_tasks_are_counted_by_state(store: Store) -> None:
    put(store, a_task(), a_task(), a_task(status=Status.DEAD))
    with store.transaction():
        assert store.counts() == dict.fromkeys(Status, 0) | {Status.QUEUED: 2, Status.DEAD: 1}


def test_the_oldest_ready_task_of_a_queue_is_found(store: Store) -> None:
    with store.transaction():
        assert store.oldest_ready("tasks") is None
    put(store, a_task(queue="other", run_at=NOW - 9), a_task(run_at=NOW - 0.5), a_task())
    with store.transaction():
        assert store.oldest_ready("tasks") == NOW - 0.5


def test_two_workers_never_claim_the_same_row(postgres_only: Database) -> None:
    with_rows = Store(postgres_only)
    expected = put(with_rows, *(a_task() for _ in range(400)))
    with_rows.close()
    together = threading.Barrier(2)
    taken: list[list[str]] = [[], []]

    def work(number: int) -> None:
        store = Store(postgres_only)
        together.wait(DEADLINE_SECONDS)
        more = True
        while more:
            claimed, more = claim(store, limit=3, lease_id=number)
            taken[number] += claimed_ids(claimed)
        store.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert sorted(taken[0] + taken[1]) == expected


def test_a_claim_does_not_wait_for_rows_that_another_worker_is_claiming(
    postgres_only: Database,
) -> None:
    mine, theirs = Store(postgres_only), Store(postgres_only)
    expected = put(mine, *(a_task() for _ in range(4)))
    with mine.transaction():
        first, _ = mine.claim(queue="tasks", limit=2, free=2, lease_id=1, now=NOW, leased_until=NOW)
        second, _ = claim(theirs, limit=2)
    assert (claimed_ids(first), claimed_ids(second)) == (expected[:2], expected[2:])
    mine.close()
    theirs.close()


def test_a_bad_row_takes_its_transaction_with_it(store: Store) -> None:
    (task_id,) = put(store, a_task())
    fresh = a_task()
    with pytest.raises(BadRowError):
        put(store, fresh, a_task(id=task_id))
    with store.transaction():
        assert store.get(fresh.id) is None


def test_a_bad_row_in_a_savepoint_fails_alone(store: Store) -> None:
    before, bad, after = a_task(), a_task(), a_task()
    with store.transaction():
        store.insert([before])
        with pytest.raises(BadRowError), store.savepoint():
            store.insert([bad, before])
        store.insert([after])
    with store.transaction():
        found = [store.get(row.id) for row in (before, bad, after)]
    assert found == [before, None, after]


def test_an_error_in_the_block_rolls_back(store: Store) -> None:
    task = a_task()

    def fail_half_way() -> None:
        with store.transaction():
            store.insert([task])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    with store.transaction():
        assert store.get(task.id) is None


@pytest.mark.parametrize(
    "url", ["sqlite:////{}/missing/tasks.db", "postgresql+psycopg://x@127.0.0.1:1/x"]
)
def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path, url: str) -> None:
    store = Store(Database(url.format(tmp_path), connect_timeout_seconds=2))
    with pytest.raises(StoreUnavailableError), store.transaction():
        store.counts()


def test_a_broken_connection_is_replaced(postgres_only: Database) -> None:
    store, other = Store(postgres_only), postgres_only.engine()
    (task_id,) = put(store, a_task())
    with other.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with pytest.raises(StoreUnavailableError):
        get(store, task_id)
    assert get(store, task_id).id == task_id
    store.close()


def test_a_read_only_store_reads_and_cannot_write(database: Database, store: Store) -> None:
    (task_id,) = put(store, a_task())
    reader = Store(database, read_only=True)
    assert get(reader, task_id).id == task_id
    with pytest.raises(StoreUnavailableError):
        put(reader, a_task())
    reader.close()


def test_a_query_without_its_table_fails(empty_database: Database) -> None:
    store = Store(empty_database)
    with pytest.raises(QueryFailedError), store.transaction():
        store.counts()
    store.close()


def test_statements_outside_a_transaction_are_a_defect(database: Database) -> None:
    with pytest.raises(RuntimeError, match="inside a transaction"):
        Store(database).counts()
