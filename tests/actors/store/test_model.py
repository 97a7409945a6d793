"""Whatever happens in whatever order, the database holds what the model says.

A short search, the same every time. With a seed it is a new and long one:

    pytest tests/actors/store/test_model.py --hypothesis-seed=random --timeout=3600
"""

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from enum import Enum
from itertools import count
from typing import Any, TypeVar

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from task_queue.actors.errors import BadRowError, StoreUnavailableError
from task_queue.actors.messages.base import Command
from task_queue.actors.messages.changes import (
    CancelTask,
    DeleteSchedule,
    DeleteTask,
    Purge,
    PutSchedule,
    Redrive,
    RetryTask,
)
from task_queue.actors.messages.queue import Claimed, Renewed, Settled, SuspectClaimed, Tended
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import (
    Claim,
    ClaimSuspect,
    Fire,
    Insert,
    KeyPlace,
    LoadSchedules,
    Prune,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
)
from task_queue.actors.store import dead_groups, queues, schedules
from task_queue.actors.store.commit import Commit
from task_queue.actors.store.counts import by_state, unfinished
from task_queue.actors.store.database import Database
from task_queue.actors.store.each_alone import each_alone
from task_queue.actors.store.notices import AnyWrite, Notices
from task_queue.actors.store.schema import attempts, counts, idempotency_keys, tasks
from task_queue.actors.store.schema import queues as queue_rows
from task_queue.actors.store.schema import schedules as schedule_rows
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.conditions import Conditions, Idempotency, Published
from task_queue.actors.tasks.filters import Filters
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo, task_of
from task_queue.actors.tasks.recurrence import Missed, Recurrence, due
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import (
    Failure,
    Settlement,
    ack,
    drained,
    expire,
    nack,
    requeue,
    unstorable,
)
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import FINAL, Outcome, Status
from task_queue.actors.tasks.task import Receipt, Task
from tests.actors.store.calls import claimant
from tests.actors.store.model import Model, Row
from tests.databases import patient
from tests.fakes import AUDIT_SECONDS, NOW, Inbox

STEPS = 60
SQLITE_EXAMPLES, POSTGRESQL_EXAMPLES = 40, 18
SEARCH = 50
"""How many times as many a search with a seed has."""
HOUR = 3_600.0
MONTHS = 100 * 24 * HOUR
"""Longer than anything waits."""

T = TypeVar("T")

BACKOFF = Backoff(2.0, 2.0, 60.0)
QUEUES = {
    name: QueueInfo(name=name, max_attempts=3, backoff=BACKOFF, limits=limits)
    for name, limits in {
        "plain": QueueLimits(),
        "keyed": QueueLimits(concurrency_per_key=2),
        "small": QueueLimits(max_length=6, max_bytes=100, concurrency_per_key=1),
    }.items()
}
RETENTION = {Status.COMPLETED: 7_200, Status.DEAD: 40_000, Status.CANCELLED: 600}
SCHEDULES = ("a", "b", "c")
CRONS = ("*/5 * * * *", "30 2 * * *")

