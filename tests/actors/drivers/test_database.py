"""What the durable driver tells the writer, and when: pure, with a writer that only collects."""

from math import inf

import pytest

from task_queue.actors.drivers.database import RETRY, DatabaseDriver
from task_queue.actors.errors import AnswerTimeoutError, BadRowError, StoreUnavailableError
from task_queue.actors.messages.queue import Publish, Settled, Tended
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Insert,
    KeyPlace,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
    WriteFailed,
)
from task_queue.actors.tasks.claim import Claimant, Lease
from task_queue.actors.tasks.conditions import Conditions
from task_queue.actors.tasks.limits import NO_LIMITS, QueueLimits
from task_queue.actors.tasks.settlement import Settlement
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Status
from tests.fakes import NOW, Inbox, ManualClock, a_task

UNAVAILABLE = StoreUnavailableError("away")
LEASE_SECONDS = 60.0
HELD = Lease("held", 1)


class Books:
    """A driver, its writer, and the time."""

    def __init__(self, *, sole_owner: bool = True, limits: QueueLimits = NO_LIMITS) -> None:
        self.queue, self.writer = Inbox(), Inbox()
        self.clock, self.monotonic = ManualClock(), ManualClock()
        self.driver = DatabaseDriver(
            queue="tasks",
            queue_address=self.queue,
            writer=self.writer,
            lease_seconds=LEASE_SECONDS,
            sole_owner=sole_owner,
            worker="worker",
            limits=limits,
            now=self.clock,
            monotonic=self.monotonic,
            random=lambda: 0.5,
            random_bits=lambda bits: bits,
        )

    def settle(
        self, task_id: str, status: Status = Status.COMPLETED, key: str | None = None
    ) -> Settle:
        self.driver.settle(Settlement(Lease(task_id, 1), status, 1, key=key))
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
    (tend,) = books.writer.all_of(Tend)
    assert (tend.queue, tend.due, tend.lapsed) == ("tasks", NOW, lapsed)


def test_a_publish_carries_its_answer_its_deadline_and_its_conditions_to_the_writer(
    books: Books,
) -> None:
    conditions = Conditions(limits={"tasks": QueueLimits(max_length=1)})
    publish = Publish((a_task(), a_task(queue="other")), NOW + 3, conditions)
    books.driver.publish(publish)
    assert books.writer.messages == [
        Insert(books.queue, publish.tasks, NOW + 3, publish.reply_to, conditions)
    ]


def test_publishes_past_their_deadline_are_answered_at_the_next_tick(books: Books) -> None:
    first, later = Publish((a_task(),), NOW), Publish((a_task(),), NOW + 1)
    for publish in (first, later):
        books.driver.publish(publish)
    books.tick()
    with pytest.raises(AnswerTimeoutError, match="unknown"):
        first.reply_to.wait(0)
    later.reply_to.answer(None)
    later.reply_to.wait(0)


def test_a_claim_carries_a_random_lease_that_lasts_its_time() -> None:
    books = Books(limits=QueueLimits(rate_limit=2.5))
    books.driver.claim(7, 2)
    books.driver.claim_suspect()
    claimant = Claimant(
        queue="tasks",
        lease_id=63,
        node="worker",
        now=NOW,
        leased_until=NOW + LEASE_SECONDS,
        rate_limit=2.5,
    )
    claim, suspect = books.writer.messages
    assert claim == Claim(books.queue, claimant, limit=7, free=2)
    assert suspect == ClaimSuspect(books.queue, claimant)


def test_leases_are_renewed_after_a_third_of_their_time(books: Books) -> None:
    books.tick()
    books.tick(LEASE_SECONDS / 3 - 1)
    assert [renew.leased_until for renew in books.writer.all_of(Renew)] == [NOW + LEASE_SECONDS]
    unsettled = books.settle("a").settlement.lease
    books.tick(1)
    assert books.writer.all_of(Renew)[-1].leases == (HELD, unsettled)


def test_leases_that_could_not_be_renewed_are_renewed_at_the_next_tick(books: Books) -> None:
    books.tick()
    books.driver.hear(WriteFailed(books.writer.all_of(Renew)[0], UNAVAILABLE))
    books.tick(0.25)
    assert len(books.writer.all_of(Renew)) == 2


def test_failed_settlements_are_written_again_after_growing_delays(books: Books) -> None:
    first, second = books.settle("a"), books.settle("b")
    for failures in (1, 2, 3):
        # Both fail together: that is one failure, not two.
        books.driver.hear(WriteFailed(first, UNAVAILABLE))
        books.driver.hear(WriteFailed(second, UNAVAILABLE))
        delay = RETRY.delay_seconds(failures, lambda: 0.5)
        books.clock.advance(delay - 0.01)
        assert books.settled_again() == []
        books.clock.advance(0.01)
        assert books.settled_again() == [first, second]
        assert books.settled_again() == []
    books.driver.hear(Settled((first.settlement.lease,), ()))
    books.driver.hear(WriteFailed(second, UNAVAILABLE))
    books.clock.advance(RETRY.delay_seconds(1, lambda: 0.5))
    assert books.settled_again() == [second]  # after a success the delays start anew
    assert books.driver.unsettled == 1


