"""What a store does, on both databases alike."""

import threading
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import BadRowError, QueryFailedError, StoreUnavailableError
from task_queue.actors.store import changes, counts, queues
from task_queue.actors.store.database import Database
from task_queue.actors.store.statements import PROMOTE_LIMIT
from task_queue.actors.store.store import Store
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.settlement import EXPIRED, Failure, Settlement, ack, drained, requeue
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from tests.actors.store.calls import (
    attempts,
    call,
    claim,
    claim_suspect,
    claimant,
    claimed_ids,
    find,
    get,
    put,
    settle,
)
from tests.fakes import DEADLINE_SECONDS, NOW, a_task

NOT_HELD = Settlement(Lease("nobody", 1), Status.COMPLETED, attempt=1)


def a_claimed_task(store: Store, **changes: object) -> ClaimedTask:
    put(store, a_task(**changes))
    (claimed,), _ = claim(store)
    return claimed


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


def pause(store: Store, queue: str = "tasks", *, paused: bool = True) -> None:
    call(store, lambda connection: queues.set_paused(connection, queue, paused=paused))


def test_a_row_is_read_back_as_it_was_written(store: Store) -> None:
    plain = a_task(data='{"text":"\\u0000 \N{SNOWMAN} \N{PILE OF POO}"}', priority=-3)
    old = a_task(
        status=Status.DEAD,
        result="null",
        error="why\nnot",
        attempt=5,
        losses=2,
        run_at=NOW + 0.125,
        started_at=NOW + 1.25,
        processed_at=2**40,
    )
    with_options = a_task(
        status=Status.BLOCKED,
        unique_key="u",
        key="k",
        expires_at=NOW + 0.5,
        keep_result_seconds=0,
        backoff="1.0 2.0 3.0",
        occurrence="nightly@1",
    )
    for task in (plain, old, with_options):
        put(store, task)
        assert get(store, task.id) == task
    assert find(store, "nobody") is None


def test_of_several_rows_each_is_read_back_whatever_its_neighbours_ask_for(store: Store) -> None:
    rows = [a_task(), a_task(key="k"), a_task(status=Status.CANCELLED), a_task()]
    assert [get(store, task_id) for task_id in put(store, *rows)] == rows


def test_tasks_are_claimed_in_the_order_of_their_publishing(store: Store) -> None:
    # Ids that sort against the order show that it is not theirs.
    put(store, a_task(id="c"), a_task(id="b"))
    put(store, a_task(id="a"))
    claimed, more = claim(store)
    assert claimed_ids(claimed) == ["c", "b", "a"]
    assert not more


def test_the_higher_priority_is_claimed_first_and_an_hour_of_waiting_makes_up_for_one(
    store: Store,
) -> None:
    hour = 3_600
    low, high, old = put(
        store,
        a_task(priority=1),
        a_task(priority=2),
        a_task(created_at=int(NOW) - 2 * hour - 1),
    )
    claimed, _ = claim(store)
    assert claimed_ids(claimed) == [old, high, low]


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
        assert (suspect.lease, suspect.attempt) == (Lease(task_id, 9), losses + 1)
        assert (suspect.losses, suspect.is_suspect) == (losses, True)
        assert get(store, task_id).status is Status.RUNNING
    assert claim_suspect(store) is None


def test_losses_are_kept_by_every_settlement(store: Store) -> None:
    claimed = a_claimed_task(store)
    settle(store, failed(claimed, Status.SCHEDULED, losses=3))
    assert get(store, claimed.lease.task_id).losses == 3


def test_a_claim_writes_lease_attempt_and_start(store: Store) -> None:
    (task_id,) = put(store, a_task())
    (claimed,), _ = claim(store, lease_id=2**63 - 1)
    assert (claimed.lease, claimed.attempt) == (Lease(task_id, 2**63 - 1), 1)
    task = get(store, task_id)
    assert (task.status, task.attempt, task.started_at) == (Status.RUNNING, 1, NOW)
    assert task.course.worker == "worker"


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


