"""Starts per second: a bucket of tokens that all nodes share."""

import time

import pytest
import sqlalchemy as sa

from task_queue.actors.store import claim as claims
from task_queue.actors.store.database import Database
from task_queue.actors.store.schema import queues
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.limits import bucket_size
from task_queue.actors.tasks.states import Status
from tests.actors.store.calls import call, claim, claim_suspect, claimant, claimed_ids, counts, put
from tests.actors.store.races import race, while_held
from tests.fakes import NOW, a_task

SLOW = 0.001
"""So few starts a second that no test takes long enough for one more."""
ON_SQLITE = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
"""Where the moment of a claim is the claimant's to tell."""


def started(session: Session, rate_limit: float, now: float = NOW) -> int:
    claimed, _ = claim(session, limit=100, free=100, rate_limit=rate_limit, now=now)
    return len(claimed)


def pass_time(session: Session, seconds: float) -> None:
    """As if the bucket had been looked at so much earlier: on PostgreSQL its own clock counts."""
    earlier = sa.update(queues).values(refilled_at=queues.c.refilled_at - seconds)
    call(session, lambda connection: connection.execute(earlier))


def test_a_queue_starts_what_is_in_its_bucket_and_then_one_after_another(session: Session) -> None:
    expected = put(session, *(a_task() for _ in range(5)))
    assert claimed_ids(claim(session, rate_limit=SLOW)[0]) == expected[:1]
    assert claim(session, rate_limit=SLOW) == ([], False)
    pass_time(session, 0.9 / SLOW)
    assert started(session, SLOW) == 0
    pass_time(session, 0.1 / SLOW)
    assert started(session, SLOW) == 1
    assert started(session, SLOW) == 0


def test_a_bucket_that_was_left_alone_for_long_is_full_and_no_fuller(session: Session) -> None:
    put(session, *(a_task() for _ in range(9)))
    started(session, SLOW)
    pass_time(session, 1_000 / SLOW)
    assert (started(session, SLOW), started(session, SLOW)) == (1, 0)


@ON_SQLITE
def test_starts_come_as_the_rate_says(session: Session) -> None:
    rate = 8.0
    put(session, *(a_task() for _ in range(100)))
    moments = [NOW + number / 16 for number in range(17)]  # a second in sixteenths
    seen = [started(session, rate, now) for now in moments]
    assert seen == [int(bucket_size(rate)), *[0, 1] * 8]


@ON_SQLITE
def test_a_clock_set_back_or_forward_gives_no_more_than_a_full_bucket(session: Session) -> None:
    rate = 8.0
    put(session, *(a_task() for _ in range(100)))
    assert started(session, rate, NOW) == 4
    assert started(session, rate, NOW - 3_600) == 0
    assert started(session, rate, NOW - 3_600 + 0.25) == 2  # and goes on from there
    assert started(session, rate, NOW + 3_600) == 4
    assert started(session, rate, NOW + 3_600) == 0


def test_only_starts_take_tokens(session: Session) -> None:
    assert started(session, SLOW) == 0  # an empty queue
    put(session, a_task(expires_at=NOW))
    assert started(session, SLOW) == 0
    assert counts(session) == {Status.DEAD: 1}
    put(session, a_task(max_attempts=1))
    assert claim(session, free=0, rate_limit=SLOW) == ([], True)
    assert started(session, SLOW) == 1
    assert started(session, SLOW) == 0


def test_a_suspect_takes_a_token_too(session: Session) -> None:
    put(session, a_task(losses=1), a_task(losses=1), a_task())
    assert claim_suspect(session, rate_limit=SLOW) is not None
    assert claim_suspect(session, rate_limit=SLOW) is None
    assert started(session, SLOW) == 0
    pass_time(session, 1 / SLOW)
    assert claim_suspect(session, rate_limit=SLOW) is not None


def test_each_queue_has_a_bucket_of_its_own(session: Session) -> None:
    put(session, a_task(), a_task(), a_task(queue="other"))
    assert started(session, SLOW) == 1
    claimed, _ = claim(session, queue="other", rate_limit=SLOW)
    assert len(claimed) == 1


def test_without_a_limit_nothing_is_counted(session: Session) -> None:
    put(session, *(a_task() for _ in range(5)))
    assert started(session, 0.0) == 5
    assert call(session, lambda connection: connection.execute(sa.select(queues)).all()) == []


def test_nodes_share_one_bucket(postgres_only: Database) -> None:
    first, second = Session(postgres_only), Session(postgres_only)
    put(first, *(a_task() for _ in range(4)))
    assert (started(first, SLOW), started(second, SLOW)) == (1, 0)
    pass_time(first, 1 / SLOW)
    assert (started(second, SLOW), started(first, SLOW)) == (1, 0)
    first.close()
    second.close()


def test_a_node_waits_for_another_that_takes_tokens(postgres_only: Database) -> None:
    session = Session(postgres_only)
    put(session, a_task(), a_task())
    assert started(session, SLOW) == 1
    pass_time(session, 1 / SLOW)

    def take(first: Session) -> None:
        assert (
            len(claims.claim(first.connection, claimant(rate_limit=SLOW), limit=1, free=1)[0]) == 1
        )

    assert while_held(postgres_only, take, lambda second: started(second, SLOW)) == 0
    session.close()


def test_nodes_at_work_start_no_more_than_the_rate_allows(postgres_only: Database) -> None:
    rate = 20.0
    session = Session(postgres_only)
    put(session, *(a_task() for _ in range(500)))
    session.close()

    def work(session: Session) -> int:
        return sum(started(session, rate) for _ in range(60))

    began = time.monotonic()
    total = sum(race(postgres_only, *[work] * 3))
    seconds = time.monotonic() - began
    assert bucket_size(rate) <= total <= bucket_size(rate) + rate * seconds + 1
