"""Group commit: one transaction for all that waits, answers after it, and one failure alone."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import reduce
from typing import TypeVar

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import (
    ActorUnavailableError,
    AnswerTimeoutError,
    BadRowError,
    ConflictError,
    KeyReusedError,
    LockedError,
    NotFoundError,
    OverLimitError,
    StoreUnavailableError,
    UnavailableError,
)
from task_queue.actors.messages.base import Command, Message
from task_queue.actors.messages.changes import (
    CancelTask,
    Change,
    DeleteTask,
    PutSchedule,
    RetryTask,
)
from task_queue.actors.messages.figures import NoteFigures
from task_queue.actors.messages.pruner import Pruned
from task_queue.actors.messages.queue import Claimed, Renewed, Settled, Stored, Tended, Unblocked
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.scheduler import Fired, SchedulesLoaded
from task_queue.actors.messages.supervisor import Died
from task_queue.actors.messages.writer import (
    Claim,
    DatabaseState,
    Fire,
    GetDatabaseState,
    Hear,
    Insert,
    KeyPlace,
    LoadSchedules,
    Prune,
    Renew,
    Report,
    SetPaused,
    Settle,
    Tend,
    Watch,
    WriteFailed,
)
from task_queue.actors.runtime.actor import Life
from task_queue.actors.runtime.address import Address
from task_queue.actors.store import figures, nodes
from task_queue.actors.store.database import Database
from task_queue.actors.store.insert import insert as add
from task_queue.actors.store.notices import Notices
from task_queue.actors.store.session import Session
from task_queue.actors.store.upkeep import Upkeep
from task_queue.actors.store.watches import FIRST_FULL
from task_queue.actors.tasks.claim import ClaimedTask, Lease
from task_queue.actors.tasks.conditions import ACCEPTED, Conditions, Idempotency, Published
from task_queue.actors.tasks.figures import MINUTE_SECONDS, WRITE_SECONDS, Figures
from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.actors.tasks.nodes import Node
from task_queue.actors.tasks.recurrence import Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import Failure, Settlement, ack
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Options, Receipt, Task
from task_queue.actors.tasks.verdict import Acked, Said
from task_queue.actors.writer import (
    HELD_UP_SECONDS,
    MANY_SETTLED,
    SETTLE_PAUSE_SECONDS,
    DatabaseWriter,
    DiskFloor,
    pause_after,
)
from tests.actors.store.calls import attempts, claimant, find, get, put
from tests.actors.store.races import while_held
from tests.databases import execute, held, impatient, overhear, patient, refuse
from tests.fakes import (
    AUDIT_SECONDS,
    DEADLINE_SECONDS,
    NOW,
    Inbox,
    ManualClock,
    a_task,
    life,
    running,
)

DAY = 86_400.0
NODE = Node(
    name="host:1", version="1.0", started_at=NOW, seen_at=NOW, draining=False, queues={"tasks": 2}
)
REFUSE_FIGURES = {
    True: (
        "CREATE TRIGGER refuse BEFORE INSERT ON figures BEGIN SELECT RAISE(ABORT, 'refused'); END",
        "DROP TRIGGER refuse",
    ),
    False: (
        "ALTER TABLE figures ADD CONSTRAINT refuse CHECK (false)",
        "ALTER TABLE figures DROP CONSTRAINT refuse",
    ),
}
"""What lets SQLite, and else PostgreSQL, refuse all figures, and what ends that."""
R = TypeVar("R")


class Idle:
    """A writer that was never started: the test hands it its messages."""

    def __init__(
        self,
        session: Session,
        *,
        max_batch: int = 100,
        floor: DiskFloor | None = None,
        upkeep: Upkeep | None = None,
    ) -> None:
        self.commits = 0
        self.session = session
        self.clock, self.monotonic = ManualClock(), ManualClock()
        self.actor = DatabaseWriter(
            life("writer"),
            session=session,
            max_batch=max_batch,
            now=self.clock,
            monotonic=self.monotonic,
            floor=floor,
            upkeep=upkeep,
            node=NODE.name,
        )
        self.actor._life.address.bind(self.actor.actor_ref)
        sa.event.listen(session._engine, "commit", self._count)

    def take(self, *messages: Message) -> None:
        for message in messages:
            self.actor.receive(message)

    def flush(self) -> None:
        """Handle what the writer told itself."""
        while not self.actor.actor_inbox.empty():
            self.actor.receive(self.actor.actor_inbox.get().message)

    def flush_once(self) -> None:
        """Handle only what it told itself first."""
        self.actor.receive(self.actor.actor_inbox.get().message)

    def change(self, change: Change[R]) -> R:
        """The answer to the change, made in a commit of its own."""
        self.take(change)
        self.flush()
        return change.reply_to.wait(0)

    def _count(self, _connection: sa.Connection) -> None:
        self.commits += 1


def an_insert(
    requester: Inbox,
    *tasks: Task,
    deadline: float | None = None,
    conditions: Conditions | None = None,
) -> Insert:
    return Insert(requester, tasks or (a_task(),), deadline, Reply(), conditions)


def answer(insert: Insert) -> Published | None:
    assert insert.waiter is not None
    return insert.waiter.wait(DEADLINE_SECONDS)


def refused(insert: Insert, error: type[Exception]) -> None:
    with pytest.raises(error):
        answer(insert)


def unanswered(insert: Insert) -> bool:
    assert insert.waiter is not None
    return not insert.waiter.is_done


def claim(requester: Inbox, limit: int = 10) -> Claim:
    return Claim(requester, claimant(lease_id=7), limit=limit, free=10)


def claimed(writer: Idle, inbox: Inbox, count: int, **columns: object) -> tuple[ClaimedTask, ...]:
    writer.take(*(an_insert(inbox, a_task(**columns)) for _ in range(count)), claim(inbox))
    writer.flush()
    return inbox.wait_for(Claimed, 0).tasks


def done(task: ClaimedTask, result: str = "1") -> Settlement:
    return ack(task, result, NOW, NOW)


def stored_ids(inbox: Inbox) -> list[str]:
    return [task_id for stored in inbox.all_of(Stored) for task_id in stored.task_ids]


def kept(database: Database, *tasks: Task) -> list[bool]:
    """Which of the tasks are rows, seen by another connection."""
    other = Session(database, read_only=True)
    found = [find(other, task.id) is not None for task in tasks]
    other.close()
    return found


def figures_of(session: Session) -> dict[str, Figures]:
    """What is stored of what happened on the queues."""
    with session.transaction():
        found = figures.by_step(session.connection, int(NOW) // MINUTE_SECONDS, 60, 1)
    return {queue: reduce(Figures.plus, steps.values()) for queue, steps in found.items()}


# --- never started --------------------------------------------------------------------------


def test_what_happened_is_written_with_another_commit_after_a_second(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    claimed(writer, inbox, 2)
    writer.take(NoteFigures("memory", Figures(published=3)))
    writer.monotonic.advance(WRITE_SECONDS / 2)
    writer.take(claim(inbox))
    writer.flush()
    assert figures_of(session) == {}
    writer.monotonic.advance(WRITE_SECONDS / 2)
    writer.commits = 0
    writer.take(claim(inbox))
    writer.flush()
    assert writer.commits == 1
    assert figures_of(session) == {
        "tasks": Figures(published=2, started=2),
        "memory": Figures(published=3),
    }


def test_where_nothing_happens_no_figures_are_written(session: Session) -> None:
    writer, inbox, texts = Idle(session), Inbox(), list[str]()
    end = overhear(session, lambda text, _: texts.append(text))
    for _ in range(3):
        writer.monotonic.advance(WRITE_SECONDS)
        writer.take(claim(inbox))
        writer.flush()
    end()
    assert texts
    assert not [text for text in texts if "figures" in text]


def test_figures_that_could_not_be_written_are_written_once_it_is_possible(
    database: Database, session: Session
) -> None:
    writer, inbox = Idle(session), Inbox()
    claimed(writer, inbox, 1)
    refuse, accept = REFUSE_FIGURES[database.is_sqlite]
    execute(database, refuse)
    writer.monotonic.advance(WRITE_SECONDS)
    more = an_insert(inbox)
    writer.take(more)
    writer.flush()
    assert answer(more) is None  # nothing else fails for them
    assert figures_of(session) == {}
    execute(database, accept)
    writer.monotonic.advance(WRITE_SECONDS)
    writer.take(claim(inbox))
    writer.flush()
    assert figures_of(session) == {"tasks": Figures(published=2, started=1)}


def test_a_writer_that_stops_writes_the_last_figures_and_takes_leave_of_the_other_nodes(
    session: Session, database: Database
) -> None:
    writer, other = Idle(session), Session(database)
    claimed(writer, Inbox(), 1)
    with other.transaction():
        nodes.say_alive(other.connection, NODE, alone=False)
    writer.actor.on_stop()
    assert figures_of(other) == {"tasks": Figures(published=1, started=1)}
    with other.transaction():
        assert nodes.every(other.connection) == []
    other.close()


def test_all_that_waited_shares_one_commit_and_is_told_once(session: Session) -> None:
    writer, ours, theirs = Idle(session), Inbox(), Inbox()
    inserts = [an_insert(ours), an_insert(theirs), an_insert(ours)]
    writer.take(*inserts)
    assert writer.commits == 0
    assert all(map(unanswered, inserts))
    writer.flush()
    assert writer.commits == 1
    for insert in inserts:
        assert answer(insert) is None
    assert ours.messages == [Stored((inserts[0].tasks[0].id, inserts[2].tasks[0].id))]
    assert theirs.messages == [Stored((inserts[1].tasks[0].id,))]


def test_a_lone_write_is_committed_at_once(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    for commits in (1, 2):
        insert = an_insert(inbox)
        writer.take(insert)
        writer.flush()
        answer(insert)
        assert writer.commits == commits


def test_a_commit_holds_no_more_than_the_cap(session: Session) -> None:
    writer, inbox = Idle(session, max_batch=3), Inbox()
    inserts = [an_insert(inbox) for _ in range(7)]
    writer.take(*inserts)
    assert [unanswered(insert) for insert in inserts] == [False] * 6 + [True]
    writer.flush()
    assert [len(stored.task_ids) for stored in inbox.all_of(Stored)] == [3, 3, 1]
    assert writer.commits == 3


def test_of_batches_each_task_counts_towards_the_cap(session: Session) -> None:
    writer, inbox = Idle(session, max_batch=3), Inbox()
    first, second, third = (an_insert(inbox, a_task(), a_task()) for _ in range(3))
    writer.take(first)
    assert writer.commits == 0
    writer.take(second, third)
    assert [unanswered(insert) for insert in (first, second, third)] == [False, False, True]
    assert writer.commits == 1


def test_nobody_is_answered_before_the_commit(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    insert = an_insert(inbox)
    seen: list[tuple[bool, list[Command]]] = []
    sa.event.listen(
        session._engine, "commit", lambda _: seen.append((unanswered(insert), inbox.messages[:]))
    )
    writer.take(insert)
    writer.flush()
    assert seen == [(True, [])]
    answer(insert)


def test_each_write_sees_what_the_same_commit_wrote_before_it(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    over, lost = claimed(writer, inbox, 2)
    writer.take(
        claim(inbox, limit=1),
        Tend(inbox, "tasks", due=NOW, lapsed=NOW + 60),
        Renew(inbox, (over.lease, lost.lease), NOW + 90),
        Settle(inbox, done(over)),
        insert := an_insert(inbox),
    )
    before = writer.commits
    writer.flush()
    assert writer.commits == before + 1
    (fresh,) = inbox.wait_for(Claimed, 0).tasks
    assert fresh.lease.task_id == insert.tasks[0].id
    assert inbox.wait_for(Settled, 0) == Settled((over.lease,), ())
    assert inbox.wait_for(Renewed, 0) == Renewed((over.lease,))
    assert inbox.wait_for(Tended, 0) == Tended(0, ())  # the renewed one does not lapse


def test_one_bad_row_fails_alone_in_a_group_commit(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    first, last = an_insert(inbox), an_insert(inbox)
    bad = an_insert(inbox, first.tasks[0])
    (over,) = claimed(writer, inbox, 1)
    inbox.messages.clear()
    writer.take(first, bad, Settle(inbox, done(over)), last)
    writer.flush()
    answer(first)
    answer(last)
    refused(bad, BadRowError)
    (failure,) = inbox.all_of(WriteFailed)
    assert failure.write is bad
    assert isinstance(failure.error, BadRowError)
    assert stored_ids(inbox) == [first.tasks[0].id, last.tasks[0].id]
    assert inbox.all_of(Settled) == [Settled((over.lease,), ())]


def test_a_retry_whose_unique_key_is_taken_meanwhile_on_another_node_is_a_conflict(
    postgres_only: Database,
) -> None:
    session = Session(postgres_only)
    keyed = Options(unique_key="one")
    dead = a_task(status=Status.DEAD, options=keyed)
    with session.transaction():
        add(session.connection, [dead])
    with pytest.raises(ConflictError, match="its unique key 'one' has gone to the task"):
        while_held(
            postgres_only,
            lambda other: add(other.connection, [a_task(options=keyed)]),
            lambda ours: Idle(ours).change(RetryTask(dead.id, NOW)),
        )
    assert get(session, dead.id) == dead
    session.close()


def test_one_lost_lease_is_refused_alone_in_a_group_commit(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    first, second = claimed(writer, inbox, 2)
    late = first._replace(lease=Lease(first.lease.task_id, lease_id=6))
    writer.take(*(Settle(inbox, done(task)) for task in (late, first, second)))
    writer.flush()
    assert inbox.all_of(Settled) == [Settled((first.lease, second.lease), (late.lease,))]
    assert inbox.all_of(WriteFailed) == []


def test_a_result_that_the_database_refuses_fails_alone(
    database: Database, session: Session
) -> None:
    refuse(database, "result", "bad")
    writer, inbox = Idle(session), Inbox()
    good, bad = claimed(writer, inbox, 2)
    settle = Settle(inbox, done(bad, "bad"))
    writer.take(Settle(inbox, done(good)), settle)
    writer.flush()
    assert inbox.wait_for(Settled, 0) == Settled((good.lease,), ())
    assert inbox.wait_for(WriteFailed, 0).write == settle


def test_a_publish_nobody_waits_for_any_more_is_dropped_and_answered(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    late = an_insert(inbox, deadline=NOW + 1)
    in_time = an_insert(inbox, deadline=NOW + 2)
    writer.take(late, in_time)
    writer.clock.advance(DAY)  # no matter: somebody has set the clock
    writer.monotonic.advance(2)
    writer.flush()
    refused(late, AnswerTimeoutError)
    answer(in_time)
    assert [failure.write for failure in inbox.all_of(WriteFailed)] == [late]
    assert stored_ids(inbox) == [in_time.tasks[0].id]


def test_a_batch_of_dropped_publishes_makes_no_commit(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    writer.take(late := an_insert(inbox, deadline=NOW - 1))
    writer.flush()
    refused(late, AnswerTimeoutError)
    writer.take(next_one := an_insert(inbox))
    writer.flush()
    answer(next_one)
    assert writer.commits == 1


def test_an_unavailable_database_answers_the_whole_batch_and_then_works_again(
    database: Database,
) -> None:
    session, inbox = Session(impatient(database)), Inbox()
    writer = Idle(session)
    batch = [an_insert(inbox), an_insert(inbox)]
    question = claim(inbox)
    with held(database):
        writer.take(*batch, question)
        writer.flush()
    for insert in batch:
        refused(insert, StoreUnavailableError)
    assert [failure.write for failure in inbox.all_of(WriteFailed)] == [*batch, question]
    assert kept(database, *(insert.tasks[0] for insert in batch)) == [False, False]
    writer.take(again := an_insert(inbox))
    writer.flush()
    answer(again)
    assert kept(database, again.tasks[0]) == [True]
    session.close()


END_OTHERS = (
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
END_ITSELF = (
    "CREATE FUNCTION end_itself() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END'"
)
AT_ONCE = "CREATE TRIGGER end_itself AFTER INSERT ON tasks EXECUTE FUNCTION end_itself()"
AT_COMMIT = (
    "CREATE CONSTRAINT TRIGGER end_itself AFTER INSERT ON tasks DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION end_itself()"
)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("faults", "opened", "is_kept"),
    [
        ([END_OTHERS], 1, True),
        ([END_ITSELF, AT_ONCE], 1, False),
        ([END_ITSELF, AT_COMMIT], 0, False),
    ],
    ids=["while idle", "at each try", "at the commit"],
)
def test_a_connection_that_breaks_is_replaced_at_once_unless_the_commit_may_be_on_disk(
    faults: Sequence[str], opened: int, database: Database, session: Session, *, is_kept: bool
) -> None:
    writer, inbox = Idle(session), Inbox()
    writer.take(an_insert(inbox))
    writer.flush()
    execute(database, *faults)
    openings = session.openings
    writer.take(insert := an_insert(inbox))
    writer.flush()
    assert session.openings - openings == opened
    if is_kept:
        answer(insert)
    else:
        refused(insert, StoreUnavailableError)
    assert kept(database, insert.tasks[0]) == [is_kept]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_neighbours_fault_that_comes_twice_fails_alone_and_is_no_bad_row(
    database: Database, session: Session
) -> None:
    execute(
        database,
        "CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$",
        "CREATE TRIGGER deadlock BEFORE UPDATE ON tasks FOR EACH STATEMENT"
        " EXECUTE FUNCTION deadlock()",
    )
    writer, inbox = Idle(session), Inbox()
    writer.take(insert := an_insert(inbox), question := claim(inbox))
    writer.flush()
    answer(insert)
    (failure,) = inbox.all_of(WriteFailed)
    assert failure.write is question
    assert isinstance(failure.error, StoreUnavailableError)


def test_what_waits_for_a_lock_is_tried_again_and_does_not_hold_up_the_rest(
    postgres_only: Database,
) -> None:
    session = Session(impatient(postgres_only))
    writer, inbox = Idle(session), Inbox()
    (task,) = claimed(writer, inbox, 1)
    plain = an_insert(inbox)
    keyed = an_insert(inbox, a_task(unique_key="u"), deadline=NOW + 10)
    late = an_insert(inbox, a_task(unique_key="u"), deadline=NOW + 1)
    settle = Settle(inbox, done(task))

    def hold(other: Session) -> None:
        add(other.connection, [a_task(unique_key="u")])
        lock_row = "SELECT 1 FROM tasks WHERE id = :id FOR UPDATE"
        other.connection.execute(sa.text(lock_row), {"id": task.lease.task_id})

    holder = Session(patient(postgres_only))
    with holder.transaction():
        hold(holder)
        writer.take(plain, keyed, settle, late)
        writer.flush_once()
        answer(plain)
        failure = inbox.wait_for(WriteFailed, 0)  # the driver repeats it
        assert failure.write is settle
        assert isinstance(failure.error, LockedError)
        assert unanswered(keyed)
        writer.monotonic.advance(2)
        writer.flush_once()
        refused(late, AnswerTimeoutError)
        assert unanswered(keyed)
    writer.flush()
    assert published(keyed).receipts[0].duplicate
    for each in (holder, session):
        each.close()


def state(writer: Idle) -> DatabaseState:
    writer.take(question := GetDatabaseState())
    return question.reply_to.wait(0)


class Losing:
    """Loses the database, and finds it again."""

    def __init__(self) -> None:
        self.lost = False

    def check(self, now: float) -> None:
        if self.lost:
            raise StoreUnavailableError(f"lost at {now:g}")

    def look(self, now: float) -> tuple[str, ...]:
        return (f"seen at {now:g}",)


def test_the_state_is_that_of_the_last_commit_and_nothing_is_written_to_what_is_lost(
    session: Session,
) -> None:
    upkeep, inbox = Losing(), Inbox()
    writer = Idle(session, upkeep=upkeep)
    assert state(writer) == DatabaseState(None, ())
    for upkeep.lost in (False, True, False):
        writer.take(insert := an_insert(inbox))
        writer.flush()
        problem = f"lost at {NOW:g}" if upkeep.lost else None
        assert state(writer) == DatabaseState(problem, (f"seen at {NOW:g}",))
        if upkeep.lost:
            refused(insert, StoreUnavailableError)
            assert find(session, insert.tasks[0].id) is None
        else:
            answer(insert)


def test_a_database_that_takes_no_tasks_is_unavailable_though_other_commits_go_through(
    postgres_only: Database,
) -> None:
    session, inbox = Session(postgres_only), Inbox()
    writer = Idle(session)
    execute(
        postgres_only,
        "CREATE FUNCTION fill_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'disk full' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER fill_disk BEFORE INSERT ON tasks EXECUTE FUNCTION fill_disk()",
    )
    writer.take(insert := an_insert(inbox))
    writer.flush()
    refused(insert, StoreUnavailableError)
    for problem, fault in (("disk full", "DROP TRIGGER fill_disk ON tasks"), (None, "SELECT 1")):
        writer.take(question := claim(inbox))
        writer.flush()
        assert state(writer) == DatabaseState(problem, ())
        execute(postgres_only, fault)
    assert question not in [failure.write for failure in inbox.all_of(WriteFailed)]
    assert find(session, insert.tasks[0].id) is None
    session.close()


def test_a_database_whose_locks_let_no_commit_through_is_unavailable_after_a_while(
    postgres_only: Database,
) -> None:
    session, inbox = Session(impatient(postgres_only)), Inbox()
    writer = Idle(session)
    with held(postgres_only):
        for seconds in (HELD_UP_SECONDS, 1):
            assert state(writer) == DatabaseState(None, ())
            writer.take(claim(inbox))
            writer.flush()
            writer.monotonic.advance(seconds)
        problem = state(writer).problem
    assert problem == "no commit for 4 s: another session holds the locks they need"
    writer.take(claim(inbox))
    writer.flush()
    assert state(writer) == DatabaseState(None, ())
    session.close()


# --- publishes that are looked at -----------------------------------------------------------


def only(**limits: int) -> Conditions:
    """Publishes to the queue of the tests are bound by these limits."""
    return Conditions(limits={"tasks": QueueLimits(**limits)})


def repeatable(key: str = "key", fingerprint: str = "same") -> Conditions:
    return Conditions(idempotency=Idempotency(key, fingerprint, expires_at=NOW + DAY))


def published(insert: Insert) -> Published:
    answered = answer(insert)
    assert answered is not None
    return answered


def test_a_second_task_with_a_unique_key_is_answered_with_the_first_and_stops_nobody(
    session: Session,
) -> None:
    writer, inbox = Idle(session), Inbox()
    first, second = (an_insert(inbox, a_task(unique_key="u")) for _ in range(2))
    other_queue = an_insert(inbox, a_task(unique_key="u", queue="other"))
    plain = an_insert(inbox)
    writer.take(first, second, plain, other_queue)
    writer.flush()
    assert writer.commits == 1
    ids = [insert.tasks[0].id for insert in (first, second, other_queue)]
    assert published(first).receipts == (Receipt(ids[0], "queued", duplicate=False),)
    assert published(second).receipts == (Receipt(ids[0], "queued", duplicate=True),)
    assert published(other_queue).receipts == (Receipt(ids[2], "queued", duplicate=False),)
    assert answer(plain) is None
    assert find(session, ids[1]) is None


def test_a_unique_key_is_free_again_when_its_task_is_final(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    (task,) = claimed(writer, inbox, 1, unique_key="u")
    held_back = an_insert(inbox, a_task(unique_key="u"))
    writer.take(held_back)
    writer.flush()
    assert published(held_back).receipts == (
        Receipt(task.lease.task_id, "running", duplicate=True),
    )
    let_in = an_insert(inbox, a_task(unique_key="u"))
    writer.take(Settle(inbox, done(task)), let_in)
    writer.flush()
    # Inserts go before settlements in a commit; the next one finds the key free.
    writer.take(again := an_insert(inbox, a_task(unique_key="u")))
    writer.flush()
    assert published(again).receipts == (Receipt(again.tasks[0].id, "queued", duplicate=False),)


def test_a_publish_beyond_a_limit_fails_alone_and_without_a_second_try(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    plain = an_insert(inbox)  # counts, though it was not looked at
    fits, too_many = (an_insert(inbox, conditions=only(max_length=3)) for _ in range(2))
    last = an_insert(inbox)
    writer.take(plain, fits, too_many, last)
    writer.flush()
    assert writer.commits == 1
    refused(too_many, OverLimitError)
    assert [failure.write for failure in inbox.all_of(WriteFailed)] == [too_many]
    assert sorted(stored_ids(inbox)) == sorted(insert.tasks[0].id for insert in (plain, fits, last))
    assert [find(session, each.tasks[0].id) is None for each in (fits, too_many)] == [False, True]


def test_a_publish_within_its_limits_is_told_what_room_is_left(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    two = [a_task(data='{"a":"\N{SNOWMAN}"}'), a_task(data="{}")]
    writer.take(fits := an_insert(inbox, *two, conditions=only(max_length=5, max_bytes=100)))
    writer.flush()
    assert published(fits).room == {"tasks": Room(tasks=3, bytes=100 - 11 - 2)}


def test_bytes_are_counted_as_they_are_stored_and_bound_publishes_too(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    six_bytes = '"\N{SNOWMAN}!"'
    fits = an_insert(inbox, a_task(data=six_bytes), conditions=only(max_bytes=11))
    too_large = an_insert(inbox, a_task(data=six_bytes), conditions=only(max_bytes=11))
    writer.take(fits, too_large)
    writer.flush()
    assert published(fits).room == {"tasks": Room(tasks=None, bytes=5)}
    assert too_large.waiter is not None
    with pytest.raises(OverLimitError, match="12 bytes") as caught:
        answer(too_large)
    assert (caught.value.limit, caught.value.quota) == ("bytes", 11)


def test_a_limit_is_for_what_is_not_over_yet(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    (task,) = claimed(writer, inbox, 1)
    too_many = an_insert(inbox, conditions=only(max_length=1))
    writer.take(too_many)
    writer.flush()
    refused(too_many, OverLimitError)
    fits = an_insert(inbox, conditions=only(max_length=1, max_bytes=len(a_task().data)))
    writer.take(Settle(inbox, done(task)))
    writer.flush()
    writer.take(fits)
    writer.flush()
    assert published(fits).room == {"tasks": Room(tasks=0, bytes=0)}


def test_a_repeated_request_is_answered_as_the_first_was(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    first, same = (an_insert(inbox, conditions=repeatable()) for _ in range(2))
    other = an_insert(inbox, conditions=repeatable(fingerprint="other"))
    plain = an_insert(inbox)
    writer.take(first, same, other, plain)
    writer.flush()
    writer.take(later := an_insert(inbox, conditions=repeatable()))
    writer.flush()
    assert writer.commits == 2
    receipts = (Receipt(first.tasks[0].id, "queued", duplicate=False),)
    assert published(first) == Published(receipts=receipts)
    assert published(same) == Published(receipts=receipts, replayed=True, answered=ACCEPTED)
    assert published(later) == Published(receipts=receipts, replayed=True, answered=ACCEPTED)
    refused(other, KeyReusedError)
    assert answer(plain) is None
    assert [find(session, each.tasks[0].id) is None for each in (same, later)] == [True, True]


def test_a_repeated_request_is_a_new_one_after_its_time(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    writer.take(an_insert(inbox, conditions=repeatable()))
    writer.flush()
    writer.clock.advance(DAY)
    writer.take(again := an_insert(inbox, conditions=repeatable(fingerprint="other")))
    writer.flush()
    assert published(again).replayed is False


def test_a_request_that_was_refused_may_be_repeated(session: Session) -> None:
    """The key is remembered with the answer, or not at all."""
    writer, inbox = Idle(session), Inbox()
    conditions = replace(repeatable(), limits={"tasks": QueueLimits(max_length=1)})
    (task,) = claimed(writer, inbox, 1)
    writer.take(full := an_insert(inbox, conditions=conditions))
    writer.flush()
    refused(full, OverLimitError)
    writer.take(Settle(inbox, done(task)))
    writer.flush()
    writer.take(again := an_insert(inbox, conditions=conditions))
    writer.flush()
    assert published(again).replayed is False


def test_of_a_batch_all_are_stored_or_none(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    taken = a_task()
    fresh = [a_task(), a_task(unique_key="u"), a_task()]
    bad = an_insert(inbox, *fresh, taken, conditions=only(max_length=100))
    good = an_insert(inbox, a_task(), a_task(unique_key="u"), a_task())
    writer.take(an_insert(inbox, taken))
    writer.flush()
    writer.take(bad, good)
    writer.flush()
    refused(bad, BadRowError)
    assert [find(session, task.id) for task in fresh] == [None] * 3
    assert [receipt.task_id for receipt in published(good).receipts] == [
        task.id for task in good.tasks
    ]
    assert not any(receipt.duplicate for receipt in published(good).receipts)


def test_a_batch_with_a_key_twice_is_stored_with_the_second_as_duplicate(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    twice = an_insert(inbox, a_task(unique_key="u"), a_task(), a_task(unique_key="u"))
    writer.take(twice)
    writer.flush()
    first, plain, _ = twice.tasks
    assert published(twice).receipts == (
        Receipt(first.id, "queued", duplicate=False),
        Receipt(plain.id, "queued", duplicate=False),
        Receipt(first.id, "queued", duplicate=True),
    )


# --- keys -----------------------------------------------------------------------------------

ONE_PLACE = only(concurrency_per_key=1)
PLACE = KeyPlace("tasks", "k", 1)


def blocked(requester: Inbox) -> Insert:
    task = a_task(key="k", status=Status.BLOCKED)
    return an_insert(requester, task, conditions=ONE_PLACE)


def test_what_finds_a_free_place_is_claimed_in_the_commit_that_brought_it(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    first, second = blocked(inbox), blocked(inbox)
    writer.take(first, second, claim(inbox))
    writer.flush()
    assert [each.lease.task_id for each in inbox.wait_for(Claimed, 0).tasks] == [first.tasks[0].id]
    assert published(second).receipts[0].status == "queued"
    assert len(inbox.all_of(Unblocked)) == 1


@pytest.mark.parametrize("failed", [False, True])
def test_a_place_that_is_given_up_goes_to_the_next_in_the_same_commit(
    session: Session, *, failed: bool
) -> None:
    writer, inbox = Idle(session), Inbox()
    first, second = blocked(inbox), blocked(inbox)
    writer.take(first, second, claim(inbox))
    writer.flush()
    (task,) = inbox.wait_for(Claimed, 0).tasks
    inbox.wait_for(Unblocked, 0)
    over = done(task)
    if failed:
        over = over._replace(status=Status.SCHEDULED, result=None, processed_at=None)
    writer.take(Settle(inbox, over, PLACE), claim(inbox))
    writer.flush()
    assert [each.lease.task_id for each in inbox.wait_for(Claimed, 0).tasks] == [second.tasks[0].id]
    inbox.wait_for(Unblocked, 0)


# --- changes --------------------------------------------------------------------------------


def test_changes_are_answered_after_the_commit_each_with_what_came_of_it(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    waiting, plain = an_insert(inbox), an_insert(inbox)
    (task,) = claimed(writer, inbox, 1)
    writer.take(
        waiting,
        at_once := CancelTask(waiting.tasks[0].id, NOW),
        asked := CancelTask(task.lease.task_id, NOW),
        unknown := CancelTask("nobody", NOW),
        too_early := DeleteTask(task.lease.task_id),
        plain,
    )
    assert not at_once.reply_to.is_done
    before = writer.commits
    writer.flush()
    assert writer.commits == before + 1  # what could not be done was found out first
    assert at_once.reply_to.wait(0) is Status.CANCELLED
    assert asked.reply_to.wait(0) is Status.RUNNING
    with pytest.raises(NotFoundError, match="task not found"):
        unknown.reply_to.wait(0)
    with pytest.raises(ConflictError, match="the task is running"):
        too_early.reply_to.wait(0)
    assert answer(plain) is None


def test_a_change_is_not_answered_before_its_commit(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    writer.take(insert := an_insert(inbox))
    writer.flush()
    change = CancelTask(insert.tasks[0].id, NOW)
    seen: list[bool] = []
    sa.event.listen(session._engine, "commit", lambda _: seen.append(change.reply_to.is_done))
    writer.take(change)
    writer.flush()
    assert (seen, change.reply_to.is_done) == ([False], True)


def test_a_change_in_a_group_with_a_bad_row_is_made_all_the_same(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    first = an_insert(inbox)
    writer.take(first)
    writer.flush()
    bad = an_insert(inbox, first.tasks[0])
    cancel, unknown = CancelTask(first.tasks[0].id, NOW), RetryTask("nobody", NOW)
    writer.take(bad, cancel, unknown)
    writer.flush()
    refused(bad, BadRowError)
    assert cancel.reply_to.wait(0) is Status.CANCELLED
    with pytest.raises(NotFoundError):
        unknown.reply_to.wait(0)
    assert get(session, first.tasks[0].id).status is Status.CANCELLED


def test_a_running_task_that_is_to_be_cancelled_is_told_to_its_queue(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    cancelled, _ = claimed(writer, inbox, 2)
    writer.change(CancelTask(cancelled.lease.task_id, NOW))
    writer.take(Tend(inbox, "tasks", due=NOW, lapsed=NOW))
    writer.flush()
    assert inbox.wait_for(Tended, 0).cancelling == (cancelled.lease,)


def test_a_pause_holds_from_the_commit_it_is_part_of(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    pause, resume = (SetPaused(inbox, "tasks", paused, Reply()) for paused in (True, False))
    writer.take(claim(inbox), an_insert(inbox), pause)
    writer.flush()
    pause.waiter.wait(0)
    assert inbox.wait_for(Claimed, 0) == Claimed((), more=False)
    writer.take(Tend(inbox, "tasks", due=NOW, lapsed=NOW))
    writer.flush()
    assert inbox.wait_for(Tended, 0).paused
    writer.take(claim(inbox), resume)
    writer.flush()
    resume.waiter.wait(0)
    assert len(inbox.wait_for(Claimed, 0).tasks) == 1


def test_a_report_is_kept_while_its_lease_is_held(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    (task,) = claimed(writer, inbox, 1)
    late = Lease(task.lease.task_id, lease_id=6)
    writer.take(Report(inbox, Progress(task.lease, 0.5, "half")))
    writer.take(Report(inbox, Progress(late, 0.9, "late")))
    writer.flush()
    course = get(session, task.lease.task_id).course
    assert (course.progress, course.progress_message) == (0.5, "half")


def test_a_failed_attempt_is_recorded_by_whoever_holds_its_lease_and_by_nobody_else(
    session: Session,
) -> None:
    writer, inbox = Idle(session), Inbox()
    one, other = claimed(writer, inbox, 2)
    failure = Failure("no", traceback="line")
    failed = [
        Settlement(task.lease, Status.DEAD, 1, failure=failure, ended_at=NOW + 1, processed_at=1)
        for task in (one, other, one._replace(lease=Lease(one.lease.task_id, lease_id=6)))
    ]
    writer.take(*(Settle(inbox, each) for each in failed), Settle(inbox, done(other)))
    writer.flush()
    assert inbox.all_of(Settled) == [
        Settled((one.lease, other.lease), (failed[2].lease, other.lease))
    ]
    for task in (one, other):
        (attempt,) = attempts(session, task.lease.task_id)
        assert (attempt.error, attempt.traceback, attempt.ended_at) == ("no", "line", NOW + 1)


# --- the ends of tasks ----------------------------------------------------------------------


def watched(writer: Idle, *task_ids: str, seconds: float = 60) -> list[Reply[bool]]:
    watches = [Watch(task_id, writer.monotonic() + seconds) for task_id in task_ids]
    writer.take(*watches)
    return [watch.reply_to for watch in watches]


def test_whoever_watches_a_task_hears_of_its_end_after_the_commit(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    task = a_task()
    ended, again, other = watched(writer, task.id, task.id, "another")
    writer.take(an_insert(inbox, task), claim(inbox))
    writer.flush()
    (taken,) = inbox.wait_for(Claimed, 0).tasks
    assert not ended.is_done
    writer.take(Settle(inbox, done(taken)))
    assert not ended.is_done
    writer.flush()
    assert (ended.wait(0), again.wait(0)) == (True, True)
    assert not other.is_done


def test_a_task_that_runs_again_has_not_ended(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    (taken,) = claimed(writer, inbox, 1)
    (ended,) = watched(writer, taken.lease.task_id)
    failure = Failure("no")
    again = Settlement(taken.lease, Status.SCHEDULED, 1, run_at=NOW + 1, failure=failure)
    writer.take(Settle(inbox, again))
    writer.flush()
    assert not ended.is_done


def test_a_cancel_a_delete_and_a_task_of_a_queue_in_memory_are_ends(session: Session) -> None:
    writer = Idle(session)
    waiting, dead, coming = a_task(), a_task(status=Status.DEAD), a_task(status=Status.COMPLETED)
    put(session, waiting, dead)
    ends = watched(writer, waiting.id, dead.id, coming.id)
    writer.change(CancelTask(waiting.id, NOW))
    writer.change(DeleteTask(dead.id))
    writer.take(an_insert(Inbox(), coming))
    writer.flush()
    assert [end.wait(0) for end in ends] == [True, True, True]


def test_what_a_worker_says_of_a_locked_task_ends_nothing_and_is_refused(
    postgres_only: Database,
) -> None:
    session = Session(impatient(postgres_only))
    writer, inbox = Idle(session), Inbox()
    (task,) = claimed(writer, inbox, 1)
    (ended,) = watched(writer, task.lease.task_id)
    said = Said(lease=task.lease, verdict=Acked(result="1"), fingerprint="f")
    hear = Hear(inbox, (said,), None, {}, {}, 0.5, NOW, Reply())
    holder = Session(patient(postgres_only))
    with holder.transaction():
        lock_row = "SELECT 1 FROM tasks WHERE id = :id FOR UPDATE"
        holder.connection.execute(sa.text(lock_row), {"id": task.lease.task_id})
        writer.take(hear)
        writer.flush()
    with pytest.raises(LockedError):
        hear.waiter.wait(0)
    assert not ended.is_done
    for each in (holder, session):
        each.close()


def test_a_watch_makes_no_commit_and_outlives_one_that_fails(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    (ended,) = watched(writer, "somebody")
    writer.flush()
    assert writer.commits == 0
    writer.actor.give_up(UnavailableError("gone"))
    Watch("somebody", NOW).abandon(UnavailableError("gone"))
    assert not ended.is_done
    assert inbox.messages == []


def test_watches_that_nobody_waits_for_are_forgotten(session: Session) -> None:
    writer = Idle(session)
    answered, *_ = watched(writer, *(f"short {number}" for number in range(FIRST_FULL // 2)))
    for number in range(FIRST_FULL // 2 - 2):
        (reply,) = watched(writer, f"answered {number}")
        reply.answer(False)  # noqa: FBT003 - the reply's value
    assert len(writer.actor._watches._by_task) == FIRST_FULL - 2
    writer.monotonic.advance(61)
    stays, also = watched(writer, "stays", "stays")
    assert list(writer.actor._watches._by_task) == ["stays"]
    task = a_task(id="stays", status=Status.DEAD)
    writer.take(an_insert(Inbox(), task))
    writer.flush()
    assert (stays.wait(0), also.wait(0)) == (True, True)
    assert not answered.is_done


# --- schedules and housekeeping -------------------------------------------------------------

NIGHTLY = Schedule(
    name="nightly",
    recurrence=Recurrence("0 3 * * *", "UTC"),
    missed=Missed.SKIP,
    task='{"action":"sum"}',
    next_at=NOW,
    created_at=int(NOW),
)


def test_an_occurrence_is_published_once_by_whoever_is_first(session: Session) -> None:
    writer, ours, theirs = Idle(session), Inbox(), Inbox()
    writer.change(PutSchedule(NIGHTLY))
    tasks = [a_task(occurrence="nightly@1") for _ in range(2)]
    fires = [
        Fire(node, "nightly", NOW, NOW + DAY, NOW, task)
        for node, task in zip((ours, theirs), tasks, strict=True)
    ]
    writer.take(*fires)
    writer.flush()
    assert ours.all_of(Fired) == [Fired(fires[0], is_new=True)]
    assert theirs.messages == []
    assert [find(session, task.id) is None for task in tasks] == [False, True]
    writer.take(LoadSchedules(ours, NOW + DAY - 1), LoadSchedules(ours, NOW + DAY))
    writer.flush()
    before, then = ours.all_of(SchedulesLoaded)
    assert before.schedules == ()
    assert then.schedules == (replace(NIGHTLY, next_at=NOW + DAY, last_at=NOW),)


def test_a_step_of_housekeeping_says_what_it_did(session: Session) -> None:
    writer, inbox = Idle(session), Inbox()
    old = an_insert(inbox, a_task(status=Status.COMPLETED, processed_at=int(NOW - DAY)))
    expired = an_insert(inbox, a_task(expires_at=NOW))
    writer.take(old, expired)
    writer.flush()
    retention = dict.fromkeys((Status.COMPLETED, Status.DEAD, Status.CANCELLED), 3_600)
    writer.take(Prune(inbox, NOW, retention, None, sweep=False, audit_seconds=AUDIT_SECONDS))
    writer.flush()
    assert inbox.wait_for(Pruned, 0) == Pruned(1, None)
    assert get(session, expired.tasks[0].id).status is Status.DEAD
    assert find(session, old.tasks[0].id) is not None
    writer.take(Prune(inbox, NOW, retention, None, sweep=True, audit_seconds=AUDIT_SECONDS))
    writer.flush()
    assert inbox.wait_for(Pruned, 0).swept_to is None


# --- the disk -------------------------------------------------------------------------------


class Disk:
    """A disk with so much room; counts how often it is looked at."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.free


