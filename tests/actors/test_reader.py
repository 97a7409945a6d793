"""Listings: answered from what is committed, refused to the asker, and in nobody's way."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from task_queue.actors.errors import QueryFailedError, StoreUnavailableError
from task_queue.actors.messages.base import Command
from task_queue.actors.messages.reader import (
    CountTasks,
    FindDead,
    FindEnded,
    GetTask,
    ListPaused,
    ListSchedules,
    ListTasks,
    OldestReady,
)
from task_queue.actors.messages.reply import Reply
from task_queue.actors.messages.writer import Insert
from task_queue.actors.reader import DatabaseReader
from task_queue.actors.runtime.actor import UnexpectedMessageError
from task_queue.actors.runtime.address import Address
from task_queue.actors.store import listing, queues, schedules
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.filters import Filters, LeftOut
from task_queue.actors.tasks.recurrence import Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.settlement import Failure, Settlement, ack
from task_queue.actors.tasks.states import Outcome, Status
from task_queue.actors.tasks.task import Attempt
from task_queue.actors.writer import DatabaseWriter
from tests.actors.store.calls import call, claim, find, put, settle
from tests.databases import fill, patient
from tests.fakes import DEADLINE_SECONDS, NOW, Inbox, ManualClock, a_task, life, running

MILLION = 1_000_000
PROOF = 10
"""So many publishes are answered while one listing is under way."""


@contextmanager
def live(database: Database) -> Iterator[Address]:
    ref = DatabaseReader.start(life("reader"), session=Session(database, read_only=True))
    with running(ref, "reader") as address:
        yield address


@contextmanager
def live_writer(database: Database) -> Iterator[Address]:
    ref = DatabaseWriter.start(
        life("writer"),
        session=Session(patient(database)),
        max_batch=100,
        now=ManualClock(),
        monotonic=ManualClock(),
    )
    with running(ref, "writer") as address:
        yield address


def write(writer: Address) -> str:
    """The id of a task that is committed."""
    insert = Insert(Inbox(), (a_task(),), waiter=Reply())
    writer.tell(insert)
    assert insert.waiter is not None
    insert.waiter.wait(DEADLINE_SECONDS)
    return insert.tasks[0].id


NIGHTLY = Schedule(
    name="nightly",
    recurrence=Recurrence("0 3 * * *", "Europe/Berlin"),
    missed=Missed.ONCE,
    task='{"action":"sum"}',
    next_at=NOW + 60,
    created_at=int(NOW),
    last_at=NOW,
)


def test_each_question_gets_its_answer(session: Session, database: Database) -> None:
    waiting, dead = a_task(run_at=NOW - 1), a_task(status=Status.DEAD, error="no such host")
    put(session, waiting, dead, a_task(queue="other"))
    call(session, lambda connection: queues.set_paused(connection, "mail", paused=True))
    call(session, lambda connection: schedules.put(connection, NIGHTLY))
    reader = DatabaseReader(life("reader"), session=Session(database, read_only=True))
    filters = Filters(statuses=(Status.DEAD,))
    list_dead, page = ListTasks(limit=5, filters=filters), ListTasks(limit=2)
    get, none, counts = GetTask(waiting.id), GetTask("nobody"), CountTasks()
    oldest, no_oldest = OldestReady("tasks"), OldestReady("mail")
    found = FindDead(Filters(error_contains="such"), limit=5)
    not_found = FindDead(Filters(error_contains="host "), limit=5)
    paused, scheduled = ListPaused(), ListSchedules()
    ended = FindEnded((waiting.id, "nobody", dead.id))
    for question in (
        *(list_dead, page, get, none, counts, oldest, no_oldest),
        *(found, not_found, paused, scheduled, ended),
    ):
        reader.receive(question)
    assert list_dead.reply_to.wait(0) == ([dead], None)
    assert get.reply_to.wait(0) == (waiting, [])
    assert page.reply_to.wait(0)[1] is not None
    assert none.reply_to.wait(0) is None
    counted = counts.reply_to.wait(0)
    assert counted["tasks"] == dict.fromkeys(Status, 0) | {Status.QUEUED: 1, Status.DEAD: 1}
    assert counted["other"][Status.QUEUED] == 1
    assert oldest.reply_to.wait(0) == NOW - 1
    assert no_oldest.reply_to.wait(0) is None
    assert found.reply_to.wait(0) == ([dead.id], LeftOut())
    assert not_found.reply_to.wait(0) == ([], LeftOut())
    assert paused.reply_to.wait(0) == {"mail"}
    assert scheduled.reply_to.wait(0) == [NIGHTLY]
    assert ended.reply_to.wait(0) == {"nobody": False, dead.id: True}
    reader.on_stop()


def test_a_task_is_shown_with_its_attempts_the_last_of_which_may_still_run(
    session: Session, database: Database
) -> None:
    def attempts() -> list[Attempt]:
        with live(database) as reader:
            answer = reader.ask(GetTask(task_id), DEADLINE_SECONDS)
        assert answer is not None
        return answer[1]

    (task_id,) = put(session, a_task())
    (claimed,), _ = claim(session)
    running = Attempt(number=1, started_at=NOW, ended_at=None, worker="worker", outcome=None)
    assert attempts() == [running]
    failure = Failure("no", traceback="line")
    settle(session, Settlement(claimed.lease, Status.QUEUED, 1, ended_at=NOW + 1, failure=failure))
    failed = Attempt(
        number=1,
        started_at=NOW,
        ended_at=NOW + 1,
        worker="worker",
        outcome=Outcome.FAILED,
        error="no",
        traceback="line",
    )
    assert attempts() == [failed]
    (claimed,), _ = claim(session)
    settle(session, ack(claimed, "1", NOW + 2, NOW + 3))
    completed = Attempt(
        number=2,
        started_at=NOW + 2,
        ended_at=NOW + 3,
        worker="worker",
        outcome=Outcome.COMPLETED,
    )
    assert attempts() == [failed, completed]


@pytest.mark.parametrize("later", [0.0, -3_600.0])
def test_an_attempt_is_shown_though_it_began_before_the_one_before_it_ended(
    session: Session, database: Database, later: float
) -> None:
    """As it seems where a clock was set back, or that of another node is."""
    (task_id,) = put(session, a_task())
    (claimed,), _ = claim(session)
    failure = Failure("no")
    settle(session, Settlement(claimed.lease, Status.QUEUED, 1, ended_at=NOW, failure=failure))
    (claimed,), _ = claim(session, now=NOW + later)
    settle(session, ack(claimed, "1", NOW + later, NOW + later + 1))
    with live(database) as reader:
        answer = reader.ask(GetTask(task_id), DEADLINE_SECONDS)
    assert answer is not None
    assert [attempt.outcome for attempt in answer[1]] == [Outcome.FAILED, Outcome.COMPLETED]


def test_what_is_no_question_is_a_defect(database: Database) -> None:
    reader = DatabaseReader(life("reader"), session=Session(database, read_only=True))
    with pytest.raises(UnexpectedMessageError):
        reader.receive(Command())
    reader.on_stop()


def test_a_failed_query_is_its_answer_and_the_reader_lives_on(empty_database: Database) -> None:
    with live(empty_database) as reader:
        with pytest.raises(QueryFailedError):
            reader.ask(ListTasks(limit=1), DEADLINE_SECONDS)
        migrate(empty_database)
        assert reader.ask(ListTasks(limit=1), DEADLINE_SECONDS) == ([], None)


def test_a_database_that_is_gone_is_the_answer_and_the_reader_lives_on(
    empty_database: Database,
) -> None:
    nowhere = Database(f"{empty_database.url}/not/there", connect_timeout_seconds=2)
    with live(nowhere) as reader:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError):
                reader.ask(CountTasks(), DEADLINE_SECONDS)


def test_a_listing_under_way_delays_no_commit(database: Database, session: Session) -> None:
    fill(database, Status.COMPLETED, 10)
    reading = Session(patient(database), read_only=True)
    with live_writer(database) as writer, reading.transaction():
        assert len(listing.page(reading.connection, Filters(), limit=5)[0]) == 5
        task_id = write(writer)
        assert listing.page(reading.connection, Filters(), limit=5)
    reading.close()
    assert find(session, task_id) is not None


def test_listings_over_a_million_rows_delay_no_commit(database: Database) -> None:
    fill(database, Status.COMPLETED, MILLION)
    half_way, go_on = threading.Event(), threading.Event()
    go_on.set()

    def wait_half_way(*_: object) -> None:
        half_way.set()
        go_on.wait(DEADLINE_SECONDS)

    session = Session(patient(database), read_only=True)
    sa.event.listen(session._engine, "after_cursor_execute", wait_half_way)
    ref = DatabaseReader.start(life("reader"), session=session)
    completed = Filters(statuses=(Status.COMPLETED,))
    counting, page = CountTasks(), ListTasks(limit=1_000, filters=completed)
    with running(ref, "reader") as reader, live_writer(database) as writer:
        reader.ask(ListPaused(), DEADLINE_SECONDS)  # it has started
        for question in (counting, page):
            go_on.clear()
            half_way.clear()
            reader.tell(question)  # type: ignore[arg-type] # its answer is looked at later
            assert half_way.wait(DEADLINE_SECONDS)
            for _ in range(PROOF):
                write(writer)
            assert not question.reply_to.is_done
            go_on.set()
        counted = counting.reply_to.wait(DEADLINE_SECONDS)
        assert counted["tasks"][Status.COMPLETED] == MILLION
        assert len(page.reply_to.wait(DEADLINE_SECONDS)[0]) == 1_000
