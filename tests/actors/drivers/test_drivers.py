"""One suite for every driver: what a queue may rely on, whatever makes its tasks durable."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from actors.address import Address
from actors.backoff import Backoff
from actors.drivers import database as database_driver
from actors.drivers import memory as memory_driver
from actors.drivers.database import DatabaseDriver
from actors.drivers.driver import Driver
from actors.drivers.memory import MemoryDriver
from actors.errors import QueueFullError, StoreUnavailableError
from actors.messages import (
    Claimed,
    Command,
    Publish,
    Recipient,
    Settled,
    Stored,
    Tended,
    WriteFailed,
)
from actors.store.connect import Database
from actors.store.store import Store
from actors.task import ClaimedTask, Lease, Settlement, Status, Task, ack, nack, requeue
from actors.writer import DatabaseWriter
from tests.databases import held, impatient, refuse
from tests.fakes import DEADLINE_SECONDS, NOW, Inbox, ManualClock, a_task, life, running

BACKOFF = Backoff(base_seconds=10, factor=2, cap_seconds=100)
LEASE_SECONDS = 60.0

M = TypeVar("M", bound=Command)


def a_driver(
    kind: str, queue: Recipient, writer: Recipient, now: ManualClock, *, sole_owner: bool = True
) -> Driver:
    if kind == "memory":
        return MemoryDriver(queue_address=queue, writer=writer, now=now)
    return DatabaseDriver(
        queue="tasks",
        queue_address=queue,
        writer=writer,
        lease_seconds=LEASE_SECONDS,
        sole_owner=sole_owner,
        now=now,
        random=lambda: 0.5,
        random_bits=lambda bits: (1 << bits) - 1,
    )


@dataclass
class Desk:
    """A queue without consumers: hands the driver its own news, as the queue actor does."""

    kind: str
    database: Database
    writer: Address
    clock: ManualClock = field(default_factory=ManualClock)
    inbox: Inbox = field(default_factory=Inbox)
    driver: Driver = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, *, sole_owner: bool = True) -> None:
        """A new life of the queue, with nothing in its hands."""
        self.inbox = Inbox()
        self.driver = a_driver(
            self.kind, self.inbox, self.writer, self.clock, sole_owner=sole_owner
        )

    def wait_for(self, kind: type[M]) -> M:
        """The next news of this kind; on the way the driver hears what concerns it."""
        while True:
            news = self.inbox.wait_for(Command)
            match news:
                case Stored():
                    self.driver.stored(news.task_ids)
                case Settled():
                    self.driver.settled((*news.applied, *news.refused))
                case WriteFailed():
                    self.driver.failed(news)
            if isinstance(news, kind):
                return news

    def publish(self, **columns: object) -> Task:
        """A task whose publish was answered and told."""
        publish = Publish(a_task(**columns), NOW + 60)
        self.driver.publish(publish)
        publish.reply_to.wait(DEADLINE_SECONDS)
        assert self.wait_for(Stored).task_ids == (publish.task.id,)
        return publish.task

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
            if isinstance(self.wait_for(Command), WriteFailed):
                self.clock.advance(60)
                self.driver.tick(self.clock(), [])

    def row(self, task_id: str) -> Task | None:
        """What is on disk."""
        store = Store(self.database, read_only=True)
        with store.transaction():
            task = store.get(task_id)
        store.close()
        return task


@pytest.fixture
def desk(kind: str, database: Database) -> Iterator[Desk]:
    ref = DatabaseWriter.start(
        life("writer"), store=Store(impatient(database)), max_batch=100, now=lambda: NOW
    )
    with running(ref, "writer") as writer:
        yield Desk(kind, database, writer)


EVERY_DRIVER = pytest.mark.parametrize(
    ("kind", "database_url"),
    [("memory", "sqlite"), ("database", "sqlite"), ("database", "postgresql")],
    indirect=["database_url"],
)
ON_DISK = pytest.mark.parametrize("kind", ["database"])
IN_MEMORY = pytest.mark.parametrize(
    ("kind", "database_url"), [("memory", "sqlite")], indirect=["database_url"]
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
    assert desk.settle(ack(claimed, '{"output":1}', NOW)) == Settled((claimed.lease,), ())
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.result, row.attempt) == (Status.COMPLETED, '{"output":1}', 1)
    assert (row.started_at, row.processed_at) == (int(NOW), int(NOW))
    assert desk.claim() == ([], False)


@EVERY_DRIVER
def test_a_failed_task_comes_again_at_its_time_and_not_before(desk: Desk) -> None:
    claimed = desk.one()
    later = nack(claimed, "no", permanent=False, backoff=BACKOFF, now=NOW, random=lambda: 0.5)
    assert later.run_at == NOW + 5
    desk.settle(later)
    desk.clock.advance(4.9)
    desk.tick()
    assert desk.claim() == ([], False)
    desk.clock.advance(0.1)
    desk.tick()
    (again,), _ = desk.claim()
    assert (again.lease.task_id, again.attempt) == (claimed.lease.task_id, 2)


@EVERY_DRIVER
def test_a_task_that_failed_for_good_is_a_dead_row_with_its_error(desk: Desk) -> None:
    claimed = desk.one()
    desk.settle(nack(claimed, "no", permanent=True, backoff=BACKOFF, now=NOW, random=lambda: 0))
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.error, row.result) == (Status.DEAD, "no", None)
    assert row.processed_at == int(NOW)
    assert desk.claim() == ([], False)


@EVERY_DRIVER
def test_a_task_given_back_unrun_is_the_next_and_has_lost_no_attempt(desk: Desk) -> None:
    desk.publish()
    desk.publish()
    (first,), _ = desk.claim(1)
    desk.settle(requeue(first, NOW))
    (again, _), _ = desk.claim()
    assert (again.lease.task_id, again.attempt) == (first.lease.task_id, 1)


@EVERY_DRIVER
def test_a_settlement_without_its_lease_is_refused(desk: Desk) -> None:
    claimed = desk.one()
    forged = Lease(claimed.lease.task_id, 12)
    settlement = Settlement(forged, Status.COMPLETED, 1, NOW, result="2")
    assert desk.settle(settlement) == Settled((), (forged,))
    assert desk.settle(ack(claimed, "1", NOW)) == Settled((claimed.lease,), ())
    assert desk.settle(ack(claimed, "3", NOW)) == Settled((), (claimed.lease,))
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert row.result == "1"


@EVERY_DRIVER
def test_a_result_survives_a_database_that_fails_for_a_while(desk: Desk) -> None:
    claimed = desk.one()
    with held(desk.database):
        desk.driver.settle(ack(claimed, "1", NOW))
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
    desk.driver.settle(ack(claimed, "bad", NOW))
    desk.until_all_is_written()
    row = desk.row(claimed.lease.task_id)
    assert row is not None
    assert (row.status, row.result, row.processed_at) == (Status.DEAD, None, int(NOW))
    assert row.error is not None
    assert row.error.startswith("the outcome could not be stored: ")


@EVERY_DRIVER
def test_an_outcome_that_is_refused_even_as_dead_is_not_repeated_for_ever(desk: Desk) -> None:
    refuse(desk.database, "result", "bad")
    refuse(desk.database, "status", "dead")
    claimed = desk.one()
    desk.driver.settle(ack(claimed, "bad", NOW))
    desk.until_all_is_written()
    assert desk.driver.unsettled == 0


# --- in memory ------------------------------------------------------------------------------


@IN_MEMORY
def test_only_finished_tasks_are_rows(desk: Desk) -> None:
    claimed, waiting = desk.one(), desk.publish()
    assert desk.row(claimed.lease.task_id) is None
    desk.settle(ack(claimed, "1", NOW))
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
    (failed, _) = desk.publish(), desk.publish()
    with pytest.raises(QueueFullError):
        desk.driver.publish(Publish(a_task(), NOW))
    (claimed,), _ = desk.claim(1)
    assert claimed.lease.task_id == failed.id
    # What waits for its next attempt takes up room as well.
    desk.settle(nack(claimed, "no", permanent=False, backoff=BACKOFF, now=NOW, random=lambda: 1))
    with pytest.raises(QueueFullError):
        desk.driver.publish(Publish(a_task(), NOW))
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
    first = Publish(a_task(), NOW + 60)
    desk.driver.publish(first)
    with pytest.raises(QueueFullError):
        desk.driver.publish(Publish(a_task(), NOW + 60))
    desk.wait_for(Stored)
    late = Publish(a_task(), NOW - 1)
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
