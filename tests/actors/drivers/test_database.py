"""What the durable driver tells the writer, and when: pure, with a writer that only collects."""

from math import inf

import pytest

from actors.drivers.database import RETRY, DatabaseDriver
from actors.errors import AnswerTimeoutError, BadRowError, StoreUnavailableError
from actors.messages import Claim, Insert, Publish, Renew, Settle, Tend, WriteFailed
from actors.task import Lease, Settlement, Status
from tests.fakes import NOW, Inbox, ManualClock, a_task

UNAVAILABLE = StoreUnavailableError("away")
LEASE_SECONDS = 60.0
HELD = Lease("held", 1)


class Books:
    """A driver, its writer, and the time."""

    def __init__(self, *, sole_owner: bool = True) -> None:
        self.queue, self.writer, self.clock = Inbox(), Inbox(), ManualClock()
        self.driver = DatabaseDriver(
            queue="tasks",
            queue_address=self.queue,
            writer=self.writer,
            lease_seconds=LEASE_SECONDS,
            sole_owner=sole_owner,
            now=self.clock,
            random=lambda: 0.5,
            random_bits=lambda bits: bits,
        )

    def settle(self, task_id: str, status: Status = Status.COMPLETED) -> Settle:
        self.driver.settle(Settlement(Lease(task_id, 1), status, 1, NOW))
        return self.writer.all_of(Settle)[-1]

    def tick(self, seconds: float = 0) -> None:
        self.driver.tick(self.clock.advance(seconds), [HELD])

    def settled_again(self) -> list[Settle]:
        """The settlements told to the writer at a tick now."""
        self.writer.messages.clear()
        self.tick()
        return self.writer.all_of(Settle)


@pytest.fixture
def books() -> Books:
    return Books()


@pytest.mark.parametrize(("sole_owner", "lapsed"), [(True, inf), (False, NOW)])
def test_what_is_taken_back_depends_on_who_else_may_hold_it(
    *, sole_owner: bool, lapsed: float
) -> None:
    books = Books(sole_owner=sole_owner)
    books.driver.recover()
    assert books.writer.messages == [Tend(books.queue, "tasks", NOW, lapsed)]


def test_a_publish_carries_its_answer_and_its_deadline_to_the_writer(books: Books) -> None:
    publish = Publish(a_task(), NOW + 3)
    books.driver.publish(publish)
    assert books.writer.messages == [Insert(books.queue, publish.task, NOW + 3, publish.reply_to)]


def test_publishes_past_their_deadline_are_answered_at_the_next_tick(books: Books) -> None:
    first, later = Publish(a_task(), NOW), Publish(a_task(), NOW + 1)
    for publish in (first, later):
        books.driver.publish(publish)
    books.tick()
    with pytest.raises(AnswerTimeoutError, match="unknown"):
        first.reply_to.wait(0)
    later.reply_to.answer(None)
    later.reply_to.wait(0)


def test_a_claim_carries_a_random_lease_that_lasts_its_time(books: Books) -> None:
    books.driver.claim(7, 2)
    assert books.writer.messages == [
        Claim(
            books.queue,
            "tasks",
            limit=7,
            free=2,
            lease_id=63,
            now=NOW,
            leased_until=NOW + LEASE_SECONDS,
        )
    ]


def test_leases_are_renewed_after_a_third_of_their_time(books: Books) -> None:
    books.tick()
    books.tick(LEASE_SECONDS / 3 - 1)
    assert [renew.leased_until for renew in books.writer.all_of(Renew)] == [NOW + LEASE_SECONDS]
    unsettled = books.settle("a").settlement.lease
    books.tick(1)
    assert books.writer.all_of(Renew)[-1].leases == (HELD, unsettled)


def test_leases_that_could_not_be_renewed_are_renewed_at_the_next_tick(books: Books) -> None:
    books.tick()
    books.driver.failed(WriteFailed(books.writer.all_of(Renew)[0], UNAVAILABLE))
    books.tick(0.25)
    assert len(books.writer.all_of(Renew)) == 2


def test_failed_settlements_are_written_again_after_growing_delays(books: Books) -> None:
    first, second = books.settle("a"), books.settle("b")
    for failures in (1, 2, 3):
        # Both fail together: that is one failure, not two.
        books.driver.failed(WriteFailed(first, UNAVAILABLE))
        books.driver.failed(WriteFailed(second, UNAVAILABLE))
        delay = RETRY.delay_seconds(failures, lambda: 0.5)
        books.clock.advance(delay - 0.01)
        assert books.settled_again() == []
        books.clock.advance(0.01)
        assert books.settled_again() == [first, second]
        assert books.settled_again() == []
    books.driver.settled([first.settlement.lease])
    books.driver.failed(WriteFailed(second, UNAVAILABLE))
    books.clock.advance(RETRY.delay_seconds(1, lambda: 0.5))
    assert books.settled_again() == [second]  # after a success the delays start anew
    assert books.driver.unsettled == 1


def test_a_refused_settlement_becomes_dead_and_a_refused_dead_one_is_dropped(
    books: Books,
) -> None:
    refusal = BadRowError("no")
    books.driver.failed(WriteFailed(books.settle("a"), refusal))
    dead = books.writer.all_of(Settle)[-1]
    assert (dead.settlement.lease.task_id, dead.settlement.status) == ("a", Status.DEAD)
    assert books.driver.unsettled == 1
    books.driver.failed(WriteFailed(dead, refusal))
    assert books.driver.unsettled == 0