def test_what_has_to_be_minded_is_claimed_with_the_task(store: Store) -> None:
    put(store, a_task(key="k", expires_at=NOW + 1, backoff="1.0 2.0 3.0"), a_task())
    (minded, ordinary), _ = claim(store)
    assert minded.terms == Terms("k", NOW + 1, "1.0 2.0 3.0")
    assert ordinary.terms == Terms()


def test_what_expired_is_not_claimed_but_dead(store: Store) -> None:
    late, in_time = put(store, a_task(expires_at=NOW), a_task(expires_at=NOW + 0.001))
    claimed, _ = claim(store)
    assert claimed_ids(claimed) == [in_time]
    task = get(store, late)
    assert (task.status, task.error, task.attempt) == (Status.DEAD, EXPIRED, 0)
    assert task.processed_at == int(NOW)
    assert attempts(store, late) == []


def test_an_expired_suspect_is_dead_too(store: Store) -> None:
    (task_id,) = put(store, a_task(losses=1, expires_at=NOW))
    assert claim_suspect(store) is None
    assert get(store, task_id).status is Status.DEAD


def test_nothing_of_a_paused_queue_is_claimed(store: Store) -> None:
    put(store, a_task(), a_task(losses=1), a_task(queue="other"))
    pause(store)
    with store.transaction():
        assert store.is_paused("tasks")
        assert not store.is_paused("other")
    assert claim(store) == ([], False)
    assert claim_suspect(store) is None
    assert len(claim(store, queue="other")[0]) == 1
    pause(store, paused=False)
    assert len(claim(store)[0]) == 1
    assert claim_suspect(store) is not None


def test_a_completed_task_keeps_its_result_and_the_times_of_its_attempt(store: Store) -> None:
    claimed = a_claimed_task(store, attempt=1, error="last time")
    assert settle(store, done(claimed, '{"output":1}')) == []
    task = get(store, claimed.lease.task_id)
    assert (task.status, task.result, task.error) == (Status.COMPLETED, '{"output":1}', None)
    assert (task.attempt, task.processed_at) == (2, int(NOW) + 2)
    assert (task.started_at, task.course.ended_at) == (NOW + 1, NOW + 2.5)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.DEAD, Status.CANCELLED])
def test_a_failed_task_keeps_its_error_and_has_its_attempt_recorded(
    store: Store, status: Status
) -> None:
    claimed = a_claimed_task(store)
    failure = Failure("no", Outcome.TIMED_OUT, started_at=NOW + 1, traceback="line")
    settle(store, failed(claimed, status, run_at=NOW + 0.5, postponed=3, failure=failure))
    task = get(store, claimed.lease.task_id)
    assert (task.status, task.error, task.run_at) == (status, "no", NOW + 0.5)
    assert task.course.postponed == 3
    (attempt,) = attempts(store, task.id)
    assert (attempt.number, attempt.outcome, attempt.worker) == (1, Outcome.TIMED_OUT, "worker")
    assert (attempt.error, attempt.traceback, attempt.ended_at) == ("no", "line", NOW + 2.5)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.QUEUED])
def test_what_somebody_asked_to_cancel_is_not_started_again_but_cancelled(
    store: Store, status: Status
) -> None:
    asked, other = a_claimed_task(store), a_claimed_task(store)
    call(store, lambda connection: changes.cancel(connection, asked.lease.task_id, NOW + 0.75))
    settle(store, *(failed(claimed, status) for claimed in (asked, other)))
    assert get(store, other.lease.task_id).status is status
    task = get(store, asked.lease.task_id)
    ended = failed(asked, status).ended_second
    assert (task.status, task.processed_at) == (Status.CANCELLED, ended), "not when it was asked"
    assert [attempt.outcome for attempt in attempts(store, task.id)] == [Outcome.FAILED]


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.DEAD])
def test_what_ended_before_it_could_be_cancelled_is_what_it_came_to(
    store: Store, status: Status
) -> None:
    claimed = a_claimed_task(store)
    call(store, lambda connection: changes.cancel(connection, claimed.lease.task_id, NOW))
    settle(store, done(claimed) if status is Status.COMPLETED else failed(claimed, status))
    assert get(store, claimed.lease.task_id).status is status