def test_a_full_disk_refuses_what_is_new_and_keeps_what_was_accepted(session: Session) -> None:
    disk, inbox = Disk(free=99), Inbox()
    writer = Idle(session, floor=DiskFloor(disk, min_bytes=100))
    finished = an_insert(inbox, a_task(status=Status.COMPLETED, result="1"))
    new = an_insert(inbox, deadline=NOW + 5)
    writer.take(new, finished)
    writer.flush()
    refused(new, UnavailableError)
    assert [failure.write for failure in inbox.all_of(WriteFailed)] == [new]
    assert answer(finished) is None


def test_a_disk_is_looked_at_once_a_second_and_taken_for_what_it_is_then(session: Session) -> None:
    disk, inbox = Disk(free=99), Inbox()
    writer = Idle(session, floor=DiskFloor(disk, min_bytes=100))
    taken = []
    for free, seconds in ((99, 0.0), (100, 0.9), (100, 0.1), (99, 0.5), (99, -3_600.0)):
        disk.free = free
        writer.clock.advance(seconds)
        writer.take(insert := an_insert(inbox, deadline=NOW + 5))
        writer.flush()
        try:
            answer(insert)
        except UnavailableError:
            taken.append(False)
        else:
            taken.append(True)
    # Refused; not looked at yet; room again; not looked at yet; the clock went back by an hour.
    assert taken == [False, False, True, True, False]
    assert disk.looks == 3


