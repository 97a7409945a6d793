"""Listings: answered from what is committed, refused to the asker, and in nobody's way."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from actors.actor import UnexpectedMessageError
from actors.address import Address
from actors.errors import QueryFailedError, StoreUnavailableError
from actors.messages import Command, CountTasks, GetTask, Insert, ListTasks, OldestReady
from actors.reader import DatabaseReader
from actors.reply import Reply
from actors.store.connect import Database
from actors.store.migrate import migrate
from actors.store.store import Store
from actors.task import Status
from actors.writer import DatabaseWriter
from tests.databases import fill
from tests.fakes import DEADLINE_SECONDS, NOW, Inbox, ManualClock, a_task, life, running

MILLION = 1_000_000
PROOF = 10
"""So many publishes answered during one listing: were they served in turn, one could be."""


@contextmanager
def live(database: Database) -> Iterator[Address]:
    ref = DatabaseReader.start(life("reader"), store=Store(database, read_only=True))
    with running(ref, "reader") as address:
        yield address


@contextmanager
def live_writer(database: Database) -> Iterator[Address]:
    ref = DatabaseWriter.start(
        life("writer"), store=Store(database), max_batch=100, now=ManualClock()
    )
    with running(ref, "writer") as address:
        yield address


def write(writer: Address) -> str:
    """The id of a task that is committed."""
    insert = Insert(Inbox(), a_task(), waiter=Reply())
    writer.tell(insert)
    assert insert.waiter is not None
    insert.waiter.wait(DEADLINE_SECONDS)
    return insert.task.id


def test_each_question_gets_its_answer(store: Store, database: Database) -> None:
    waiting, dead = a_task(run_at=NOW - 1), a_task(status=Status.DEAD)
    with store.transaction():
        store.insert([waiting, dead, a_task()])
    reader = DatabaseReader(life("reader"), store=Store(database, read_only=True))
    list_dead, get = ListTasks(limit=5, status=Status.DEAD), GetTask(waiting.id)
    page, none, counts = ListTasks(limit=2), GetTask("nobody"), CountTasks()
    oldest, no_oldest = OldestReady("tasks"), OldestReady("other")
    for question in (list_dead, get, page, none, counts, oldest, no_oldest):
        reader.receive(question)
    assert list_dead.reply_to.wait(0) == ([dead], None)
    assert get.reply_to.wait(0) == waiting
    assert page.reply_to.wait(0)[1] is not None
    assert none.reply_to.wait(0) is None
    assert counts.reply_to.wait(0)[Status.QUEUED] == 2
    assert oldest.reply_to.wait(0) == NOW - 1
    assert no_oldest.reply_to.wait(0) is None
    reader.on_stop()


def test_what_is_no_question_is_a_defect(database: Database) -> None:
    reader = DatabaseReader(life("reader"), store=Store(database, read_only=True))
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


def test_a_listing_under_way_delays_no_commit(database: Database, store: Store) -> None:
    fill(database, Status.COMPLETED, 10)
    reading = Store(database, read_only=True)
    with live_writer(database) as writer, reading.transaction():
        assert len(reading.list_tasks(limit=5)[0]) == 5
        task_id = write(writer)
        assert reading.list_tasks(limit=5)
    reading.close()
    with store.transaction():
        assert store.get(task_id) is not None


def test_listings_over_a_million_rows_delay_no_commit(database: Database) -> None:
    fill(database, Status.COMPLETED, MILLION)
    written: list[str] = []
    meanwhile: list[int] = []
    done = threading.Event()

    def read(reader: Address) -> None:
        try:
            while not done.is_set():
                before = len(written)
                counts = reader.ask(CountTasks(), DEADLINE_SECONDS)
                assert counts[Status.COMPLETED] == MILLION
                page, _ = reader.ask(
                    ListTasks(limit=1_000, status=Status.COMPLETED), DEADLINE_SECONDS
                )
                assert len(page) == 1_000
                meanwhile.append(len(written) - before)
                if max(meanwhile) >= PROOF:
                    done.set()
        finally:
            done.set()

    with live(database) as reader, live_writer(database) as writer:
        listing = threading.Thread(target=read, args=(reader,))
        listing.start()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not done.is_set() and time.monotonic() < deadline:
            written.append(write(writer))
        done.set()
        listing.join(DEADLINE_SECONDS)
    assert max(meanwhile, default=0) >= PROOF