def test_a_moment_that_is_not_named_stays_as_it_was(store: Store) -> None:
    claimed = a_claimed_task(store, run_at=NOW - 5)
    settle(store, drained(claimed, NOW + 3))
    task = get(store, claimed.lease.task_id)
    assert (task.run_at, task.started_at) == (NOW - 5, NOW)
    (attempt,) = attempts(store, task.id)
    assert (attempt.started_at, attempt.ended_at) == (NOW, NOW + 3)


def test_a_requeued_task_gets_its_attempt_back_and_keeps_its_last_error(store: Store) -> None:
    claimed = a_claimed_task(store, attempt=2, error="last time")
    assert claimed.attempt == 3
    settle(store, requeue(claimed))
    task = get(store, claimed.lease.task_id)
    assert (task.status, task.attempt, task.error) == (Status.QUEUED, 2, "last time")
    (again,), _ = claim(store)
    assert again.attempt == 3


def test_a_settlement_without_the_lease_is_refused_and_writes_nothing(store: Store) -> None:
    claimed = a_claimed_task(store)
    forged = claimed._replace(lease=claimed.lease._replace(lease_id=2))
    before = get(store, claimed.lease.task_id)
    assert settle(store, done(forged)) == [forged.lease]
    assert get(store, claimed.lease.task_id) == before
    assert settle(store, done(claimed)) == []
    assert settle(store, done(claimed, "2")) == [claimed.lease]
    assert get(store, claimed.lease.task_id).result == "1"


def test_of_several_settlements_none_is_written_if_one_is_refused(store: Store) -> None:
    claimed = a_claimed_task(store)
    lost = failed(claimed._replace(lease=NOT_HELD.lease), Status.DEAD)
    for mine in (done(claimed), failed(claimed, Status.DEAD)):
        for other in (NOT_HELD, lost):
            with pytest.raises(BadRowError, match="1 of 2 leases"):
                settle(store, mine, other)
    assert get(store, claimed.lease.task_id).status is Status.RUNNING
    assert [attempt.outcome for attempt in attempts(store, claimed.lease.task_id)] == [None]


def test_several_settlements_are_written_together(store: Store) -> None:
    put(store, *(a_task() for _ in range(5)))
    one, two, three, four, five = claimed = claim(store)[0]
    settlements = [
        done(one, "1"),
        failed(two, Status.DEAD),
        done(three, "3"),
        requeue(four),
        failed(five, Status.SCHEDULED),
    ]
    assert settle(store, *settlements) == []
    rows = [get(store, task.lease.task_id) for task in claimed]
    assert [(row.status, row.result) for row in rows] == [
        (Status.COMPLETED, "1"),
        (Status.DEAD, None),
        (Status.COMPLETED, "3"),
        (Status.QUEUED, None),
        (Status.SCHEDULED, None),
    ]
    assert [len(attempts(store, row.id)) for row in rows] == [1, 1, 1, 0, 1]


def test_a_renewed_lease_does_not_lapse_and_a_lost_one_is_told(store: Store) -> None:
    put(store, a_task(), a_task())
    (kept, lapsing), _ = claim(store, leased_until=NOW + 1)
    with store.transaction():
        lost = store.renew([kept.lease, NOT_HELD.lease], NOW + 100)
        lapsed = store.lapsed(queue="tasks", now=NOW + 1)
    assert lost == [NOT_HELD.lease]
    assert lapsed == ([lapsing], [])


def test_only_lapsed_leases_of_the_queue_are_found_oldest_first(store: Store) -> None:
    put(store, a_task(), a_task(), a_task(), a_task(queue="other"), a_task())
    late = claim(store, limit=1, leased_until=NOW + 2)[0]
    early = claim(store, limit=1, leased_until=NOW + 1)[0]
    claim(store, limit=1, leased_until=NOW + 3)
    claim(store, queue="other", leased_until=NOW + 1)
    with store.transaction():
        assert store.lapsed(queue="tasks", now=NOW + 2) == (early + late, [])
        assert store.lapsed(queue="tasks", now=NOW + 0.5) == ([], [])