places = st.integers(0, 12)
"""Which of several things, counted from the newest one."""
MEMBERS = {
    "priority": st.sampled_from([-100, -1, 2, 100]),
    "delay_seconds": st.sampled_from([0.5, 30.0, HOUR]),
    "expires_in": st.sampled_from([0.0, 20.0, 2 * HOUR]),
    "unique_key": st.sampled_from(["u", "v"]),
    "key": st.sampled_from(["k", "l"]),
    "keep_result_seconds": st.sampled_from([0, 60, 1_000_000]),
    "max_attempts": st.sampled_from([1, 2]),
    "backoff": st.just({"base": 5.0}),
    "timeout_seconds": st.just(7.5),
    "data": st.sampled_from(['{"text":"h\u00e9llo"}', f'"{"x" * 60}"']),
}
leases = st.sampled_from([10.0, HOUR])
queue_names = st.sampled_from(sorted(QUEUES))
members: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({}),
    # Each alone, or with a priority.
    *(
        st.fixed_dictionaries({name: asked}, optional={"priority": MEMBERS["priority"]})
        for name, asked in MEMBERS.items()
        if name != "priority"
    ),
    # Any of them together.
    st.fixed_dictionaries({}, optional=MEMBERS),
)
failures = st.builds(
    Failure,
    st.sampled_from(["ValueError: no", "a NUL \0 and a surrogate \ud800"]),
    st.sampled_from(
        [
            *(Outcome.FAILED, Outcome.FAILED, Outcome.FAILED),
            *(Outcome.TIMED_OUT, Outcome.CRASHED, Outcome.LOST, Outcome.CANCELLED),
        ]
    ),
    permanent=st.integers(0, 5).map(lambda number: number == 5),
    retry_after=st.sampled_from([None, None, None, None, 0.0, 90.0, 1e9]),
    started_at=st.sampled_from([None, NOW + 0.5]),
    traceback=st.sampled_from([None, "line 1\nline 2"]),
    stderr=st.sampled_from([None, None, "said"]),
    contained=st.booleans(),
)
Ending = str | Failure
endings = st.sampled_from(["ack", "ack and say", "give back", "drain", "unstorable"]) | failures
Asked = dict[str, Any]
Batch = list[tuple[str, Asked]]
batches = st.lists(st.tuples(queue_names, members), min_size=1, max_size=6)
Once = tuple[str, str, float] | None
once = st.none() | st.tuples(
    st.just("i"), st.sampled_from(["f", "f", "g"]), st.sampled_from([40.0, 24 * HOUR])
)
"""An idempotency key, a digest of the request, and for how many seconds it is remembered."""


class Fate(Enum):
    """What happens to the process around a commit."""

    GOOD = "it goes on"
    TORN = "its connection breaks before the commit"
    CUT = "it is killed after the commit, before anybody was told"


