"""When the scheduler looks, what it fires, and that two of them publish an occurrence once."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from math import inf

import orjson
import pytest
import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.messages.base import Command
from task_queue.actors.messages.changes import DeleteSchedule, PutSchedule
from task_queue.actors.messages.clock import Tick
from task_queue.actors.messages.reader import ListSchedules
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.writer import Fire, LoadSchedules, WriteFailed
from task_queue.actors.reader import DatabaseReader
from task_queue.actors.runtime.address import Address
from task_queue.actors.scheduler import LOAD_SECONDS, Scheduler
from task_queue.actors.store.database import Database
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.clock import TOLERANCE_SECONDS
from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.new import QueueInfo
from task_queue.actors.tasks.recurrence import ClockBack, Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Options, rank
from task_queue.actors.writer import DatabaseWriter
from tests.fakes import DEADLINE_SECONDS, Inbox, ManualClock, life, running

DAWN = 1_699_920_000.0
"""2023-11-14, midnight in UTC."""
HOUR = 3_600.0
QUEUES = {
    name: QueueInfo(name=name, max_attempts=attempts, backoff=Backoff(1.0, 2.0, 60.0))
    for name, attempts in (("tasks", 5), ("mail", 3))
}


def hourly(**columns: object) -> Schedule:
    """A schedule for every full hour, of which the next is an hour after dawn."""
    schedule = Schedule(
        name="hourly",
        recurrence=Recurrence("0 * * * *", "UTC"),
        missed=Missed.SKIP,
        task='{"action":"sum","data":{"numbers":[1]}}',
        next_at=DAWN + HOUR,
        created_at=int(DAWN),
    )
    return replace(schedule, **columns)  # type: ignore[arg-type] # any of them


class Idle:
    """A scheduler that was never started, with the books of its writer."""

    def __init__(self, *configured: Schedule) -> None:
        self.own, self.writer, self.clock = Inbox(), Inbox(), ManualClock(DAWN)
        self.actor = Scheduler(
            life("scheduler"),
            address=self.own,
            writer=self.writer,
            queues=lambda: QUEUES,
            configured=configured,
            now=self.clock,
        )

    def gets(self, *messages: Command) -> None:
        for message in messages:
            self.actor.receive(message)

    def sees(self, *schedules: Schedule) -> list[Fire]:
        """What it has fired because of these."""
        self.writer.messages.clear()
        self.gets(SchedulesLoaded(schedules))
        return self.writer.all_of(Fire)

    def loads(self) -> int:
        return len(self.writer.all_of(LoadSchedules))


# --- when it looks --------------------------------------------------------------------------


def test_at_its_start_it_keeps_what_the_settings_say_and_from_then_on_only_looks() -> None:
    idle = Idle(hourly())
    idle.actor.setup()
    assert idle.writer.messages == [LoadSchedules(idle.own, inf, (hourly(),))]
    idle.gets(SchedulesLoaded((hourly(),), all=True), Tick(DAWN + LOAD_SECONDS))
    later = DAWN + LOAD_SECONDS
    assert idle.writer.all_of(LoadSchedules)[1:] == [LoadSchedules(idle.own, later)]


def test_what_the_settings_say_is_repeated_until_it_is_kept() -> None:
    idle = Idle(hourly())
    idle.actor.setup()
    (load,) = idle.writer.all_of(LoadSchedules)
    idle.gets(WriteFailed(load, StoreUnavailableError("away")), Tick(DAWN + LOAD_SECONDS))
    assert idle.writer.all_of(LoadSchedules) == [load, load]


def test_settings_without_schedules_are_kept_too_in_place_of_former_ones() -> None:
    idle = Idle()
    idle.actor.setup()
    assert idle.writer.messages == [LoadSchedules(idle.own, inf, ())]


def test_it_looks_twice_a_second_and_not_at_every_tick() -> None:
    idle = Idle()
    idle.actor.setup()
    for quarter in range(9):
        idle.gets(Tick(DAWN + quarter / 4))
    assert idle.loads() == 1 + 4


def test_a_clock_set_back_by_an_hour_does_not_stop_it() -> None:
    idle = Idle()
    idle.actor.setup()
    idle.gets(Tick(DAWN - HOUR))
    assert idle.loads() == 2


# --- what it fires --------------------------------------------------------------------------


def test_a_schedule_is_fired_at_its_moment_and_not_before() -> None:
    idle = Idle()
    idle.clock.advance(HOUR - 0.001)
    assert idle.sees(hourly()) == []
    idle.clock.advance(0.001)
    (fire,) = idle.sees(hourly())
    assert (fire.name, fire.due_at, fire.next_at) == ("hourly", DAWN + HOUR, DAWN + 2 * HOUR)
    assert fire.occurrence == DAWN + HOUR


def test_the_task_is_that_of_the_schedule_with_the_terms_of_its_queue() -> None:
    idle = Idle()
    now = idle.clock.advance(HOUR + 0.25)
    members = {
        "action": "send",
        "data": {"to": "Ä"},
        "queue": "mail",
        "priority": 7,
        "unique_key": "u",
        "key": "k",
        "keep_result_seconds": 60,
    }
    (fire,) = idle.sees(hourly(task=orjson.dumps(members).decode()))
    task = fire.task
    assert task is not None
    assert (task.queue, task.action, task.data) == ("mail", "send", '{"to":"Ä"}')
    assert (task.max_attempts, task.status) == (3, Status.QUEUED)
    assert (task.priority, task.rank) == (7, rank(now, 7))
    assert task.options == Options(
        unique_key="u",
        key="k",
        keep_result_seconds=60,
        occurrence=f"hourly@{DAWN + HOUR:.0f}",
    )


def test_a_task_without_data_or_queue_has_none_and_goes_where_publishes_go() -> None:
    idle = Idle()
    idle.clock.advance(HOUR)
    (fire,) = idle.sees(hourly(task='{"action":"sum"}'))
    assert fire.task is not None
    assert (fire.task.queue, fire.task.data, fire.task.max_attempts) == ("tasks", "{}", 5)


def test_a_schedule_whose_queue_is_gone_publishes_nothing_and_does_not_claim_to() -> None:
    idle = Idle()
    idle.clock.advance(HOUR)
    (fire,) = idle.sees(hourly(task='{"action":"sum","queue":"gone"}'))
    assert (fire.task, fire.occurrence, fire.next_at) == (None, None, DAWN + 2 * HOUR)


def test_a_task_with_a_delay_is_published_at_the_moment_and_runs_later() -> None:
    idle = Idle()
    now = idle.clock.advance(HOUR)
    (fire,) = idle.sees(hourly(task='{"action":"sum","delay_seconds":9}'))
    assert fire.task is not None
    assert (fire.task.status, fire.task.run_at) == (Status.SCHEDULED, now + 9)


@pytest.mark.parametrize(
    ("missed", "occurrence"), [(Missed.SKIP, None), (Missed.ONCE, DAWN + 3 * HOUR)]
)
def test_occurrences_that_nobody_was_there_for_are_passed_over_or_made_up_for_once(
    missed: Missed, occurrence: float | None
) -> None:
    idle = Idle()
    idle.clock.advance(3.5 * HOUR)
    (fire,) = idle.sees(hourly(missed=missed))
    assert (fire.occurrence, fire.next_at) == (occurrence, DAWN + 4 * HOUR)
    assert (fire.task is None) is (occurrence is None)


def test_a_schedule_for_a_queue_that_is_gone_goes_on_without_a_task() -> None:
    idle = Idle()
    idle.clock.advance(HOUR)
    (fire,) = idle.sees(hourly(task='{"action":"sum","queue":"gone"}'))
    assert (fire.task, fire.next_at) == (None, DAWN + 2 * HOUR)


def test_a_schedule_that_cannot_go_on_stops_no_other_and_is_told_of_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    idle = Idle()
    idle.clock.advance(HOUR)
    lost_zone = hourly(name="lost", recurrence=Recurrence("0 * * * *", "No/Where"))
    for _ in range(2):
        assert [fire.name for fire in idle.sees(lost_zone, hourly())] == ["hourly"]
    assert capsys.readouterr().out.count("schedule left alone") == 1


def test_a_schedule_that_was_mended_is_fired_again() -> None:
    idle = Idle()
    idle.clock.advance(HOUR)
    assert idle.sees(hourly(recurrence=Recurrence("0 * * * *", "No/Where"))) == []
    assert len(idle.sees(hourly())) == 1


def test_a_schedule_that_a_wrong_year_has_stopped_goes_on_when_the_clock_is_set() -> None:
    idle = Idle()
    idle.clock.advance(8_000 * 365 * 24 * HOUR)
    idle.gets(Tick(idle.clock()))
    assert idle.sees(hourly()) == []
    idle.clock.now = DAWN + HOUR
    idle.gets(Tick(idle.clock()))
    assert len(idle.sees(hourly())) == 1


def test_a_fire_that_failed_is_found_at_the_next_look() -> None:
    idle = Idle()
    idle.clock.advance(HOUR)
    (fire,) = idle.sees(hourly())
    idle.gets(WriteFailed(fire, StoreUnavailableError("away")))
    (again,) = idle.sees(hourly())
    assert (again.due_at, again.occurrence) == (fire.due_at, fire.occurrence)
    idle.gets(Fired(again, is_new=True))


# --- a clock that is set back ---------------------------------------------------------------


def test_a_schedule_that_waits_for_the_time_of_a_clock_that_was_ahead_is_set_back() -> None:
    idle = Idle()
    (fire,) = idle.sees(hourly(next_at=DAWN + 700 * HOUR))
    assert (fire.due_at, fire.next_at) == (DAWN + 700 * HOUR, DAWN + HOUR)
    assert (fire.occurrence, fire.task) == (None, None)


def test_a_node_that_is_behind_by_seconds_leaves_the_schedules_of_others_alone() -> None:
    idle = Idle()
    idle.clock.now = DAWN + HOUR - TOLERANCE_SECONDS + 1
    assert idle.sees(hourly(next_at=DAWN + 2 * HOUR)) == []  # another one has fired already
    idle.clock.now -= 2
    assert len(idle.sees(hourly(next_at=DAWN + 2 * HOUR))) == 1


def test_all_schedules_are_looked_at_after_the_clock_was_set_back_and_otherwise_those_due() -> None:
    idle = Idle()
    idle.actor.setup()
    idle.gets(SchedulesLoaded((), all=True), Tick(DAWN + 1), Tick(DAWN + 1 - HOUR))
    idle.gets(SchedulesLoaded(()))  # what was asked for before
    idle.gets(Tick(DAWN + 2 - HOUR), SchedulesLoaded((), all=True), Tick(DAWN + 3 - HOUR))
    until = [load.until for load in idle.writer.all_of(LoadSchedules)]
    assert until == [inf, DAWN + 1, inf, inf, DAWN + 3 - HOUR]


@pytest.mark.parametrize(
    ("times", "comes_again"),
    [
        (Recurrence("0 9 * * *", "UTC"), False),
        (Recurrence("0 * * * *", "UTC"), True),
        (Recurrence("0 9 * * *", "UTC", None, ClockBack.TWICE), True),
        (Interval("1h", "UTC"), True),
    ],
)
def test_times_begin_anew_when_the_clock_repeats_them_or_was_ahead_for_more_than_three_hours(
    times: Recurrence | Interval,
    comes_again: bool,  # noqa: FBT001
) -> None:
    idle = Idle()
    for ahead, anew in ((None, comes_again), (3 * HOUR, comes_again), (3 * HOUR + 1, True)):
        last_at = None if ahead is None else DAWN + ahead
        (fire,) = idle.sees(hourly(recurrence=times, last_at=last_at, next_at=DAWN + 99 * HOUR))
        assert fire.anew is anew
    assert hourly().occurrence_key(1795345200.0) == "hourly@1795345200"
    assert hourly(set_back=2).occurrence_key(1795345200.0) == "hourly@1795345200+2"


def test_a_task_expires_so_long_after_its_time_and_is_not_published_later() -> None:
    idle = Idle()
    idle.clock.advance(HOUR + 0.25)
    (fire,) = idle.sees(hourly(expires_after_seconds=30.0))
    assert fire.task is not None
    assert fire.task.options.expires_at == DAWN + HOUR + 30
    idle.clock.advance(30)
    for missed in Missed:
        (fire,) = idle.sees(hourly(expires_after_seconds=30.0, missed=missed))
        assert (fire.task, fire.occurrence, fire.next_at) == (None, None, DAWN + 2 * HOUR)


# --- live: two nodes and one database -------------------------------------------------------


@contextmanager
def nodes(database: Database, number: int, clock: ManualClock) -> Iterator[list[Address]]:
    """So many schedulers, each with a writer of its own."""
    with ExitStack() as stack:
        addresses = []
        for _ in range(number):
            writer = stack.enter_context(
                running(
                    DatabaseWriter.start(
                        life("writer"),
                        session=Session(database),
                        max_batch=100,
                        now=clock,
                        monotonic=clock,
                    ),
                    "writer",
                )
            )
            address = Address("scheduler")
            ref = Scheduler.start(
                life("scheduler"),
                address=address,
                writer=writer,
                queues=lambda: QUEUES,
                configured=(),
                now=clock,
            )
            address.bind(ref)
            stack.enter_context(running(ref))
            addresses.append(address)
            addresses.append(writer)
        yield addresses


@pytest.fixture
def reader(database: Database) -> Iterator[Address]:
    ref = DatabaseReader.start(life("reader"), session=Session(database, read_only=True))
    with running(ref, "reader") as address:
        yield address


def occurrences(database: Database) -> list[str]:
    with database.engine().connect() as connection:
        return list(connection.scalars(sa.select(tasks.c.occurrence).order_by(tasks.c.seq)))


def the_schedule(reader: Address) -> Schedule:
    (schedule,) = reader.ask(ListSchedules(), DEADLINE_SECONDS)
    return schedule


def until_next_is(reader: Address, moment: float, clock: ManualClock, *ticked: Address) -> None:
    """Tick, and look, until the schedule has gone on; each look waits for the reader."""
    for _ in range(10_000):
        for scheduler in ticked:
            scheduler.tell(Tick(clock.advance(0.001)))
        if the_schedule(reader).next_at >= moment:
            return
    pytest.fail(f"not fired: {the_schedule(reader)}")


def test_each_occurrence_is_published_once_however_many_nodes_there_are(
    database: Database, reader: Address
) -> None:
    clock = ManualClock(DAWN + HOUR - 1)
    with nodes(database, 3, clock) as (one, writer, two, _, three, _):
        writer.ask(PutSchedule(hourly()), DEADLINE_SECONDS)
        for hour in range(1, 6):
            clock.now = DAWN + hour * HOUR
            until_next_is(reader, DAWN + (hour + 1) * HOUR, clock, one, two, three)
    assert occurrences(database) == [f"hourly@{DAWN + hour * HOUR:.0f}" for hour in range(1, 6)]
    assert the_schedule(reader).last_at == DAWN + 5 * HOUR


def test_a_clock_set_back_publishes_no_occurrence_again(
    database: Database, reader: Address
) -> None:
    clock = ManualClock(DAWN + HOUR)
    with nodes(database, 1, clock) as (scheduler, writer):
        writer.ask(PutSchedule(hourly()), DEADLINE_SECONDS)
        until_next_is(reader, DAWN + 2 * HOUR, clock, scheduler)
        # Somebody makes the schedule anew, with the clock an hour back: its occurrence is known.
        writer.ask(DeleteSchedule("hourly"), DEADLINE_SECONDS)
        writer.ask(PutSchedule(hourly()), DEADLINE_SECONDS)
        clock.now = DAWN + HOUR
        until_next_is(reader, DAWN + 2 * HOUR, clock, scheduler)
    assert occurrences(database) == [f"hourly@{DAWN + HOUR:.0f}"]