def test_a_running_task_that_somebody_asked_to_cancel_is_found_though_its_lease_holds(
    store: Store,
) -> None:
    put(store, a_task(), a_task(), a_task(queue="other"))
    (asked, _), _ = claim(store)
    (elsewhere,), _ = claim(store, queue="other")
    with store.transaction():
        for claimed in (asked, elsewhere):
            changes.cancel(store.connection, claimed.lease.task_id, NOW)
        assert store.lapsed(queue="tasks", now=NOW) == ([], [asked.lease])


def test_a_report_is_kept_if_its_lease_is_held_until_the_task_is_put_back(store: Store) -> None:
    claimed = a_claimed_task(store)
    with store.transaction():
        store.report(claimed.lease, 0.25, "quarter")
        store.report(claimed.lease._replace(lease_id=2), 0.5, "late")
    course = get(store, claimed.lease.task_id).course
    assert (course.progress, course.progress_message) == (0.25, "quarter")


def promote(store: Store, *, keys_are_limited: bool = False) -> list[str | None]:
    with store.transaction():
        return store.promote(queue="tasks", now=NOW, keys_are_limited=keys_are_limited)


def test_only_due_tasks_of_the_queue_become_ready(store: Store) -> None:
    scheduled = a_task(status=Status.SCHEDULED)
    due, later, other = put(
        store,
        scheduled,
        scheduled._replace(id="later", run_at=NOW + 0.1),
        scheduled._replace(id="other", queue="other"),
    )
    put(store, a_task(id="dead", status=Status.DEAD, run_at=NOW - 1))
    assert promote(store) == [None]
    assert promote(store) == []
    assert get(store, due).status is Status.QUEUED
    assert get(store, later).status is get(store, other).status is Status.SCHEDULED
    assert get(store, "dead").status is Status.DEAD


@pytest.mark.parametrize("limited", [False, True])
def test_due_tasks_with_a_key_wait_for_a_place_where_places_are_limited(
    store: Store, *, limited: bool
) -> None:
    with_key, without = put(
        store, a_task(status=Status.SCHEDULED, key="k"), a_task(status=Status.SCHEDULED)
    )
    assert set(promote(store, keys_are_limited=limited)) == {"k", None}
    assert get(store, with_key).status is (Status.BLOCKED if limited else Status.QUEUED)
    assert get(store, without).status is Status.QUEUED


def test_due_tasks_become_ready_a_bounded_number_at_a_time_the_oldest_first(store: Store) -> None:
    count = PROMOTE_LIMIT + 1
    rows = [a_task(status=Status.SCHEDULED, run_at=NOW - number) for number in range(count)]
    put(store, *rows)
    assert len(promote(store)) == PROMOTE_LIMIT
    assert get(store, rows[0].id).status is Status.SCHEDULED
    assert len(promote(store)) == 1


# --- the rate limit -------------------------------------------------------------------------


def started(store: Store, now: float, rate_limit: float = 4.0) -> int:
    return len(claim(store, limit=100, now=now, rate_limit=rate_limit)[0])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_more_tasks_are_started_than_the_rate_allows(store: Store) -> None:
    put(store, *(a_task() for _ in range(100)))
    seen = [started(store, NOW + quarter / 4) for quarter in range(9)]
    assert seen == [2, 1, 1, 1, 1, 1, 1, 1, 1]
    assert started(store, NOW + 60) == 2  # however long it was idle
    assert started(store, NOW - 3_600) == 0  # whatever the clock does
    assert started(store, NOW - 3_600 + 0.5) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_rate_below_one_a_second_is_kept_too(store: Store) -> None:
    put(store, *(a_task() for _ in range(10)))
    assert [started(store, NOW + second, rate_limit=0.5) for second in range(5)] == [1, 0, 1, 0, 1]


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_not_started_costs_no_token(store: Store) -> None:
    put(store, a_task(attempt=1), a_task(expires_at=NOW), a_task(losses=1))
    with store.transaction():
        # One must not wait, and nobody is free.
        claimed, _ = store.claim(claimant(rate_limit=4.0), limit=9, free=0)
    assert claimed == []
    assert started(store, NOW) == 1
    assert claim_suspect(store, rate_limit=4.0) is not None
    assert claim_suspect(store, rate_limit=4.0) is None
    put(store, a_task())
    assert started(store, NOW) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_suspect_needs_a_token_like_others(store: Store) -> None:
    put(store, a_task(), a_task(), a_task(losses=1))
    assert started(store, NOW) == 2
    assert claim_suspect(store, rate_limit=4.0) is None
    assert claim_suspect(store, now=NOW + 0.25, rate_limit=4.0) is not None