class Life(RuleBasedStateMachine):
    """A process at work on the database, its users, its clock, and its deaths."""

    def __init__(self, session: Session, reader: Session) -> None:
        super().__init__()
        self.session = session
        wipe(session)  # what an example that failed has left
        self.reader = reader
        self.model = Model()
        self.now = NOW
        self.inbox = Inbox()
        self.numbers = count(1)
        self.buffer: list[AnyWrite] = []
        self.size = 1
        self.fate = Fate.GOOD
        self.published: list[Task] = []
        self.claimed: list[ClaimedTask] = []  # all that this process and those before it had
        self.held: dict[Lease, ClaimedTask] = {}
        self.queue_of: dict[str, str] = {}
        self.fired: Fire | None = None
        self.sound = True
        self.unseen = False

    def teardown(self) -> None:
        """What is not final comes to its end."""
        if self.sound:
            self.finish()
            assert wipe(self.session)

    # --- what publishers do -----------------------------------------------------------------

    @initialize(batch=batches)
    def begin(self, batch: Batch) -> None:
        for queue, asked in batch:
            self.insert([self.task(queue, asked)])

    @rule(queue=queue_names, asked=members, number=st.integers(1, 4))
    def publish(self, queue: str, asked: Asked, number: int) -> None:
        for _ in range(number):
            self.insert([self.task(queue, asked)])

    @rule(batch=batches, once=once, known=st.integers(-20, 10))
    def publish_together(self, batch: Batch, once: Once, known: int) -> None:
        """All or none; where one has an id that is taken: none."""
        idempotency = None
        if once is not None:
            key, fingerprint, seconds = once
            idempotency = Idempotency(key, fingerprint, self.now + seconds)
        rows = [self.task(queue, asked) for queue, asked in batch]
        if 0 <= known < len(self.published):
            rows.append(self.published[-1 - known])
        self.insert(rows, idempotency)

    # --- what a queue does ------------------------------------------------------------------

    @rule(queue=queue_names, limit=st.integers(1, 5), free=st.integers(0, 5), seconds=leases)
    def claim(self, queue: str, limit: int, free: int, seconds: float) -> None:
        self.write(self.a_claim(queue, limit, free, seconds))

    @rule(queue=queue_names, endings=st.lists(endings, min_size=1, max_size=4))
    def run(self, queue: str, endings: list[Ending]) -> None:
        """From the claim to the end."""
        before = set(self.held)
        self.write(self.a_claim(queue, len(endings), len(endings), 10.0))
        self.commit()
        fresh = [task for lease, task in self.held.items() if lease not in before]
        for claimed, ending in zip(fresh, endings, strict=False):
            self.end(claimed, ending)

    @precondition(lambda self: any(row["losses"] for row in self.model.rows.values()))
    @rule(queue=queue_names, ending=st.none() | endings)
    def run_suspect(self, queue: str, ending: Ending | None) -> None:
        self.write(self.a_suspects_claim(queue))
        self.commit()
        suspects = [task for task in self.held.values() if task.is_suspect]
        if suspects and ending is not None:
            self.end(suspects[-1], ending)

    @precondition(lambda self: self.held)
    @rule(place=places, ending=endings)
    def settle_one_that_runs(self, place: int, ending: Ending) -> None:
        self.end(newest(list(self.held.values()), place), ending)

    @precondition(lambda self: self.claimed)
    @rule(place=places, ending=endings)
    def settle_one_of_whoever(self, place: int, ending: Ending) -> None:
        """It may have been settled long since, or be lost, or run on behalf of another."""
        self.end(newest(self.claimed, place), ending)

    @rule(
        seconds=st.sampled_from([0.0, 0.25, 15.0, 61.0, 2 * HOUR, 30 * HOUR]),
        renews=st.booleans(),
        sweeps=st.booleans(),
        sole_owner=st.booleans(),
    )
    def wait(self, seconds: float, renews: bool, sweeps: bool, sole_owner: bool) -> None:  # noqa: FBT001
        self.now += seconds
        if renews:
            mine = dict.fromkeys(claimed.lease for claimed in self.claimed)
            self.write(Renew(self.inbox, tuple(mine), self.now + 20.0))
        for claimed in self.claimed[-2:]:
            self.write(Report(self.inbox, Progress(claimed.lease, 0.25, "on the way")))
        lapsed = self.now + (MONTHS if sole_owner else 0.0)
        for queue in QUEUES:
            self.write(self.a_tend(queue, lapsed, sweeps=sweeps))

    @rule(sweep=st.booleans())
    def prune(self, sweep: bool) -> None:  # noqa: FBT001
        self.write(Prune(self.inbox, self.now, RETENTION, None, sweep, AUDIT_SECONDS))

    # --- what users do ----------------------------------------------------------------------

    @rule(among=st.lists(places, min_size=1, max_size=3))
    def cancel(self, among: list[int]) -> None:
        for task_id in self.some_ids(among, final=False):
            self.write(CancelTask(task_id, self.now))

    @rule(among=st.lists(places, min_size=1, max_size=3))
    def retry(self, among: list[int]) -> None:
        for task_id in self.some_ids(among, final=True):
            self.write(RetryTask(task_id, self.now))

    @rule(among=st.lists(places, min_size=1), seconds=st.sampled_from([0.0, 0.5]))
    def redrive(self, among: list[int], seconds: float) -> None:
        some = self.some_ids(among, final=True)
        run_at = {task_id: self.now + number * seconds for number, task_id in enumerate(some)}
        self.write(Redrive(run_at, self.now))

    @rule(place=places)
    def delete(self, place: int) -> None:
        for task_id in self.some_ids([place], final=True):
            self.write(DeleteTask(task_id))

    @rule(queue=queue_names, what=st.sampled_from(["pause", "resume", "resume", "purge"]))
    def change_a_queue(self, queue: str, what: str) -> None:
        if what == "purge":
            self.write(Purge(queue, 3, int(self.now) - 10, self.now))
        else:
            self.write(SetPaused(self.inbox, queue, what == "pause", waiter=Reply()))

    # --- what schedules do ------------------------------------------------------------------

    @rule(
        name=st.sampled_from(SCHEDULES),
        cron=st.sampled_from(CRONS),
        missed=st.sampled_from(Missed),
        asked=members,
    )
    def put_schedule(self, name: str, cron: str, missed: Missed, asked: Asked) -> None:
        self.write(PutSchedule(self.schedule(name, cron, missed, asked)))

    @rule(
        names=st.sets(st.sampled_from(SCHEDULES)),
        deletes=st.booleans(),
        look_ahead=st.sampled_from([0.0, 24 * HOUR]),
    )
    def replace_schedules(self, names: set[str], deletes: bool, look_ahead: float) -> None:  # noqa: FBT001
        """By those of the settings, or by nothing."""
        until = self.now + look_ahead
        if deletes:
            for name in sorted(names):
                self.write(DeleteSchedule(name))
            self.write(LoadSchedules(self.inbox, until))
        else:
            schedules = [self.schedule(name, CRONS[0], Missed.ONCE, {}) for name in sorted(names)]
            configured = tuple(replace(schedule, configured=True) for schedule in schedules)
            self.write(LoadSchedules(self.inbox, until, configured))

    @precondition(lambda self: self.model.schedules)
    @rule(queue=queue_names, seconds=st.sampled_from([0.0, 300.0, 24 * HOUR]))
    def fire(self, queue: str, seconds: float) -> None:
        self.now += seconds
        for schedule in list(self.model.schedules.values()):
            if schedule.next_at <= self.now:
                self.fired = self.a_fire(schedule, queue)
                self.write(self.fired)

    @precondition(lambda self: self.fired is not None)
    @rule()
    def fire_again_as_another_node(self) -> None:
        assert self.fired is not None
        task = self.fired.task
        again = None if task is None else task._replace(id=self.new_id(task.queue))
        self.write(replace(self.fired, task=again))

    # --- what goes wrong --------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 90.0, HOUR]))
    def set_the_clock_back(self, seconds: float) -> None:
        self.now -= seconds

    @rule(fate=st.sampled_from(Fate), size=st.sampled_from([1, 2, 5]))
    def meet(self, fate: Fate, size: int) -> None:
        """Commits are shared by so many writes from now on, and the next one ends so."""
        self.fate = fate
        self.size = size

    # --- what must always be so -------------------------------------------------------------

    @precondition(lambda self: self.unseen)
    @invariant()
    def the_rows_and_the_model_agree(self) -> None:
        self.unseen = False
        self.sound = False
        with self.reader.transaction():
            connection = self.reader.connection
            rows = read(connection, tasks)
            assert differences(rows, self.model.rows) == {}
            assert rows == list(self.model.rows.values())
            assert by_task(read(connection, attempts)) == by_task(self.model.attempts)
            assert queues.paused_queues(connection) == self.model.paused
            assert {each.name: each for each in schedules.every(connection)} == self.model.schedules
            assert remembered(connection) == self.model.remembered
            check_counts(connection, rows)
            check_groups(connection, rows)
        check_limits(rows)
        self.sound = True

    # --- how --------------------------------------------------------------------------------

    def new_id(self, queue: str) -> str:
        task_id = f"task-{next(self.numbers):06}"
        self.queue_of[task_id] = queue
        return task_id

    def task(self, queue: str, asked: Asked, occurrence: str | None = None) -> Task:
        usual = {"action": "uppercase", "data": "{}"}
        if (seconds := asked.get("expires_in")) is not None:
            usual["expires_at"] = self.now + seconds
        members = {**usual, **asked}
        return task_of(self.new_id(queue), QUEUES[queue], members, self.now, occurrence)

    def some_ids(self, among: Sequence[int], *, final: bool) -> list[str]:
        """Those of tasks that are final, or are not; and now and then of another, or of none."""
        rows = self.model.rows.values()
        fit = [row["id"] for row in rows if (row["status"] in FINAL) is final]
        ids = ["nobody", *list(self.model.rows)[-1:], *fit]
        return [newest(ids, place) for place in among]

    def insert(self, rows: Sequence[Task], idempotency: Idempotency | None = None) -> None:
        limits = {task.queue: QUEUES[task.queue].limits for task in rows if task.queue != "plain"}
        conditions = Conditions(limits=limits, idempotency=idempotency)
        has_any = limits or idempotency is not None
        waiter = Reply[Published | None]()
        insert = Insert(self.inbox, tuple(rows), None, waiter, conditions if has_any else None)
        self.published += [task for task in rows if task.options.is_plain]
        self.write(insert)

    def a_claim(self, queue: str, limit: int, free: int, seconds: float) -> Claim:
        return Claim(
            self.inbox,
            claimant(
                queue=queue,
                lease_id=next(self.numbers),
                now=self.now,
                leased_until=self.now + seconds,
            ),
            limit,
            free,
        )

    def a_suspects_claim(self, queue: str) -> ClaimSuspect:
        return ClaimSuspect(
            self.inbox,
            claimant(
                queue=queue,
                lease_id=next(self.numbers),
                now=self.now,
                leased_until=self.now + 10.0,
            ),
        )

    def a_tend(self, queue: str, lapsed: float, *, sweeps: bool) -> Tend:
        limit = QUEUES[queue].limits.concurrency_per_key
        after = "" if sweeps else None
        return Tend(self.inbox, queue, self.now, lapsed, limit, after, recounts=sweeps)

    def settle(self, claimed: ClaimedTask, settlement: Settlement) -> None:
        queue = self.queue_of[claimed.lease.task_id]
        limit = QUEUES[queue].limits.concurrency_per_key
        place = KeyPlace(queue, settlement.key, limit) if settlement.key and limit else None
        self.write(Settle(self.inbox, settlement, place))

    def end(self, claimed: ClaimedTask, ending: Ending) -> None:
        done = ack(claimed, '{"done":true}', self.now - 0.5, self.now)
        match ending:
            case Failure():
                self.fail(claimed, ending)
            case "ack":
                self.settle(claimed, done)
            case "ack and say":
                self.settle(claimed, done._replace(stderr="said"))
            case "unstorable":
                self.settle(claimed, unstorable(done, ValueError("bad"), self.now))
            case "drain":
                self.settle(claimed, drained(claimed, self.now))
            case _:
                late = claimed.has_expired(self.now)
                self.settle(claimed, expire(claimed, self.now) if late else requeue(claimed))

    def fail(self, claimed: ClaimedTask, failure: Failure) -> None:
        self.settle(
            claimed, nack(claimed, failure, backoff=BACKOFF, now=self.now, random=lambda: 0.5)
        )

    def schedule(self, name: str, cron: str, missed: Missed, asked: Asked) -> Schedule:
        recurrence = Recurrence(cron, "UTC")
        return Schedule(
            name=name,
            recurrence=recurrence,
            missed=missed,
            task=orjson.dumps(asked).decode(),
            next_at=recurrence.after(self.now),
            created_at=int(self.now),
        )

    def a_fire(self, schedule: Schedule, queue: str) -> Fire:
        next_at = schedule.next_at
        occurrence, following = due(schedule.recurrence, next_at, self.now, schedule.missed)
        task = None
        if occurrence is not None:
            asked = orjson.loads(schedule.task)
            task = self.task(queue, asked, f"{schedule.name}@{occurrence:.0f}")
        return Fire(self.inbox, schedule.name, next_at, following, occurrence, task)

    def write(self, write: AnyWrite) -> None:
        self.buffer.append(write)
        if len(self.buffer) >= self.size:
            self.commit()

    def commit(self) -> None:
        if not self.buffer:
            return
        writes, self.buffer = self.buffer, []
        fate, self.fate = self.fate, Fate.GOOD
        self.sound, self.unseen = False, True
        if fate is Fate.TORN:
            torn(self.session, writes, self.now)
        else:
            ready = {row["id"] for row in self.model.rows.values() if is_ready(row)}
            notices = written(self.session, writes, self.now)
            expected = self.model.commit(writes, self.now)
            for what, wanted in zip(told(notices), told(expected), strict=True):
                assert [each for each in what if each not in wanted] == []
                assert [each for each in wanted if each not in what] == []
                assert what == wanted
            if fate is Fate.CUT:
                self.restart()
            else:
                notices.send()
                if isinstance(writes[0], Claim) and len(writes) == 1:
                    self.was_next(writes[0], ready)
                self.hear()
        self.sound = True

    def was_next(self, claim: Claim, ready: AbstractSet[str]) -> None:
        """What was claimed was ready, and nothing that is left was before it."""
        (claimed,) = self.inbox.all_of(Claimed)
        with self.reader.transaction():
            rows = read(self.reader.connection, tasks)
            paused = queues.paused_queues(self.reader.connection)
        place = {row["id"]: (row["rank"], number) for number, row in enumerate(rows)}
        taken = [place[task.lease.task_id] for task in claimed.tasks]
        left = [
            place[row["id"]]
            for row in rows
            if row["queue"] == claim.claimant.queue and is_ready(row)
        ]
        assert not taken or claim.claimant.queue not in paused
        assert {task.lease.task_id for task in claimed.tasks} <= ready
        assert not any(task.has_expired(self.now) for task in claimed.tasks)
        assert taken == sorted(taken)
        assert not taken or not left or taken[-1] < min(left)

    def hear(self) -> None:
        messages = list(self.inbox.messages)
        self.inbox.messages.clear()
        for message in messages:
            match message:
                case Claimed(tasks=claimed):
                    self.hear_claimed(claimed)
                case SuspectClaimed(task=ClaimedTask() as task):
                    self.hear_claimed([task])
                case Settled():
                    self.let_go((*message.applied, *message.refused))
                case Renewed():
                    self.let_go(message.lost)
                case Tended():
                    for claimed_by_another in message.lapsed:
                        if claimed_by_another.lease not in self.held:
                            self.fail(claimed_by_another, Failure("lost", Outcome.LOST))

    def hear_claimed(self, claimed: Sequence[ClaimedTask]) -> None:
        self.claimed += claimed
        self.held |= {task.lease: task for task in claimed}

    def let_go(self, leases: Sequence[Lease]) -> None:
        for lease in leases:
            self.held.pop(lease, None)

    def restart(self) -> None:
        """Another process, which knows nothing of what the one before it did and had in mind."""
        self.session.close()
        self.held.clear()
        self.buffer.clear()
        self.inbox.messages.clear()

    def finish(self) -> None:
        """Let a new process finish everything: nothing is lost, and nothing is stuck."""
        self.restart()
        self.fate, self.size = Fate.GOOD, sys.maxsize
        for queue in QUEUES:
            self.write(SetPaused(self.inbox, queue, paused=False, waiter=Reply()))
        for _ in range(5 + 2 * len(self.model.unfinished())):
            self.now += MONTHS
            self.write(
                Prune(
                    self.inbox, self.now, RETENTION, None, sweep=False, audit_seconds=AUDIT_SECONDS
                )
            )
            for queue in QUEUES:
                self.write(self.a_tend(queue, self.now, sweeps=True))
                self.write(self.a_claim(queue, 100, 100, 10.0))
                self.write(self.a_suspects_claim(queue))
            self.commit()
            for claimed in self.held.values():
                self.settle(claimed, ack(claimed, "1", self.now, self.now))
            self.commit()
            self.the_rows_and_the_model_agree()
            if not self.model.unfinished():
                return
        raise AssertionError(f"never finished: {self.model.unfinished()}")


