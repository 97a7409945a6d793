"""Starts per second: a bucket of tokens that all nodes share."""

import time

import pytest
import sqlalchemy as sa

from task_queue.actors.store.database import Database
from task_queue.actors.store.schema import queues
from task_queue.actors.store.store import Store
from task_queue.actors.tasks.limits import bucket_size
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import call, claim, claim_suspect, claimant, claimed_ids, counts, put
from tests.actors.store.races import race, while_held
from tests.fakes import NOW, a_task

SLOW = 0.01
"""So few starts a second that no test takes long enough for one more."""
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""Where the moment of a claim is the claimant's to tell."""


def started(store: Store, rate_limit: float, now: float = NOW) -> int:
    claimed, _ = claim(store, limit=100, free=100, rate_limit=rate_limit, now=now)
    return len(claimed)


def pass_time(store: Store, seconds: float) -> None:
    """As if the bucket had been looked at so much earlier: on PostgreSQL its own clock counts."""
    earlier = sa.update(queues).values(refilled_at=queues.c.refilled_at - seconds)
    call(store, lambda connection: connection.execute(earlier))


def test_a_queue_starts_what_is_in_its_bucket_and_then_one_after_another(store: Store) -> None:
    expected = put(store, *(a_task() for _ in range(5)))
    assert claimed_ids(claim(store, rate_limit=SLOW)[0]) == expected[:1]
    assert claim(store, rate_limit=SLOW) == ([], False)
    pass_time(store, 0.9 / SLOW)
    assert started(store, SLOW) == 0
    pass_time(store, 0.1 / SLOW)
    assert started(store, SLOW) == 1
    assert started(store, SLOW) == 0


def test_a_bucket_that_was_left_alone_for_long_is_full_and_no_fuller(store: Store) -> None:
    put(store, *(a_task() for _ in range(9)))
    started(store, SLOW)
    pass_time(store, 1_000 / SLOW)
    assert (started(store, SLOW), started(store, SLOW)) == (1, 0)


@ON_SQLITE
def test_starts_come_as_the_rate_says(store: Store) -> None:
    rate = 8.0
    put(store, *(a_task() for _ in range(100)))
    moments = [NOW + number / 16 for number in range(17)]  # a second in sixteenths
    seen = [started(store, rate, now) for now in moments]
    assert seen == [int(bucket_size(rate)), *[0, 1] * 8]


@ON_SQLITE
def test_a_clock_set_back_or_forward_gives_no_more_than_a_full_bucket(store: Store) -> None:
    rate = 8.0
    put(store, *(a_task() for _ in range(100)))
    assert started(store, rate, NOW) == 4
    assert started(store, rate, NOW - 3_600) == 0
    assert started(store, rate, NOW - 3_600 + 0.25) == 2  # and goes on from there
    assert started(store, rate, NOW + 3_600) == 4
    assert started(store, rate, NOW + 3_600) == 0


def test_only_starts_take_tokens(store: Store) -> None:
    assert started(store, SLOW) == 0  # an empty queue
    put(store, a_task(expires_at=NOW))
    assert started(store, SLOW) == 0
    assert counts(store) == {Status.DEAD: 1}
    put(store, a_task(max_attempts=1))
    assert claim(store, free=0, rate_limit=SLOW) == ([], True)
    assert started(store, SLOW) == 1
    assert started(store, SLOW) == 0


def test_a_suspect_takes_a_token_too(store: Store) -> None:
    put(store, a_task(losses=1), a_task(losses=1), a_task())
    assert claim_suspect(store, rate_limit=SLOW) is not None
    assert claim_suspect(store, rate_limit=SLOW) is None
    assert started(store, SLOW) == 0
    pass_time(store, 1 / SLOW)
    assert claim_suspect(store, rate_limit=SLOW) is not None


def test_each_queue_has_a_bucket_of_its_own(store: Store) -> None:
    put(store, a_task(), a_task(), a_task(queue="other"))
    assert started(store, SLOW) == 1
    claimed, _ = claim(store, queue="other", rate_limit=SLOW)
    assert len(claimed) == 1


def test_without_a_limit_nothing_is_counted(store: Store) -> None:
    put(store, *(a_task() for _ in range(5)))
    assert started(store, 0.0) == 5
    assert call(store, lambda connection: connection.execute(sa.select(queues)).all()) == []


def test_nodes_share_one_bucket(postgres_only: Database) -> None:
    first, second = Store(postgres_only), Store(postgres_only)
    put(first, *(a_task() for _ in range(4)))
    assert (started(first, SLOW), started(second, SLOW)) == (1, 0)
    pass_time(first, 1 / SLOW)
    assert (started(second, SLOW), started(first, SLOW)) == (1, 0)
    first.close()
    second.close()


def test_a_node_waits_for_another_that_takes_tokens(postgres_only: Database) -> None:
    store = Store(postgres_only)
    put(store, a_task(), a_task())
    assert started(store, SLOW) == 1
    pass_time(store, 1 / SLOW)

    def take(first: Store) -> None:
        assert len(first.claim(claimant(rate_limit=SLOW), limit=1, free=1)[0]) == 1

    assert while_held(postgres_only, take, lambda second: started(second, SLOW)) == 0
    store.close()


def test_nodes_at_work_start_no_more_than_the_rate_allows(postgres_only: Database) -> None:
    rate = 20.0
    store = Store(postgres_only)
    put(store, *(a_task() for _ in range(500)))
    store.close()

    def work(store: Store) -> int:
        return sum(started(store, rate) for _ in range(60))

    began = time.monotonic()
    total = sum(race(postgres_only, *[work] * 3))
    seconds = time.monotonic() - began
    assert bucket_size(rate) <= total <= bucket_size(rate) + rate * seconds + 1