def test_a_refused_settlement_becomes_dead_and_a_refused_dead_one_is_dropped(
    books: Books,
) -> None:
    refusal = BadRowError("no")
    books.driver.hear(WriteFailed(books.settle("a"), refusal))
    dead = books.writer.all_of(Settle)[-1]
    assert (dead.settlement.lease.task_id, dead.settlement.status) == ("a", Status.DEAD)
    assert books.driver.unsettled == 1
    books.driver.hear(WriteFailed(dead, refusal))
    assert books.driver.unsettled == 0


def test_a_settlement_that_was_refused_as_bad_ends_when_it_was_refused_if_it_had_not_ended(
    books: Books,
) -> None:
    """An attempt is recorded of it then, and those have an end."""
    books.driver.hear(WriteFailed(books.settle("a", Status.QUEUED), BadRowError("no")))
    dead = books.writer.all_of(Settle)[-1].settlement
    assert (dead.status, dead.ended_at) == (Status.DEAD, NOW)


def test_a_progress_and_a_pause_go_to_the_writer(books: Books) -> None:
    waiter: Reply[None] = Reply()
    progress = Progress(HELD, 0.5, "half")
    books.driver.report(progress)
    books.driver.pause(waiter, paused=True)
    assert books.writer.messages == [
        Report(books.queue, progress),
        SetPaused(books.queue, "tasks", paused=True, waiter=waiter),
    ]


@pytest.mark.parametrize("write", [Report, SetPaused])
def test_a_progress_or_a_pause_that_failed_is_not_repeated(
    books: Books, write: type[Report | SetPaused]
) -> None:
    """The next report will do, and whoever asked for the pause was told."""
    books.driver.report(Progress(HELD, 0.5, None))
    books.driver.pause(Reply(), paused=True)
    books.driver.hear(WriteFailed(books.writer.all_of(write)[0], UNAVAILABLE))
    books.tick(3_600)
    assert len(books.writer.all_of(write)) == 1


def test_who_gives_up_a_place_says_so_only_where_places_are_limited() -> None:
    limited, unlimited = Books(limits=QueueLimits(concurrency_per_key=3)), Books()
    assert limited.settle("a", key="k").place == KeyPlace("tasks", "k", 3)
    assert limited.settle("b").place is None
    assert unlimited.settle("a", key="k").place is None


def test_a_failed_settlement_that_is_repeated_gives_up_its_place_too() -> None:
    books = Books(limits=QueueLimits(concurrency_per_key=3))
    settle = books.settle("a", key="k")
    books.driver.hear(WriteFailed(settle, BadRowError("no")))
    assert books.writer.all_of(Settle)[-1].place == settle.place


def swept(books: Books, *ends: str) -> list[str | None]:
    """From where each sweep went on, if the ones before it ended there."""
    for end in ends:
        books.driver.hear(Tended(0, (), swept_to=end))
        books.tick()
    return [tend.sweep_after for tend in books.writer.all_of(Tend)]


def test_sweeps_for_free_places_go_round_where_places_are_limited() -> None:
    books = Books(limits=QueueLimits(concurrency_per_key=1))
    books.driver.recover()
    assert swept(books, "m", "x", "", "m") == ["", "m", "x", "", "m"]


def test_where_no_places_are_limited_sweeps_go_on_until_nothing_is_left_of_a_former_limit(
    books: Books,
) -> None:
    books.driver.recover()
    for number in (20, 3, 0, 0):
        books.driver.hear(Tended(0, (), swept=number, swept_to="m" if number == 20 else ""))
        books.tick()
    sweeps = [tend.sweep_after for tend in books.writer.all_of(Tend)]
    assert sweeps == ["", "", "", None, None]


def test_the_queue_is_tended_once_at_a_time(books: Books) -> None:
    books.tick()
    books.tick()
    (tend,) = books.writer.all_of(Tend)
    books.driver.hear(WriteFailed(tend, StoreUnavailableError("away")))
    books.tick()
    assert len(books.writer.all_of(Tend)) == 2
    books.driver.hear(Tended(0, ()))
    books.tick()
    assert len(books.writer.all_of(Tend)) == 3


def test_where_more_is_due_than_one_step_takes_the_next_follows_at_once(books: Books) -> None:
    books.driver.hear(Tended(promoted=1_000, lapsed=(), more=True))
    assert len(books.writer.all_of(Tend)) == 1
    books.driver.hear(Tended(promoted=7, lapsed=()))
    assert len(books.writer.all_of(Tend)) == 1