def newest(things: Sequence[T], place: int) -> T:
    """The one in this place from the end, as often around as need be."""
    return things[-1 - place % len(things)]


def is_ready(row: Row) -> bool:
    return bool(row["status"] == Status.QUEUED and not row["losses"])


def written(session: Session, writes: Sequence[AnyWrite], now: float) -> Notices:
    """What a commit of these tells, as the writer makes it."""
    try:
        with session.transaction():
            return Commit(session, now).run(writes)
    except BadRowError:
        with session.transaction():
            return each_alone(session, writes, now, patient=True)


def torn(session: Session, writes: Sequence[AnyWrite], now: float) -> None:
    """Break the connection in the middle of the transaction."""

    def begin_and_break() -> None:
        with session.transaction():
            Commit(session, now).run(writes)
            raw = session.connection.connection.driver_connection
            assert raw is not None
            raw.close()

    # Some may be refused before it comes to that, and then be written one by one.
    with pytest.raises((StoreUnavailableError, BadRowError)):
        begin_and_break()


def told(notices: Notices) -> tuple[list[Any], ...]:
    """What the notices say, but for what they may say either way."""
    return (
        notices.inserts,
        list(notices.settled.items()),
        notices.answers,
        [in_order(command) for _, command in notices.other],
        [(write, type(error)) for write, error in notices.failed],
    )


