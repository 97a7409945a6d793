"""Group commit: one transaction for all that waits, answers after it, and one failure alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from actors.actor import Life
from actors.address import Address
from actors.errors import (
    ActorUnavailableError,
    AnswerTimeoutError,
    BadRowError,
    StoreUnavailableError,
)
from actors.messages import (
    Claim,
    Claimed,
    Command,
    Died,
    Insert,
    Message,
    Renew,
    Renewed,
    Settle,
    Settled,
    Stored,
    Tend,
    Tended,
    WriteFailed,
)
from actors.reply import Reply
from actors.store.connect import Database
from actors.store.store import Store
from actors.task import ClaimedTask, Lease, Status, Task, ack
from actors.writer import DatabaseWriter
from tests.databases import execute, held, impatient, refuse
from tests.fakes import DEADLINE_SECONDS, NOW, Inbox, ManualClock, a_task, life, running


class Idle:
    """A writer that was never started: the test hands it its messages."""

    def __init__(self, store: Store, *, max_batch: int = 100) -> None:
        self.commits = 0
        self.clock = ManualClock()
        self.actor = DatabaseWriter(
            life("writer"), store=store, max_batch=max_batch, now=self.clock
        )
        sa.event.listen(store._engine, "commit", self._count)

    def take(self, *messages: Message) -> None:
        for message in messages:
            self.actor.receive(message)

    def flush(self) -> None:
        """Handle what the writer told itself."""
        while not self.actor.actor_inbox.empty():
            self.actor.receive(self.actor.actor_inbox.get().message)

    def _count(self, _connection: sa.Connection) -> None:
        self.commits += 1


def an_insert(requester: Inbox, task: Task | None = None, deadline: float | None = None) -> Insert:
    return Insert(requester, task or a_task(), deadline, Reply())


def answered(insert: Insert) -> None:
    assert insert.waiter is not None
    insert.waiter.wait(DEADLINE_SECONDS)


def refused(insert: Insert, error: type[Exception]) -> None:
    with pytest.raises(error):
        answered(insert)


def unanswered(insert: Insert) -> bool:
    assert insert.waiter is not None
    return not insert.waiter._done


def claim(requester: Inbox, limit: int = 10) -> Claim:
    return Claim(
        requester, "tasks", limit=limit, free=10, lease_id=7, now=NOW, leased_until=NOW + 60
    )


def claimed(writer: Idle, inbox: Inbox, count: int) -> tuple[ClaimedTask, ...]:
    writer.take(*(an_insert(inbox) for _ in range(count)), claim(inbox))
    writer.flush()
    return inbox.wait_for(Claimed, 0).tasks


def stored_ids(inbox: Inbox) -> list[str]:
    return [task_id for stored in inbox.all_of(Stored) for task_id in stored.task_ids]


def kept(database: Database, *tasks: Task) -> list[bool]:
    """Which of the tasks are rows, seen by another connection."""
    other = Store(database, read_only=True)
    with other.transaction():
        found = [other.get(task.id) is not None for task in tasks]
    other.close()
    return found


# --- never started --------------------------------------------------------------------------


def test_all_that_waited_shares_one_commit_and_is_told_once(store: Store) -> None:
    writer, ours, theirs = Idle(store), Inbox(), Inbox()
    inserts = [an_insert(ours), an_insert(theirs), an_insert(ours)]
    writer.take(*inserts)
    assert writer.commits == 0
    assert all(map(unanswered, inserts))
    writer.flush()
    assert writer.commits == 1
    for insert in inserts:
        answered(insert)
    assert ours.messages == [Stored((inserts[0].task.id, inserts[2].task.id))]
    assert theirs.messages == [Stored((inserts[1].task.id,))]


def test_a_lone_write_is_committed_at_once(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    for commits in (1, 2):
        insert = an_insert(inbox)
        writer.take(insert)
        writer.flush()
        answered(insert)
        assert writer.commits == commits


def test_a_commit_holds_no_more_than_the_cap(store: Store) -> None:
    writer, inbox = Idle(store, max_batch=3), Inbox()
    inserts = [an_insert(inbox) for _ in range(7)]
    writer.take(*inserts)
    assert [unanswered(insert) for insert in inserts] == [False] * 6 + [True]
    writer.flush()
    assert [len(stored.task_ids) for stored in inbox.all_of(Stored)] == [3, 3, 1]
    assert writer.commits == 3


def test_nobody_is_answered_before_the_commit(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    insert = an_insert(inbox)
    seen: list[tuple[bool, list[Command]]] = []
    sa.event.listen(
        store._engine, "commit", lambda _: seen.append((unanswered(insert), inbox.messages[:]))
    )
    writer.take(insert)
    writer.flush()
    assert seen == [(True, [])]
    answered(insert)


def test_each_write_sees_what_the_same_commit_wrote_before_it(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    done, lost = claimed(writer, inbox, 2)
    writer.take(
        claim(inbox, limit=1),
        Tend(inbox, "tasks", due=NOW, lapsed=NOW + 60),
        Renew(inbox, (done.lease, lost.lease), NOW + 90),
        Settle(inbox, ack(done, "1", NOW)),
        insert := an_insert(inbox),
    )
    before = writer.commits
    writer.flush()
    assert writer.commits == before + 1
    (fresh,) = inbox.wait_for(Claimed, 0).tasks
    assert fresh.lease.task_id == insert.task.id
    assert inbox.wait_for(Settled, 0) == Settled((done.lease,), ())
    assert inbox.wait_for(Renewed, 0) == Renewed((done.lease,))
    assert inbox.wait_for(Tended, 0) == Tended(0, ())  # the renewed one does not lapse


def test_one_bad_row_fails_alone_in_a_group_commit(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    first, last = an_insert(inbox), an_insert(inbox)
    bad = an_insert(inbox, first.task)
    (done,) = claimed(writer, inbox, 1)
    inbox.messages.clear()
    writer.take(first, bad, Settle(inbox, ack(done, "1", NOW)), last)
    writer.flush()
    answered(first)
    answered(last)
    refused(bad, BadRowError)
    (failure,) = inbox.all_of(WriteFailed)
    assert failure.write is bad
    assert isinstance(failure.error, BadRowError)
    assert stored_ids(inbox) == [first.task.id, last.task.id]
    assert inbox.all_of(Settled) == [Settled((done.lease,), ())]


def test_one_lost_lease_is_refused_alone_in_a_group_commit(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    first, second = claimed(writer, inbox, 2)
    late = replace(first, lease=Lease(first.lease.task_id, lease_id=6))
    writer.take(*(Settle(inbox, ack(task, "1", NOW)) for task in (late, first, second)))
    writer.flush()
    assert inbox.all_of(Settled) == [Settled((first.lease, second.lease), (late.lease,))]
    assert inbox.all_of(WriteFailed) == []


def test_a_result_that_the_database_refuses_fails_alone(database: Database, store: Store) -> None:
    refuse(database, "result", "bad")
    writer, inbox = Idle(store), Inbox()
    good, bad = claimed(writer, inbox, 2)
    settle = Settle(inbox, ack(bad, "bad", NOW))
    writer.take(Settle(inbox, ack(good, "1", NOW)), settle)
    writer.flush()
    assert inbox.wait_for(Settled, 0) == Settled((good.lease,), ())
    assert inbox.wait_for(WriteFailed, 0).write == settle


def test_a_publish_nobody_waits_for_any_more_is_dropped_and_answered(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    late = an_insert(inbox, deadline=NOW + 1)
    in_time = an_insert(inbox, deadline=NOW + 2)
    writer.take(late, in_time)
    writer.clock.advance(2)
    writer.flush()
    refused(late, AnswerTimeoutError)
    answered(in_time)
    assert [failure.write for failure in inbox.all_of(WriteFailed)] == [late]
    assert stored_ids(inbox) == [in_time.task.id]


def test_a_batch_of_dropped_publishes_makes_no_commit(store: Store) -> None:
    writer, inbox = Idle(store), Inbox()
    writer.take(late := an_insert(inbox, deadline=NOW - 1))
    writer.flush()
    refused(late, AnswerTimeoutError)
    writer.take(next_one := an_insert(inbox))
    writer.flush()
    answered(next_one)
    assert writer.commits == 1


def test_an_unavailable_database_answers_the_whole_batch_and_then_works_again(
    database: Database,
) -> None:
    store, inbox = Store(impatient(database)), Inbox()
    writer = Idle(store)
    batch = [an_insert(inbox), an_insert(inbox)]
    question = claim(inbox)
    with held(database):
        writer.take(*batch, question)
        writer.flush()
    for insert in batch:
        refused(insert, StoreUnavailableError)
    assert [failure.write for failure in inbox.all_of(WriteFailed)] == [*batch, question]
    assert kept(database, *(insert.task for insert in batch)) == [False, False]
    writer.take(again := an_insert(inbox))
    writer.flush()
    answered(again)
    assert kept(database, again.task) == [True]
    store.close()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_neighbours_fault_that_comes_twice_is_no_bad_row(
    database: Database, store: Store
) -> None:
    execute(
        database,
        "CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'deadlock detected' USING ERRCODE = '40P01'; END $$",
        "CREATE TRIGGER deadlock BEFORE UPDATE ON tasks FOR EACH STATEMENT"
        " EXECUTE FUNCTION deadlock()",
    )
    writer, inbox = Idle(store), Inbox()
    writer.take(insert := an_insert(inbox), question := claim(inbox))
    writer.flush()
    refused(insert, StoreUnavailableError)
    failures = inbox.all_of(WriteFailed)
    assert [failure.write for failure in failures] == [insert, question]
    assert all(isinstance(failure.error, StoreUnavailableError) for failure in failures)


# --- live -----------------------------------------------------------------------------------


@contextmanager
def live(database: Database, watcher: Inbox | None = None) -> Iterator[Address]:
    ref = DatabaseWriter.start(
        Life(Address("writer"), watcher or Inbox()),
        store=Store(database),
        max_batch=100,
        now=ManualClock(),
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
            answered(insert)
    assert stored_ids(inbox) == [insert.task.id for insert in inserts]
    assert all(kept(database, *(insert.task for insert in inserts)))


def test_an_insert_that_cannot_be_committed_yet_is_not_answered_yet(database: Database) -> None:
    inbox = Inbox()
    with live(database) as writer:
        with held(database):
            writer.tell(insert := an_insert(inbox))
            assert unanswered(insert)
        answered(insert)


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
    assert kept(database, taken.task, waiting.task, late.task) == [False] * 3


def test_a_stopped_writer_answers_whoever_comes_late(database: Database) -> None:
    inbox = Inbox()
    with live(database) as writer:
        writer.tell(insert := an_insert(inbox))
        answered(insert)
    writer.tell(late := an_insert(inbox))
    refused(late, ActorUnavailableError)


def test_rows_keep_their_state(database: Database) -> None:
    """A finished task of the memory driver is inserted as what it is."""
    inbox, task = Inbox(), a_task(status=Status.COMPLETED, result="1", processed_at=1)
    with live(database) as writer:
        writer.tell(insert := an_insert(inbox, task))
        answered(insert)
    store = Store(database, read_only=True)
    with store.transaction():
        assert store.get(task.id) == task
    store.close()