def test_a_directory_that_is_gone_does_not_crash_the_writer(session: Session) -> None:
    def gone() -> int:
        raise FileNotFoundError

    inbox = Inbox()
    writer = Idle(session, floor=DiskFloor(gone, min_bytes=100))
    writer.take(insert := an_insert(inbox, deadline=NOW + 5))
    writer.flush()
    assert answer(insert) is None


def test_a_late_publish_on_a_full_disk_is_told_that_it_is_late(session: Session) -> None:
    inbox = Inbox()
    writer = Idle(session, floor=DiskFloor(Disk(free=0), min_bytes=1))
    writer.take(late := an_insert(inbox, deadline=NOW - 1))
    writer.flush()
    refused(late, AnswerTimeoutError)


# --- live -----------------------------------------------------------------------------------


@contextmanager
def live(database: Database, watcher: Inbox | None = None) -> Iterator[Address]:
    ref = DatabaseWriter.start(
        Life(Address("writer"), watcher or Inbox()),
        session=Session(patient(database)),
        max_batch=100,
        now=ManualClock(),
        monotonic=ManualClock(),
    )
    with running(ref, "writer") as address:
        yield address


def test_a_running_writer_writes_what_it_is_told(database: Database) -> None:
    inbox = Inbox()
    with live(database) as writer:
        inserts = [an_insert(inbox) for _ in range(300)]
        for insert in inserts:
            writer.tell(insert)
        for insert in inserts:
            answer(insert)
    assert stored_ids(inbox) == [insert.tasks[0].id for insert in inserts]
    assert all(kept(database, *(insert.tasks[0] for insert in inserts)))