def in_order(command: Command) -> Command:
    if isinstance(command, Tended):
        lapsed = sorted(command.lapsed, key=lambda task: task.lease.task_id)
        cancelling = sorted(command.cancelling, key=lambda lease: lease.task_id)
        return replace(command, lapsed=tuple(lapsed), cancelling=tuple(cancelling))
    return command


def read(connection: sa.Connection, table: sa.Table) -> list[Row]:
    columns = [column for column in table.c if column.name != "seq"]
    rows = connection.execute(sa.select(*columns).order_by(table.c.seq)).mappings()
    return [dict(row) for row in rows]


def differences(rows: Sequence[Row], wanted: Mapping[str, Row]) -> dict[str, object]:
    """By task and column what is in the row, and what should be."""
    there = {row["id"]: row for row in rows}
    return {
        task_id: {
            name: (there[task_id][name], value)
            for name, value in row.items()
            if there[task_id][name] != value
        }
        for task_id, row in wanted.items()
        if task_id in there and there[task_id] != row
    }


def by_task(rows: Sequence[Row]) -> list[Row]:
    """The attempts of each task in their order."""
    return sorted(rows, key=lambda row: str(row["task_id"]))


def remembered(connection: sa.Connection) -> dict[str, Row]:
    rows = connection.execute(sa.select(idempotency_keys)).mappings()
    return {
        row["key"]: {
            **row,
            "receipts": tuple(Receipt(*each) for each in orjson.loads(row["receipts"])),
        }
        for row in rows
    }


