"""When the pruner has a step done, and that its steps get through whatever there is to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.messages.base import Command
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.nodes import SayAlive
from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.writer import Prune, WriteFailed
from task_queue.actors.pruner import STEP_SECONDS, SWEEP_SECONDS, Pruner
from task_queue.actors.runtime.address import Address
from task_queue.actors.store import retention
from task_queue.actors.store.database import Database
from task_queue.actors.store.retention import RESERVE_PAGES, STEP_ROWS
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.nodes import ALIVE_SECONDS, Node
from task_queue.actors.tasks.states import Status
from task_queue.actors.writer import DatabaseWriter
from tests.actors.store.calls import call, find, get, put
from tests.actors.store.calls import counts as kept_counts
from tests.databases import patient
from tests.fakes import AUDIT_SECONDS, NOW, Inbox, ManualClock, a_task, life, running
from tests.harness import eventually

HOUR, DAY = 3_600, 86_400
RETENTION = {Status.COMPLETED: DAY, Status.DEAD: 3 * DAY, Status.CANCELLED: 2 * DAY}
NODE = Node(
    name="host:1", version="1.0", started_at=NOW, seen_at=NOW, draining=False, queues={"tasks": 2}
)
DONE = Pruned(0, None)
FOUND = Pruned(7, None)


class Idle:
    """A pruner that was never started, with the books of its writer."""

    def __init__(self) -> None:
        self.own, self.writer, self.clock = Inbox(), Inbox(), ManualClock()
        self.draining = False
        self.actor = Pruner(
            life("pruner"),
            address=self.own,
            writer=self.writer,
            retention=RETENTION,
            audit_seconds=AUDIT_SECONDS,
            node=lambda: replace(NODE, seen_at=self.clock(), draining=self.draining),
            alone=True,
            now=self.clock,
        )

    def gets(self, *messages: Command) -> None:
        for message in messages:
            self.actor.receive(message)

    def tick(self, seconds: float = 0.0) -> list[Prune]:
        """What it asks for at a tick so much later."""
        self.writer.messages.clear()
        self.gets(Tick(self.clock.advance(seconds)))
        return self.writer.all_of(Prune)

    def says(self, seconds: float = 0.0) -> list[SayAlive]:
        """What it has the other nodes told, at a step so much later."""
        self.writer.messages.clear()
        self.gets(Pruned(0, None), Tick(self.clock.advance(seconds)))
        return self.writer.all_of(SayAlive)

    def sweeps(self, seconds: float) -> bool:
        """Whether a step so much later, of which nothing comes, looks for old tasks."""
        (step,) = self.tick(seconds)
        self.gets(DONE)
        return step.sweep


# --- when -----------------------------------------------------------------------------------


def test_a_step_says_that_this_node_lives_now_and_then_and_when_that_has_changed() -> None:
    pruner = Idle()
    assert [each.node for each in pruner.says()] == [NODE]
    assert not pruner.says(ALIVE_SECONDS / 2)
    assert len(pruner.says(ALIVE_SECONDS / 2)) == 1
    pruner.draining = True
    assert [each.node.draining for each in pruner.says(STEP_SECONDS)] == [True]
    assert not pruner.says(STEP_SECONDS)
    assert len(pruner.says(-60)) == 1  # the clock was set back


def test_what_could_not_be_said_is_said_with_the_next_step() -> None:
    pruner = Idle()
    (said,) = pruner.says()
    pruner.gets(WriteFailed(said, StoreUnavailableError("gone")))
    assert len(pruner.says(STEP_SECONDS)) == 1


def test_the_first_tick_brings_a_step_that_begins_with_the_oldest() -> None:
    idle = Idle()
    assert idle.tick() == [
        Prune(idle.own, NOW, RETENTION, None, sweep=True, audit_seconds=AUDIT_SECONDS)
    ]


def test_there_is_one_step_a_second_while_there_is_nothing_to_do() -> None:
    idle = Idle()
    idle.tick()
    idle.gets(DONE)
    assert [len(idle.tick(STEP_SECONDS / 4)) for _ in range(4)] == [0, 0, 0, 1]


def test_a_step_that_found_something_is_followed_by_the_next_at_once() -> None:
    idle = Idle()
    idle.tick()
    idle.writer.messages.clear()
    idle.gets(FOUND)
    assert len(idle.writer.all_of(Prune)) == 1
    idle.gets(DONE)
    assert len(idle.writer.all_of(Prune)) == 1


def test_no_step_is_asked_for_before_the_one_under_way_is_done() -> None:
    idle = Idle()
    idle.tick()
    assert idle.tick(10 * STEP_SECONDS) == []
    idle.gets(DONE)
    assert len(idle.tick()) == 1


def test_a_step_that_failed_is_tried_again_a_second_later() -> None:
    idle = Idle()
    (step,) = idle.tick()
    idle.gets(WriteFailed(step, StoreUnavailableError("away")))
    assert idle.tick(STEP_SECONDS / 2) == []
    assert len(idle.tick(STEP_SECONDS / 2)) == 1


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_a_clock_that_jumps_does_not_stop_it(jump: float) -> None:
    idle = Idle()
    assert idle.sweeps(0)
    assert idle.sweeps(jump)
    assert not idle.sweeps(STEP_SECONDS)


def test_old_tasks_are_looked_for_once_a_minute() -> None:
    idle = Idle()
    assert idle.sweeps(0)
    assert [idle.sweeps(SWEEP_SECONDS / 4) for _ in range(8)] == [False, False, False, True] * 2


def test_a_sweep_goes_on_where_the_last_step_ended_until_it_comes_to_the_end() -> None:
    idle = Idle()
    idle.tick()
    for place in ((1, 1), (2, 2)):
        idle.gets(Pruned(0, place))
        (step,) = idle.tick(STEP_SECONDS)
        assert (step.sweep, step.sweep_after) == (True, place)
    idle.gets(DONE)
    (step,) = idle.tick(STEP_SECONDS)
    assert (step.sweep, step.sweep_after) == (False, None)


def test_a_sweep_that_was_due_while_a_step_without_one_was_under_way_is_not_left_out() -> None:
    idle = Idle()
    assert idle.sweeps(0)
    (step,) = idle.tick(SWEEP_SECONDS - 0.1)
    assert not step.sweep
    idle.clock.advance(0.2)
    idle.gets(DONE)
    assert idle.sweeps(STEP_SECONDS)


# --- live -----------------------------------------------------------------------------------


@contextmanager
def live(database: Database, clock: ManualClock) -> Iterator[Address]:
    """A pruner with a writer."""
    writer_ref = DatabaseWriter.start(
        life("writer"),
        session=Session(patient(database)),
        max_batch=100,
        now=clock,
        monotonic=clock,
    )
    with running(writer_ref, "writer") as writer:
        address = Address("pruner")
        ref = Pruner.start(
            life("pruner"),
            address=address,
            writer=writer,
            retention=RETENTION,
            audit_seconds=AUDIT_SECONDS,
            node=lambda: NODE,
            alone=True,
            now=clock,
        )
        address.bind(ref)
        with running(ref):
            yield address


def test_each_state_is_kept_for_its_time_and_what_is_not_over_for_ever(
    database: Database, session: Session
) -> None:
    clock = ManualClock(NOW + 100 * DAY)
    ends = {
        status: [
            a_task(status=status, processed_at=int(clock.now - seconds + offset))
            for offset in (0, 60)
        ]
        for status, seconds in RETENTION.items()
    }
    waiting = a_task()
    (too_old, kept) = zip(*ends.values(), strict=True)
    put(session, *too_old, *kept, waiting)
    with live(database, clock) as pruner:
        pruner.tell(Tick(clock.now))
        eventually(lambda: find(session, too_old[-1].id) is None, "the oldest are gone")
        assert [find(session, task.id) for task in too_old] == [None] * 3
        assert all(find(session, task.id) for task in (*kept, waiting))


def test_a_task_with_its_own_time_is_kept_for_that_be_it_shorter_or_longer(
    database: Database, session: Session
) -> None:
    clock = ManualClock(NOW + 100 * DAY)
    now = int(clock.now)
    columns = {"status": Status.COMPLETED, "created_at": now - 50 * DAY}
    short = a_task(**columns, keep_result_seconds=0, processed_at=now)
    long = a_task(**columns, keep_result_seconds=60 * DAY, processed_at=now - 50 * DAY)
    usual = a_task(**columns, processed_at=now - 50 * DAY)
    put(session, short, long, usual)
    with live(database, clock) as pruner:
        pruner.tell(Tick(clock.now))
        eventually(
            lambda: not (find(session, short.id) or find(session, usual.id)), "both are gone"
        )
        assert find(session, long.id) is not None


def test_any_number_of_old_tasks_is_gone_after_one_tick(
    database: Database, session: Session
) -> None:
    clock = ManualClock(NOW + 100 * DAY)
    old = [a_task(status=Status.DEAD, processed_at=int(NOW)) for _ in range(3 * STEP_ROWS + 1)]
    put(session, *old)
    with live(database, clock) as pruner:
        pruner.tell(Tick(clock.now))
        eventually(lambda: kept_counts(session) == {}, "all are gone")
    assert call(session, lambda connection: connection.scalar(_ROWS)) == 0


_ROWS = sa.select(sa.func.count()).select_from(tasks)


@pytest.mark.parametrize("status", [Status.SCHEDULED, Status.BLOCKED, Status.QUEUED])
def test_what_was_not_started_in_time_is_dead_without_a_claim(
    database: Database, session: Session, status: Status
) -> None:
    clock = ManualClock()
    late, in_time = (
        a_task(status=status, run_at=NOW + HOUR, expires_at=NOW + seconds) for seconds in (0, 1)
    )
    put(session, late, in_time)
    with live(database, clock) as pruner:
        pruner.tell(Tick(clock.now))
        eventually(lambda: get(session, late.id).status is Status.DEAD, "it is dead")
    task = get(session, late.id)
    assert (task.error, task.processed_at, task.attempt) == ("expired", int(NOW), 0)
    assert get(session, in_time.id).status is status


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_sqlite_file_gives_back_what_old_tasks_took(database: Database, session: Session) -> None:
    clock = ManualClock(NOW + 100 * DAY)
    long = f'"{"x" * 40_000}"'
    put(
        session,
        *(a_task(status=Status.DEAD, processed_at=int(NOW), data=long) for _ in range(500)),
    )
    pages = 500 * 10
    assert free_pages(session) == 0
    with live(database, clock) as pruner:

        def shrunk() -> bool:
            clock.advance(STEP_SECONDS)
            pruner.tell(Tick(clock.now))
            return kept_counts(session) == {} and free_pages(session) <= RESERVE_PAGES

        eventually(shrunk, "the pages are given back")
    assert free_pages(session) > RESERVE_PAGES - retention.STEP_PAGES
    session.close()  # which writes the log back into the file
    assert database.path.stat().st_size < (pages - RESERVE_PAGES) * 4_096


def free_pages(session: Session) -> int:
    with session.transaction():
        return int(session.connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())
