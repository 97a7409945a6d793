"""One suite for every driver: what a queue may rely on, whatever makes its tasks durable."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from task_queue.actors.drivers import database as database_driver
from task_queue.actors.drivers import memory as memory_driver
from task_queue.actors.drivers.database import DatabaseDriver
from task_queue.actors.drivers.driver import Driver
from task_queue.actors.drivers.memory import MemoryDriver
from task_queue.actors.errors import QueueFullError, StoreUnavailableError
from task_queue.actors.messages.base import Notice, Recipient
from task_queue.actors.messages.queue import Claimed, Publish, Settled, Stored, Tended, Unblocked
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import WriteFailed
from task_queue.actors.runtime.address import Address
from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.conditions import Conditions
from task_queue.actors.tasks.limits import NO_LIMITS, QueueLimits
from task_queue.actors.tasks.settlement import (
    EXPIRED,
    Failure,
    Settlement,
    ack,
    drained,
    expire,
    nack,
    requeue,
)
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Attempt, Course, Task
from task_queue.actors.writer import DatabaseWriter
from tests.actors.store.calls import attempts, find
from tests.databases import held, impatient, refuse
from tests.fakes import DEADLINE_SECONDS, NOW, Inbox, ManualClock, a_task, life, running

BACKOFF = Backoff(base_seconds=10, factor=2, cap_seconds=100)
LEASE_SECONDS = 60.0

M = TypeVar("M", bound=Notice)


def done(claimed: ClaimedTask, result: str = "1") -> Settlement:
    return ack(claimed, result, NOW + 1, NOW + 2)


def failed(claimed: ClaimedTask, failure: Failure | None = None) -> Settlement:
    why = failure or Failure("no")
    return nack(claimed, why, backoff=BACKOFF, now=NOW + 2, random=lambda: 0.5)


def a_driver(  # noqa: PLR0913 - wired in one place
    kind: str,
    queue: Recipient,
    writer: Recipient,
    now: ManualClock,
    *,
    sole_owner: bool = True,
    limits: QueueLimits = NO_LIMITS,
) -> Driver:
    if kind == "memory":
        return MemoryDriver(queue_address=queue, writer=writer, now=now)
    return DatabaseDriver(
        queue="tasks",
        queue_address=queue,
        writer=writer,
        lease_seconds=LEASE_SECONDS,
        sole_owner=sole_owner,
        worker="worker",
        limits=limits,
        now=now,
        monotonic=now,
        random=lambda: 0.5,
        random_bits=lambda bits: (1 << bits) - 1,
    )


@dataclass
class Desk:
    """A queue without consumers: lets the driver hear each notice, as the queue actor does."""

    kind: str
    database: Database
    writer: Address
    clock: ManualClock = field(default_factory=ManualClock)
    inbox: Inbox = field(default_factory=Inbox)
    driver: Driver = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, *, sole_owner: bool = True, limits: QueueLimits = NO_LIMITS) -> None:
        """A new life of the queue, with nothing in its hands."""
        self.inbox = Inbox()
        self.driver = a_driver(
            self.kind,
            self.inbox,
            self.writer,
            self.clock,
            sole_owner=sole_owner,
            limits=limits,
        )

    def wait_for(self, kind: type[M]) -> M:
        """The next notice of this kind; the driver hears each on the way."""
        while True:
            notice = self.inbox.wait_for(Notice)
            self.driver.hear(notice)
            if isinstance(notice, kind):
                return notice

    def publish(self, **columns: object) -> Task:
        """A task whose publish was answered and told."""
        return self.publish_all(a_task(**columns))[0]

    def publish_all(self, *tasks: Task, conditions: Conditions | None = None) -> tuple[Task, ...]:
        """These tasks, published at once."""
        publish = Publish(tasks, NOW + 60, conditions)
        self.driver.publish(publish)
        publish.reply_to.wait(DEADLINE_SECONDS)
        assert self.wait_for(Stored).task_ids == tuple(task.id for task in tasks)
        return tasks

    def claim(self, limit: int = 10) -> tuple[list[ClaimedTask], bool]:
        """What was claimed, and whether there may be more."""
        self.driver.claim(limit, limit)
        claimed = self.wait_for(Claimed)
        return list(claimed.tasks), claimed.more

    def one(self, **columns: object) -> ClaimedTask:
        """A task, published and claimed."""
        self.publish(**columns)
        (claimed,), _ = self.claim()
        return claimed

    def settle(self, settlement: Settlement) -> Settled:
        """What came of it."""
        self.driver.settle(settlement)
        return self.wait_for(Settled)

    def tick(self) -> None:
        """Let the driver do what is due."""
        self.driver.tick(self.clock(), [])
        if self.kind == "database":
            self.wait_for(Tended)

    def until_all_is_written(self) -> None:
        """Let time pass with every failure, until the driver has nothing left to write."""
        while self.driver.unsettled:
            if isinstance(self.wait_for(Notice), WriteFailed):
                self.clock.advance(60)
                self.driver.tick(self.clock(), [])

    def row(self, task_id: str) -> Task | None:
        """What is on disk."""
        store = Session(self.database, read_only=True)
        task = find(store, task_id)
        store.close()
        return task

    def finished(self, settlement: Settlement) -> Task:
        """The row of a task that is final with this settlement."""
        self.settle(settlement)
        self.until_all_is_written()
        row = self.row(settlement.lease.task_id)
        assert row is not None
        return row

    def attempts(self, claimed: ClaimedTask) -> list[Attempt]:
        """What is on disk of them."""
        store = Session(self.database, read_only=True)
        seen = attempts(store, claimed.lease.task_id)
        store.close()
        return seen


@pytest.fixture
def desk(kind: str, database: Database) -> Iterator[Desk]:
    ref = DatabaseWriter.start(
        life("writer"),
        session=Session(impatient(database)),
        max_batch=100,
        now=lambda: NOW,
        monotonic=lambda: NOW,
    )
    with running(ref, "writer") as writer:
        yield Desk(kind, database, writer)


EVERY_DRIVER = pytest.mark.parametrize(
    ("kind", "database"),
    [("memory", "sqlite"), ("database", "sqlite"), ("database", "postgresql")],
    indirect=["database"],
)
ON_DISK = pytest.mark.parametrize("kind", ["database"])
IN_MEMORY = pytest.mark.parametrize(
    ("kind", "database"), [("memory", "sqlite")], indirect=["database"]
)


# --- every driver ---------------------------------------------------------------------------


@EVERY_DRIVER
def test_tasks_are_claimed_in_the_order_of_their_publishing(desk: Desk) -> None:
    published = [desk.publish(data=f'{{"n":{n}}}') for n in range(5)]
    first, more = desk.claim(2)
    assert more
    second, more = desk.claim(10)
    assert not more
    claimed = first + second
    assert [task.lease.task_id for task in claimed] == [task.id for task in published]
    assert [(task.action, task.data) for task in claimed] == [
        (task.action, task.data) for task in published
    ]
    assert {(task.attempt, task.max_attempts) for task in claimed} == {(1, 5)}


@EVERY_DRIVER
def test_a_claim_of_nothing_is_told_too(desk: Desk) -> None:
    assert desk.claim() == ([], False)


@EVERY_DRIVER
def test_an_acknowledged_task_is_a_completed_row_with_its_result(desk: Desk) -> None:
    claimed = desk.one()
    assert desk.settle(done(claimed, '{"output":1}')) == Settled((claimed.lease,), ())
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.result, row.attempt) == (Status.COMPLETED, '{"output":1}', 1)
    assert (row.started_at, row.course.ended_at, row.processed_at) == (NOW + 1, NOW + 2, NOW + 2)
    assert desk.claim() == ([], False)


@EVERY_DRIVER
def test_a_failed_task_comes_again_at_its_time_and_not_before(desk: Desk) -> None:
    claimed = desk.one()
    later = failed(claimed)
    assert later.run_at == NOW + 7
    desk.settle(later)
    desk.clock.advance(6.9)
    desk.tick()
    assert desk.claim() == ([], False)
    desk.clock.advance(0.1)
    desk.tick()
    (again,), _ = desk.claim()
    assert (again.lease.task_id, again.attempt) == (claimed.lease.task_id, 2)


@EVERY_DRIVER
def test_a_task_that_failed_for_good_is_a_dead_row_with_its_error(desk: Desk) -> None:
    claimed = desk.one()
    desk.settle(failed(claimed, Failure("no", permanent=True)))
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.error, row.result) == (Status.DEAD, "no", None)
    assert row.processed_at == int(NOW) + 2
    assert desk.claim() == ([], False)


@EVERY_DRIVER
def test_a_task_given_back_unrun_is_the_next_and_has_lost_no_attempt(desk: Desk) -> None:
    desk.publish()
    desk.publish()
    (first,), _ = desk.claim(1)
    desk.settle(requeue(first))
    (again, _), _ = desk.claim()
    assert (again.lease.task_id, again.attempt) == (first.lease.task_id, 1)


@EVERY_DRIVER
def test_a_settlement_without_its_lease_is_refused(desk: Desk) -> None:
    claimed = desk.one()
    forged = Lease(claimed.lease.task_id, 12)
    settlement = Settlement(forged, Status.COMPLETED, 1, result="2")
    assert desk.settle(settlement) == Settled((), (forged,))
    assert desk.settle(done(claimed, "1")) == Settled((claimed.lease,), ())
    assert desk.settle(done(claimed, "3")) == Settled((), (claimed.lease,))
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert row.result == "1"


@EVERY_DRIVER
def test_a_result_survives_a_database_that_fails_for_a_while(desk: Desk) -> None:
    claimed = desk.one()
    with held(desk.database):
        desk.driver.settle(done(claimed, "1"))
        for _ in range(2):
            failure = desk.wait_for(WriteFailed)
            assert isinstance(failure.error, StoreUnavailableError)
            assert desk.driver.unsettled == 1
            desk.clock.advance(60)
            desk.driver.tick(desk.clock(), [])
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.result, row.attempt) == (Status.COMPLETED, "1", 1)


@EVERY_DRIVER
def test_a_result_that_the_database_refuses_ends_the_task_as_dead(desk: Desk) -> None:
    refuse(desk.database, "result", "bad")
    claimed = desk.one()
    desk.clock.advance(2)
    desk.driver.settle(done(claimed, "bad"))
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.result, row.processed_at) == (Status.DEAD, None, int(NOW) + 2)
    assert row.error is not None
    assert row.error.startswith("the outcome could not be stored: ")


@EVERY_DRIVER
def test_an_outcome_that_is_refused_even_as_dead_is_not_repeated_for_ever(desk: Desk) -> None:
    refuse(desk.database, "result", "bad")
    refuse(desk.database, "status", "dead")
    claimed = desk.one()
    desk.driver.settle(done(claimed, "bad"))
    desk.until_all_is_written()
    assert desk.driver.unsettled == 0


@EVERY_DRIVER
def test_tasks_published_at_once_are_claimed_in_their_order(desk: Desk) -> None:
    tasks = desk.publish_all(*(a_task() for _ in range(3)))
    claimed, _ = desk.claim()
    assert [each.lease.task_id for each in claimed] == [task.id for task in tasks]


@EVERY_DRIVER
def test_a_task_published_for_later_comes_at_its_time_and_not_before(desk: Desk) -> None:
    task = desk.publish(status=Status.SCHEDULED, run_at=NOW + 5)
    desk.clock.advance(4.9)
    desk.tick()
    assert desk.claim() == ([], False)
    desk.clock.advance(0.1)
    desk.tick()
    (claimed,), _ = desk.claim()
    assert (claimed.lease.task_id, claimed.attempt) == (task.id, 1)


@EVERY_DRIVER
def test_a_wait_does_not_last_until_a_clock_set_back_shows_its_end(desk: Desk) -> None:
    desk.clock.now = later = NOW + 30 * 86_400
    claimed = desk.one()
    course = Course(counted_from=later)
    delayed = desk.publish(status=Status.SCHEDULED, run_at=later + 5, course=course)
    desk.publish(status=Status.SCHEDULED, run_at=later + 5)  # its publisher said when
    desk.tick()
    backoff = Backoff(7.0, 1.0, 7.0)
    failure = Failure("bad")
    desk.settle(nack(claimed, failure, backoff=backoff, now=later, random=lambda: 1.0))
    desk.clock.now = NOW
    desk.tick()
    desk.clock.advance(4.9)
    desk.tick()
    assert desk.claim() == ([], False)
    desk.clock.advance(2.2)
    desk.tick()
    again, _ = desk.claim()
    assert {each.lease.task_id for each in again} == {claimed.lease.task_id, delayed.id}


@EVERY_DRIVER
def test_a_task_that_asked_for_later_comes_then_with_its_attempt_and_is_counted(desk: Desk) -> None:
    claimed = desk.one()
    for postponed in (1, 2):
        desk.settle(failed(claimed, Failure("busy", retry_after=8.0)))
        desk.clock.now = NOW + 9.9
        desk.tick()
        assert desk.claim() == ([], False)
        desk.clock.now = NOW + 10
        desk.tick()
        (claimed,), _ = desk.claim()
        assert (claimed.attempt, claimed.terms.postponed) == (1, postponed)


@EVERY_DRIVER
def test_a_task_cut_short_by_a_shutdown_is_the_next_and_has_lost_no_attempt(desk: Desk) -> None:
    claimed = desk.one()
    desk.settle(drained(claimed, NOW + 2))
    (again,), _ = desk.claim()
    assert (again.lease.task_id, again.attempt) == (claimed.lease.task_id, 1)


@EVERY_DRIVER
def test_a_task_that_stopped_as_it_was_asked_to_is_a_cancelled_row(desk: Desk) -> None:
    row = desk.finished(failed(desk.one(), Failure("bye", Outcome.CANCELLED)))
    assert (row.status, row.error, row.processed_at) == (Status.CANCELLED, "bye", NOW + 2)
    assert desk.claim() == ([], False)


@EVERY_DRIVER
def test_a_task_that_went_well_has_one_attempt_with_its_times(desk: Desk) -> None:
    claimed = desk.one()
    desk.finished(done(claimed))
    (attempt,) = desk.attempts(claimed)
    assert (attempt.number, attempt.outcome) == (1, Outcome.COMPLETED)
    assert (attempt.started_at, attempt.ended_at) == (NOW + 1, NOW + 2)


@EVERY_DRIVER
def test_a_pause_is_answered(desk: Desk) -> None:
    waiter: Reply[None] = Reply()
    desk.driver.pause(waiter, paused=True)
    waiter.wait(DEADLINE_SECONDS)


# --- in memory ------------------------------------------------------------------------------


@IN_MEMORY
def test_only_finished_tasks_are_rows(desk: Desk) -> None:
    claimed, waiting = desk.one(), desk.publish()
    assert desk.row(claimed.lease.task_id) is None
    desk.settle(done(claimed, "1"))
    desk.until_all_is_written()
    assert desk.row(claimed.lease.task_id) is not None
    assert desk.row(waiting.id) is None


@IN_MEMORY
def test_what_memory_held_is_lost_with_the_queue(desk: Desk) -> None:
    desk.publish()
    desk.restart()
    desk.driver.recover()
    assert desk.claim() == ([], False)


@IN_MEMORY
def test_memory_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_driver, "MAX_TASKS", 2)
    (first, _) = desk.publish(), desk.publish()
    with pytest.raises(QueueFullError):
        desk.driver.publish(Publish((a_task(),), NOW))
    (claimed,), _ = desk.claim(1)
    assert claimed.lease.task_id == first.id
    # What waits for its next attempt takes up room as well.
    desk.settle(failed(claimed))
    with pytest.raises(QueueFullError):
        desk.driver.publish(Publish((a_task(),), NOW))
    desk.claim()
    desk.publish()


# --- on disk --------------------------------------------------------------------------------


@ON_DISK
def test_a_publish_is_a_row_when_it_is_answered(desk: Desk) -> None:
    task = desk.publish()
    assert desk.row(task.id) == task


@ON_DISK
def test_publishes_that_wait_for_their_commit_are_bounded(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_driver, "MAX_PENDING_PUBLISHES", 1)
    first = Publish((a_task(),), NOW + 60)
    desk.driver.publish(first)
    with pytest.raises(QueueFullError):
        desk.driver.publish(Publish((a_task(),), NOW + 60))
    desk.wait_for(Stored)
    late = Publish((a_task(),), NOW - 1)
    desk.driver.publish(late)
    desk.wait_for(WriteFailed)  # a publish that failed makes room, too
    desk.publish()


@ON_DISK
def test_the_sole_owner_takes_back_every_lease_of_the_dead(desk: Desk) -> None:
    claimed = desk.one()
    desk.restart(sole_owner=True)
    desk.driver.recover()
    assert desk.wait_for(Tended).lapsed == (claimed,)


@ON_DISK
def test_one_of_several_owners_takes_back_lapsed_leases_only(desk: Desk) -> None:
    claimed = desk.one()
    desk.restart(sole_owner=False)
    desk.driver.recover()
    assert desk.wait_for(Tended).lapsed == ()
    desk.clock.advance(LEASE_SECONDS)
    desk.driver.recover()
    assert desk.wait_for(Tended).lapsed == (claimed,)


@ON_DISK
def test_held_leases_are_renewed_and_the_others_lapse(desk: Desk) -> None:
    desk.restart(sole_owner=False)
    desk.publish()
    desk.publish()
    (kept, dropped), _ = desk.claim()
    for _ in range(3):
        desk.clock.advance(LEASE_SECONDS / 3)
        desk.driver.tick(desk.clock(), [kept.lease])
        lapsed = desk.wait_for(Tended).lapsed
    assert lapsed == (dropped,)


@EVERY_DRIVER
def test_a_task_that_came_too_late_is_a_dead_row_that_never_began(desk: Desk) -> None:
    row = desk.finished(expire(desk.one(), NOW + 2))
    assert (row.status, row.error, row.attempt) == (Status.DEAD, EXPIRED, 0)
    assert (row.started_at, row.course.worker) == (None, None)
    assert row.processed_at == NOW + 2


@ON_DISK
def test_every_attempt_is_recorded_with_what_ran_it_and_how_it_ended(desk: Desk) -> None:
    claimed = desk.one()
    failures = [
        Failure("no", started_at=NOW + 0.5, traceback="line 1"),
        Failure("dead", Outcome.CRASHED),
    ]
    for failure in failures:
        over = failed(claimed, failure)._replace(status=Status.QUEUED, losses=0)
        desk.settle(over._replace(ended_at=desk.clock.advance(9)))
        desk.clock.advance(1)
        (claimed,), _ = desk.claim()
    desk.settle(drained(claimed, desk.clock.advance(9)))
    desk.clock.advance(1)
    (claimed,), _ = desk.claim()
    assert desk.attempts(claimed)[-1] == Attempt(
        number=3, started_at=NOW + 30, ended_at=None, worker="worker", outcome=None
    )
    desk.settle(ack(claimed, "1", NOW + 31, NOW + 32))
    seen = desk.attempts(claimed)
    assert [(each.number, each.outcome, each.error, each.traceback) for each in seen] == [
        (1, Outcome.FAILED, "no", "line 1"),
        (2, Outcome.CRASHED, "dead", None),
        (3, Outcome.DRAINED, "the server shut down before it ended", None),
        (3, Outcome.COMPLETED, None, None),
    ]
    assert [(each.started_at, each.ended_at) for each in seen] == [
        (NOW + 0.5, NOW + 9),
        (NOW + 10, NOW + 19),  # its consumer did not live to say when it began: the claim
        (NOW + 20, NOW + 29),
        (NOW + 31, NOW + 32),
    ]
    assert {each.worker for each in seen} == {"worker"}


@ON_DISK
@pytest.mark.parametrize("settle", [requeue, lambda claimed: expire(claimed, NOW)])
def test_of_what_was_never_started_no_attempt_is_recorded(
    desk: Desk, settle: Callable[[ClaimedTask], Settlement]
) -> None:
    claimed = desk.one()
    desk.settle(settle(claimed))
    assert desk.attempts(claimed) == []


@ON_DISK
def test_a_result_that_was_refused_is_recorded_as_a_failed_attempt(desk: Desk) -> None:
    refuse(desk.database, "result", "bad")
    claimed = desk.one()
    desk.driver.settle(done(claimed, "bad"))
    desk.until_all_is_written()
    (attempt,) = desk.attempts(claimed)
    assert (attempt.outcome, attempt.started_at) == (Outcome.FAILED, NOW + 1)
    assert attempt.ended_at == NOW + 2


@ON_DISK
def test_a_settlement_without_its_lease_records_no_attempt(desk: Desk) -> None:
    claimed = desk.one()
    forged = claimed._replace(lease=Lease(claimed.lease.task_id, 12))
    assert desk.settle(failed(forged)) == Settled((), (forged.lease,))
    (running,) = desk.attempts(claimed)
    assert running.outcome is None


@ON_DISK
def test_the_higher_priority_is_claimed_first_and_among_equals_the_oldest(desk: Desk) -> None:
    low, first, second, high = desk.publish_all(
        a_task(priority=-1), a_task(), a_task(), a_task(priority=1)
    )
    claimed, _ = desk.claim()
    assert [each.lease.task_id for each in claimed] == [
        task.id for task in (high, first, second, low)
    ]


@ON_DISK
def test_a_report_of_progress_is_in_the_row_at_the_next_commit(desk: Desk) -> None:
    claimed = desk.one()
    desk.driver.report(Progress(claimed.lease, 0.5, "half"))
    desk.tick()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.course.progress, row.course.progress_message) == (0.5, "half")


@ON_DISK
@pytest.mark.parametrize("sole_owner", [False, True])
def test_a_pause_survives_the_queue_and_holds_claims_back(desk: Desk, *, sole_owner: bool) -> None:
    desk.publish()
    for paused in (True, False):
        waiter: Reply[None] = Reply()
        desk.driver.pause(waiter, paused=paused)
        waiter.wait(DEADLINE_SECONDS)
        desk.restart(sole_owner=sole_owner)
        desk.driver.recover()
        assert desk.wait_for(Tended).paused is paused
        claimed, _ = desk.claim()
        assert len(claimed) == (0 if paused else 1)


@ON_DISK
def test_of_tasks_with_one_key_only_so_many_run_and_those_behind_them_are_not_held_up(
    desk: Desk,
) -> None:
    desk.restart(limits=QueueLimits(concurrency_per_key=1))
    conditions = Conditions(limits={"tasks": QueueLimits(concurrency_per_key=1)})
    first, second, other, free = desk.publish_all(
        *(a_task(key=key, status=Status.BLOCKED) for key in "aab"), a_task(), conditions=conditions
    )
    claimed, _ = desk.claim()
    assert [each.lease.task_id for each in claimed] == [first.id, other.id, free.id]
    desk.settle(done(claimed[0]))
    desk.wait_for(Unblocked)
    (claimed), _ = desk.claim()
    assert [each.lease.task_id for each in claimed] == [second.id]


@ON_DISK
def test_no_more_is_claimed_than_the_rate_limit_allows(desk: Desk) -> None:
    desk.restart(limits=QueueLimits(rate_limit=4.0))
    desk.publish_all(*(a_task() for _ in range(10)))
    claimed, _ = desk.claim()
    assert len(claimed) == 2  # half a second's worth
    assert desk.claim() == ([], False)
