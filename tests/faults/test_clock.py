"""The machine's clock is put an hour forward or back while the actors run."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from uuid_utils import uuid7

from task_queue.actors.drivers.database import RETRY
from task_queue.actors.errors import AnswerTimeoutError
from task_queue.actors.messages.changes import KeepActions, PutSchedule
from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.reader import ListSchedules
from task_queue.actors.messages.writer import Renew, Settle, WriteFailed
from task_queue.actors.runtime.child import Intensity
from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.conditions import Conditions
from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.limits import bucket_size
from task_queue.actors.tasks.new import QUEUE, task_of
from task_queue.actors.tasks.recurrence import Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.config.layers import load
from tests.actors.drivers.test_database import HELD, LEASE_SECONDS, UNAVAILABLE, Books
from tests.fakes import NOW, a_task
from tests.faults.occurrences import SELDOM
from tests.faults.stored import Stored
from tests.harness import DEADLINE_SECONDS, Gate, eventually

HOUR = 3600.0
MONTH = 30 * 24 * HOUR
LATER = 600.0
"""How far ahead lies what is to come: it comes when the clock says so, not when a test waits."""
SOON = 10.0
"""What needs so long although nothing is in its way is stuck."""
RATE = 20.0
SETTINGS = (
    "queues.tasks.lease_seconds=1",
    "queues.keyed.concurrency_per_key=1",
    f"queues.limited.rate_limit={RATE:g}",
    f"queues.retried.backoff_base_seconds={LATER:g}",
    f"queues.retried.backoff_cap_seconds={LATER:g}",
    *(
        f'actions.{name}="tests.actions:{function}"'
        for name, function in (
            ("wait", "wait_for_fifo"),
            ("record", "record"),
            ("flaky", "fail_until"),
        )
    ),
)


class JumpingClock:
    """The present moment, a time off."""

    def __init__(self) -> None:
        self.off = 0.0

    def __call__(self) -> float:
        return time.time() + self.off


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


class Life:
    """All actors of one process, and the database they work on."""

    def __init__(self, url: str, clock: JumpingClock, directory: Path) -> None:
        self.clock = clock
        self.lines = directory / "lines"
        self.lines.touch()
        self.stored = Stored(url)
        self._directory = directory
        self._settings = load(overrides=[f"database.url={url}", *SETTINGS], environ={}).settings
        self.start()

    def start(self) -> None:
        """Start the actors."""
        # An actor that died would be restarted, and something would be late or lost.
        self.system = ActorSystem(
            self._settings,
            on_too_many_restarts=lambda: None,
            now=self.clock,
            random=lambda: 0.5,  # no retry comes by chance before the clock is put
        )
        self.system.start()
        # Behind the first look for what a clock ahead has made: it knows the time of before a jump.
        self.system.writer.ask(KeepActions(()), DEADLINE_SECONDS)

    def stop(self) -> None:
        """Drain and stop the actors."""
        self.system.drain(0.0)
        self.system.stop()

    def publish(self, action: str, queue: str = QUEUE, **members: Any) -> str:  # noqa: ANN401
        """The id of a task that is stored; the members are members of a publish."""
        info, now = self.system.queues.info[queue], self.clock()
        data = orjson.dumps(members.pop("data", {})).decode()
        task = task_of(str(uuid7()), info, {"action": action, "data": data, **members}, now)
        conditions = Conditions(limits={queue: info.limits}) if "key" in members else None
        publish = Publish((task,), time.monotonic() + DEADLINE_SECONDS, conditions)
        self.system.queues.addresses[queue].ask(publish, DEADLINE_SECONDS)
        return task.id

    def record(self, count: int, queue: str = QUEUE, **members: Any) -> list[str]:  # noqa: ANN401
        """The ids of so many tasks, of which each run leaves a line."""
        data = {"file": str(self.lines), "line": queue}
        return [self.publish("record", queue, data=data, **members) for _ in range(count)]

    def run_at_gate(self) -> tuple[str, Gate]:
        """A task that runs until its gate is opened."""
        gate = Gate(self._directory)
        task_id = self.publish("wait", data={"fifo": str(gate.path)})
        eventually(lambda: self.stored.rows()[task_id].status == "running", "it runs")
        return task_id, gate

    def fail_once(self, count: int) -> list[str]:
        """The ids of so many tasks that have failed, and are to be tried again later."""
        names = [f"{self._directory}/retried-{number}" for number in range(count)]
        data = [{"file": name, "times": 2} for name in names]
        ids = [self.publish("flaky", "retried", data=each) for each in data]
        eventually(lambda: all(self.stored.runs().get(each) for each in ids), "all have failed")
        return ids

    def schedule(self, name: str, seconds: float) -> None:
        """Let there be a schedule with one occurrence, so many seconds from now."""
        data = {"file": str(self.lines), "line": name}
        schedule = Schedule(
            name=name,
            recurrence=Recurrence(SELDOM, "UTC"),
            missed=Missed.ONCE,
            task=orjson.dumps({"action": "record", "data": data}).decode(),
            next_at=self.clock() + seconds,
            created_at=int(self.clock()),
        )
        self.system.writer.ask(PutSchedule(schedule), DEADLINE_SECONDS)

    def schedule_often(self, name: str, times: Recurrence | Interval) -> None:
        """Let there be a schedule with these times."""
        data = {"file": str(self.lines), "line": name}
        schedule = Schedule(
            name=name,
            recurrence=times,
            missed=Missed.SKIP,
            task=orjson.dumps({"action": "record", "data": data}).decode(),
            next_at=times.after(self.clock()),
            created_at=int(self.clock()),
        )
        self.system.writer.ask(PutSchedule(schedule), DEADLINE_SECONDS)

    def fired(self, name: str) -> int:
        """How often the schedule has fired."""
        keys = (str(row.occurrence) for row in self.stored.rows().values())
        return sum(key.startswith(f"{name}@") for key in keys)

    def next_at(self, name: str) -> float:
        """The next occurrence of the schedule."""
        schedules = self.system.reader.ask(ListSchedules(), DEADLINE_SECONDS)
        return next(each.next_at for each in schedules if each.name == name)

    def wait_until_fired(self, name: str) -> None:
        """Wait until the schedule has published its task, which it can."""
        eventually(lambda: self.fired(name) > 0, f"{name} fired", SOON)

    def wait_until_completed(self, *ids: str) -> None:
        """Wait until these tasks are done, which nothing is in the way of."""

        def look() -> bool:
            rows = self.stored.rows()
            return all(rows[each].status == "completed" for each in ids)

        eventually(look, "all completed", SOON)


@pytest.fixture
def life(database_url: str, clock: JumpingClock, tmp_path: Path) -> Iterator[Life]:
    """All actors on each kind of database."""
    life = Life(database_url, clock, tmp_path)
    yield life
    life.stop()


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_jump_of_the_clock_loses_doubles_and_holds_up_nothing(
    life: Life, clock: JumpingClock, jump: float
) -> None:
    life.schedule("before", LATER)
    running = [life.run_at_gate() for _ in range(2)]  # all consumers of this queue
    queued = life.record(10)
    scheduled = life.record(5, delay_seconds=LATER)
    retried = life.fail_once(3)
    limited = life.record(30, "limited")  # more than may start at once
    keyed = life.record(10, "keyed", key="one")
    # All actors have heard of the time before: what starts by then waited for a tick.
    at_once = len(keyed) + bucket_size(RATE)
    eventually(lambda: life.stored.completed("record") > at_once, "some had to wait")

    clock.off += jump
    new = life.record(5) + life.record(5, "limited") + life.record(5, "keyed", key="one")
    life.schedule("after", 0)
    expired = life.publish("record", delay_seconds=LATER, expires_at=clock())
    for _, gate in running:
        gate.open()
    life.wait_until_completed(*(task for task, _ in running), *queued, *limited, *keyed, *new)
    life.wait_until_fired("after")
    eventually(lambda: life.stored.rows()[expired].error == "expired", "dead", SOON)
    if jump < 0:
        rows = life.stored.rows()
        assert {rows[each].status for each in scheduled} == {"scheduled"}
        clock.off += HOUR + LATER + 1
    life.wait_until_completed(*scheduled, *retried)
    life.wait_until_fired("before")

    rows = life.stored.wait_until_finished(SOON)
    completed = {row.id: row.attempt for row in rows.values() if row.status == "completed"}
    assert completed.keys() == rows.keys() - {expired}
    assert {each for each, attempt in completed.items() if attempt != 1} == set(retried)
    recorded = [row for row in rows.values() if row.action == "record" and row.id != expired]
    assert len(recorded) == 10 + 5 + 30 + 10 + 15 + 2
    assert len(life.lines.read_text().split()) == len(recorded), "each ran once"
    life.stored.check_counts()


@pytest.mark.parametrize("restarts", [False, True], ids=["runs on", "restarts"])
@pytest.mark.parametrize("ahead", [HOUR, MONTH], ids=["hour", "month"])
def test_what_a_clock_ahead_has_made_does_not_wait_until_it_shows_that_time_again(
    life: Life,
    clock: JumpingClock,
    ahead: float,
    restarts: bool,  # noqa: FBT001
) -> None:
    daily = Recurrence("0 0 * * *", "UTC")
    clock.off += ahead
    delayed = life.record(5, delay_seconds=LATER)
    (named,) = life.record(1, run_at=clock() + LATER)
    retried = life.fail_once(3)
    life.schedule_often("quick", Interval("1s", "UTC"))
    life.schedule_often("minutely", Recurrence("* * * * *", "UTC"))
    life.schedule_often("daily", daily)
    life.wait_until_fired("quick")

    if restarts:
        life.stop()
    clock.off -= ahead
    if restarts:
        life.start()
    eventually(
        lambda: (
            max(life.next_at("quick"), life.next_at("minutely")) < clock() + 61
            and life.next_at("daily") == daily.after(clock())
        ),
        "the schedules are set back",
    )
    times = life.fired("quick")
    eventually(lambda: life.fired("quick") > times, "it fires again")
    eventually(
        lambda: all(
            life.stored.rows()[each].run_at <= clock() + LATER for each in (*delayed, *retried)
        ),
        "the waits are counted anew",
    )
    assert {life.stored.rows()[each].status for each in delayed} == {"scheduled"}
    clock.off += LATER + 1
    life.wait_until_completed(*delayed, *retried)
    rows = life.stored.rows()
    assert rows[named].status == "scheduled"
    assert rows[named].run_at > clock() + ahead - 2 * LATER, "what was named stays"
    assert {rows[each].attempt for each in delayed} == {1}
    life.stored.check_counts()


def test_leases_are_renewed_after_the_clock_was_set_back() -> None:
    books = Books()
    books.tick()
    books.clock.advance(-HOUR)
    books.writer.messages.clear()
    books.tick(LEASE_SECONDS / 2)
    (renew,) = books.writer.all_of(Renew)
    assert renew.leases == (HELD,)


def test_a_result_that_could_not_be_written_is_written_soon_after_the_clock_was_set_back() -> None:
    books = Books()
    settle = books.settle("done")
    books.driver.hear(WriteFailed(settle, UNAVAILABLE))
    books.clock.advance(-HOUR)
    books.writer.messages.clear()
    books.tick(RETRY.cap_seconds)
    assert books.writer.all_of(Settle) == [settle]


def test_deaths_are_forgotten_after_the_clock_was_set_back() -> None:
    intensity = Intensity(max_restarts=5, period_seconds=30.0)
    for _ in range(5):
        intensity.count(NOW)
    intensity.count(NOW - HOUR)
    assert intensity.count(NOW - HOUR + 31.0) == 1


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["forward", "back"])
def test_a_publish_is_answered_in_its_time_whatever_the_clock_says(jump: float) -> None:
    books = Books()
    publish = Publish((a_task(),), NOW + 3)
    books.driver.publish(publish)
    books.clock.advance(jump)
    books.tick()
    assert not publish.reply_to.is_done
    books.monotonic.advance(3)
    books.tick()
    with pytest.raises(AnswerTimeoutError):
        publish.reply_to.wait(0)