def test_an_insert_that_cannot_be_committed_yet_is_not_answered_yet(database: Database) -> None:
    inbox = Inbox()
    with live(database) as writer:
        with held(database):
            writer.tell(insert := an_insert(inbox))
            assert unanswered(insert)
        answer(insert)


def test_a_crash_answers_everyone_in_the_buffer_and_in_the_inbox(database: Database) -> None:
    inbox, watcher = Inbox(), Inbox()
    with live(database, watcher) as writer:
        with held(database):  # the writer cannot go on until all of these wait
            writer.tell(committed := an_insert(inbox))
            writer.tell(taken := an_insert(inbox))
            writer.tell(Command())  # not part of its protocol
            writer.tell(waiting := an_insert(inbox))
        for insert in (taken, waiting):
            refused(insert, ActorUnavailableError)
        watcher.wait_for(Died)
        assert not unanswered(committed)
        writer.tell(late := an_insert(inbox))
        refused(late, ActorUnavailableError)
    failed = [failure.write for failure in inbox.all_of(WriteFailed)]
    assert all(insert in failed for insert in (taken, waiting, late))
    assert kept(database, taken.tasks[0], waiting.tasks[0], late.tasks[0]) == [False] * 3


def test_a_crash_in_a_commit_answers_everyone_in_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> Notices:
        raise ZeroDivisionError

    monkeypatch.setattr("task_queue.actors.writer.Commit.run", crash)
    inbox, watcher = Inbox(), Inbox()
    with live(database, watcher) as writer:
        writer.tell(insert := an_insert(inbox))
        refused(insert, ActorUnavailableError)
        assert inbox.wait_for(WriteFailed).write == insert
        watcher.wait_for(Died)