def check_counts(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """What is kept of how many tasks there are is how many there are."""
    t = tasks.c
    counted = sa.select(t.queue, t.status, sa.func.count()).group_by(t.queue, t.status)
    there = {(queue, status): number for queue, status, number in connection.execute(counted)}
    kept = {
        (queue, status): number
        for queue, numbers in by_state(connection).items()
        for status, number in numbers.items()
        if number
    }
    assert kept == there == Counter((row["queue"], row["status"]) for row in rows)
    for queue in QUEUES:
        own = [row for row in rows if row["queue"] == queue and row["processed_at"] is None]
        size = sum(len(row["data"].encode()) for row in own)
        assert unfinished(connection, queue) == (len(own), size)


def check_groups(connection: sa.Connection, rows: Sequence[Row]) -> None:
    """What is kept of how many dead tasks have the same error is how many have it."""
    kept = {
        (each.queue, each.action, each.error_group): each.number
        for each in dead_groups.groups(connection, Filters())
    }
    dead = [row for row in rows if row["status"] == Status.DEAD]
    assert kept == Counter((row["queue"], row["action"], row["error_group"]) for row in dead)


def check_limits(rows: Sequence[Row]) -> None:
    """No key has more tasks at once than it may, and no unique key more than one."""
    at_once = Counter(
        (row["queue"], row["key"])
        for row in rows
        if row["key"] is not None and row["status"] in {Status.QUEUED, Status.RUNNING}
    )
    for (queue, _), number in at_once.items():
        limit = QUEUES[queue].limits.concurrency_per_key
        assert not limit or number <= limit
    unfinished = [row for row in rows if row["processed_at"] is None]
    assert not any(row["status"] in FINAL for row in unfinished)
    uniques = Counter(
        (row["queue"], row["unique_key"])
        for row in unfinished
        if row["unique_key"] and row["cancel_requested_at"] is None
    )
    stopping = [row for row in unfinished if row["cancel_requested_at"] is not None]
    assert all(row["status"] == Status.RUNNING for row in stopping)
    assert max(uniques.values(), default=1) == 1


def wipe(session: Session) -> bool:
    """Forget everything; whether with the tasks all that was counted is gone."""
    with session.transaction():
        for table in (tasks, attempts, queue_rows, schedule_rows, idempotency_keys):
            session.connection.execute(sa.delete(table))
        kept = by_state(session.connection).values()
        session.connection.execute(sa.delete(counts))
    return not any(number for numbers in kept for number in numbers.values())


@pytest.mark.timeout(900)  # to find the shortest way to what is wrong
def test_the_database_and_the_model_never_disagree(
    database: Database, request: pytest.FixtureRequest
) -> None:
    is_search = request.config.getoption("hypothesis_seed") is not None
    examples = SQLITE_EXAMPLES if database.is_sqlite else POSTGRESQL_EXAMPLES
    session, reader = Session(patient(database)), Session(patient(database), read_only=True)
    try:
        run_state_machine_as_test(
            lambda: Life(session, reader),  # type: ignore[arg-type] # called as a class is
            settings=settings(
                max_examples=examples * (SEARCH if is_search else 1),
                stateful_step_count=STEPS,
                deadline=None,
                derandomize=not is_search,
                database=None,
                report_multiple_bugs=False,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        session.close()
        reader.close()