def test_each_queue_has_a_rate_of_its_own(store: Store) -> None:
    put(store, *(a_task(queue=queue) for queue in ("tasks", "other") for _ in range(10)))
    assert len(claim(store, rate_limit=0.001)[0]) == 1
    assert len(claim(store, rate_limit=0.001, queue="other")[0]) == 1
    assert len(claim(store, rate_limit=0.001)[0]) == 0


def test_two_nodes_with_clocks_far_apart_share_one_rate(postgres_only: Database) -> None:
    nodes = [Store(postgres_only) for _ in range(2)]
    put(nodes[0], *(a_task() for _ in range(100)))
    seen = [started(node, NOW + day, 0.001) for day in range(5) for node in nodes]
    assert seen == [1] + [0] * 9
    for node in nodes:
        node.close()


def test_two_nodes_never_spend_the_same_token(postgres_only: Database) -> None:
    together = threading.Barrier(2)
    taken = [0, 0]
    with_rows = Store(postgres_only)
    put(with_rows, *(a_task() for _ in range(100)))
    with_rows.close()

    def work(number: int) -> None:
        store = Store(postgres_only)
        together.wait(DEADLINE_SECONDS)
        for _ in range(20):
            taken[number] += len(claim(store, limit=1, lease_id=number, rate_limit=0.001)[0])
        store.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_SECONDS)
    assert sum(taken) == 1


# --- nodes, and what goes wrong -------------------------------------------------------------


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
        first, _ = mine.claim(claimant(), limit=2, free=2)
        second, _ = claim(theirs, limit=2)
    assert (claimed_ids(first), claimed_ids(second)) == (expected[:2], expected[2:])
    mine.close()
    theirs.close()


def test_a_bad_row_takes_its_transaction_with_it(store: Store) -> None:
    (task_id,) = put(store, a_task())
    fresh = a_task()
    with pytest.raises(BadRowError):
        put(store, fresh, a_task(id=task_id))
    assert find(store, fresh.id) is None


def test_a_bad_row_in_a_savepoint_fails_alone(store: Store) -> None:
    before, bad, after = a_task(), a_task(), a_task()
    with store.transaction():
        store.insert([before])
        with pytest.raises(BadRowError), store.savepoint():
            store.insert([bad, before])
        store.insert([after])
    assert [find(store, row.id) for row in (before, bad, after)] == [before, None, after]


def test_an_error_in_the_block_rolls_back(store: Store) -> None:
    task = a_task()

    def fail_half_way() -> None:
        with store.transaction():
            store.insert([task])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert find(store, task.id) is None


@pytest.mark.parametrize(
    "url", ["sqlite:////{}/missing/tasks.db", "postgresql+psycopg://x@127.0.0.1:1/x"]
)
def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path, url: str) -> None:
    store = Store(Database(url.format(tmp_path), connect_timeout_seconds=2))
    with pytest.raises(StoreUnavailableError), store.transaction():
        store.is_paused("tasks")


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
    with pytest.raises(QueryFailedError), store.transaction(), store.asking() as connection:
        counts.by_state(connection)
    store.close()


def test_a_query_that_the_database_gives_up_is_not_taken_for_a_bad_one(
    postgres_only: Database,
) -> None:
    store = Store(replace(postgres_only, statement_timeout_seconds=0.05))
    with pytest.raises(StoreUnavailableError), store.transaction(), store.asking() as connection:
        connection.execute(sa.text("SELECT pg_sleep(30)"))
    store.close()


def test_statements_outside_a_transaction_are_a_defect(database: Database) -> None:
    with pytest.raises(RuntimeError, match="inside a transaction"):
        Store(database).is_paused("tasks")