def test_a_stopped_writer_answers_whoever_comes_late(database: Database) -> None:
    inbox = Inbox()
    with live(database) as writer:
        writer.tell(insert := an_insert(inbox))
        answer(insert)
    writer.tell(late := an_insert(inbox))
    refused(late, ActorUnavailableError)


def receipts(insert: Insert) -> tuple[Receipt, ...]:
    answered = answer(insert)
    assert answered is not None
    return answered.receipts


def test_of_many_publishers_on_two_nodes_one_gets_the_unique_key_and_the_others_are_told(
    database: Database,
) -> None:
    inbox = Inbox()
    inserts = [an_insert(inbox, a_task(unique_key="u")) for _ in range(100)]
    with live(database) as one, live(database) as two:
        for number, insert in enumerate(inserts):
            (one, two)[number % 2].tell(insert)
        seen = [receipts(insert)[0] for insert in inserts]
    (first,) = {receipt.task_id for receipt in seen}
    assert [receipt.task_id for receipt in seen if not receipt.duplicate] == [first]
    assert kept(database, *(insert.tasks[0] for insert in inserts)).count(True) == 1


def test_two_nodes_that_take_unique_keys_in_opposite_orders_hold_up_nobody(
    database: Database,
) -> None:
    inbox = Inbox()
    keys = [f"key-{number:03}" for number in range(100)]
    up, down = (
        [an_insert(inbox, a_task(unique_key=key)) for key in order] for order in (keys, keys[::-1])
    )
    with live(database) as one, live(database) as two:
        for mine, theirs in zip(up, down, strict=True):
            one.tell(mine)
            two.tell(theirs)
        seen = [receipts(insert)[0] for insert in (*up, *down)]
    assert len({receipt.task_id for receipt in seen}) == len(keys)
    assert [receipt.duplicate for receipt in seen].count(False) == len(keys)


def test_rows_keep_their_state(database: Database) -> None:
    """A finished task of the memory driver is inserted as what it is."""
    inbox, task = Inbox(), a_task(status=Status.COMPLETED, result="1", processed_at=1)
    with live(database) as writer:
        writer.tell(insert := an_insert(inbox, task))
        answer(insert)
    session = Session(database, read_only=True)
    assert get(session, task.id) == task
    session.close()


@pytest.mark.parametrize(
    ("publishes", "results", "seconds"),
    [
        (0, 0, None),
        (1, 0, None),
        (0, 1, None),
        (0, MANY_SETTLED - 1, None),
        (0, MANY_SETTLED, SETTLE_PAUSE_SECONDS),
        (1, MANY_SETTLED, None),  # the next publish shall not wait for results
        (2, 0, 0.0),
        (2, MANY_SETTLED, 0.0),
    ],
)
def test_only_after_a_commit_of_many_does_the_next_one_wait_for_others(
    publishes: int, results: int, seconds: float | None
) -> None:
    notices = Notices(inserts=[Insert(Inbox(), (a_task(),))] * publishes)
    notices.settled[Inbox()] = [(Lease("one", 5), True)] * results
    assert pause_after(notices) == seconds
