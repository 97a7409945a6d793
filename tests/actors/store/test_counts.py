"""The counts that are kept equal the rows, whatever is done to them and in whichever way."""

import random
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from task_queue.actors.store import counts
from task_queue.actors.store.database import Database
from task_queue.actors.store.insert import insert
from task_queue.actors.store.schema import counts as kept
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.states import FINAL, Status
from tests.actors.store.calls import call, put
from tests.databases import fill
from tests.fakes import NOW, a_task

QUEUES = ("tasks", "mail", "reports")
STEPS = 60
ROWS = 300

Counts = dict[str, dict[Status, int]]
Unfinished = dict[str, tuple[int, int]]


@pytest.fixture
def second_session(database: Database) -> Iterator[Session]:
    """Another connection, as of another node."""
    second = Session(database)
    yield second
    second.close()


def unfinished(session: Session, queue: str) -> tuple[int, int]:
    return call(session, lambda connection: counts.unfinished(connection, queue))


def oldest_ready(session: Session) -> float | None:
    return call(session, lambda connection: counts.oldest_ready(connection, "tasks"))


def counted(session: Session) -> tuple[Counts, Unfinished]:
    """What is kept, of queues that have a task."""
    by_queue = call(session, counts.by_state)
    there = {queue: numbers for queue, numbers in by_queue.items() if any(numbers.values())}
    return there, {queue: unfinished(session, queue) for queue in QUEUES}


def found(session: Session) -> tuple[Counts, Unfinished]:
    """The same, from the rows."""
    columns = sa.select(tasks.c.queue, tasks.c.status, tasks.c.data)
    counts: Counts = {}
    sizes: Unfinished = dict.fromkeys(QUEUES, (0, 0))
    for queue, status, data in call(session, lambda connection: connection.execute(columns).all()):
        counts.setdefault(queue, dict.fromkeys(Status, 0))[Status(status)] += 1
        if status not in FINAL:
            number, size = sizes[queue]
            sizes[queue] = number + 1, size + len(data.encode())
    return counts, sizes


def columns_of(status: Status) -> dict[str, object]:
    return {
        "status": status.value,
        "processed_at": int(NOW) if status in FINAL else None,
        "error_group": "" if status is Status.DEAD else None,
    }


def say(session: Session, *statements: sa.Executable) -> None:
    with session.transaction():
        for statement in statements:
            session.connection.execute(statement)


def publish(session: Session, chance: random.Random) -> None:
    put(
        session,
        *(
            a_task(
                queue=chance.choice(QUEUES),
                status=chance.choice(list(Status)),
                data=f'"{chance.choice("aß€😀") * chance.randrange(20)}"',
            )
            for _ in range(chance.randrange(1, 20))
        ),
    )


def settle_many(session: Session, chance: random.Random) -> None:
    """One statement said for many tasks, as settlements are."""
    update = (
        sa.update(tasks)
        .where(tasks.c.seq == sa.bindparam("which"))
        .values(status=sa.bindparam("status"), processed_at=sa.bindparam("processed_at"))
    )
    rows = [
        {"which": seq} | columns_of(chance.choice(list(Status)))
        for seq in chance.choices(range(1, ROWS), k=30)
    ]
    with session.transaction():
        session.connection.execute(update, rows)


def change_at_once(session: Session, chance: random.Random) -> None:
    """One statement that changes many tasks, as claims and purges do."""
    before, after = chance.choices(list(Status), k=2)
    say(
        session,
        sa.update(tasks).where(tasks.c.status == before.value).values(**columns_of(after)),
    )


def change_nothing_counted(session: Session, chance: random.Random) -> None:
    say(session, sa.update(tasks).values(leased_until=chance.random(), status=tasks.c.status))


def delete(session: Session, chance: random.Random) -> None:
    low = chance.randrange(ROWS)
    say(session, sa.delete(tasks).where(tasks.c.seq.between(low, low + 20)))


def roll_back(session: Session, chance: random.Random) -> None:
    with session.transaction():
        part = session.connection.begin_nested()
        publish_and_delete = [a_task(queue=chance.choice(QUEUES)) for _ in range(5)]
        insert(session.connection, publish_and_delete)
        session.connection.execute(sa.delete(tasks).where(tasks.c.seq % 3 == 0))
        part.rollback()


@pytest.mark.parametrize("seed", range(3))
def test_the_counts_equal_the_rows_after_whatever_is_done(
    session: Session, second_session: Session, seed: int
) -> None:
    chance = random.Random(seed)
    deeds = [publish, settle_many, change_at_once, change_nothing_counted, delete, roll_back]
    for _ in range(STEPS):
        deed = chance.choice([publish, *deeds])
        deed(chance.choice([session, second_session]), chance)
        assert counted(session) == found(session), deed.__name__
    assert len(found(session)[0]) == len(QUEUES)


@pytest.mark.parametrize("before", Status)
def test_every_way_from_one_state_to_another_is_counted(session: Session, before: Status) -> None:
    for after in Status:
        (task_id,) = put(session, a_task(status=before))
        assert counted(session) == found(session), before
        this = tasks.c.id == task_id
        say(session, sa.update(tasks).where(this).values(**columns_of(after)))
        assert counted(session) == found(session), after
        say(session, sa.delete(tasks).where(this))
        assert counted(session) == found(session), after


def test_what_one_connection_counted_another_takes_off(
    database: Database, session: Session, second_session: Session
) -> None:
    put(session, *(a_task(status=Status.SCHEDULED) for _ in range(3)))
    say(second_session, sa.delete(tasks))
    scheduled = call(
        session, lambda connection: connection.scalars(sa.select(kept.c.scheduled)).all()
    )
    # Now and then two processes have the same slot.
    assert sorted(scheduled) in ([[0]] if database.is_sqlite else [[-3, 3], [0]])
    assert call(session, counts.by_state) == {"tasks": dict.fromkeys(Status, 0)}


def test_a_queue_has_a_number_for_every_state_and_an_unknown_one_has_nothing(
    session: Session,
) -> None:
    assert call(session, counts.by_state) == {}
    assert unfinished(session, "tasks") == (0, 0)
    put(session, a_task())
    assert call(session, counts.by_state) == {
        "tasks": dict.fromkeys(Status, 0) | {Status.QUEUED: 1}
    }


def test_the_size_of_a_queue_is_in_bytes_of_what_is_not_final(session: Session) -> None:
    put(session, *(a_task(status=status, data='"€"') for status in Status))
    put(session, a_task(queue="mail", data='"€uro"'))
    assert unfinished(session, "tasks") == (4, 4 * 5)
    assert unfinished(session, "mail") == (1, 8)


def test_the_oldest_ready_task_of_a_queue_tells_since_when_it_could_run(session: Session) -> None:
    assert oldest_ready(session) is None
    put(
        session,
        a_task(status=Status.COMPLETED, run_at=NOW - 9, created_at=int(NOW) - 9),
        a_task(queue="mail", run_at=NOW - 8, created_at=int(NOW) - 8),
        a_task(run_at=NOW + 1.5),
        a_task(run_at=NOW + 2.5),
    )
    assert oldest_ready(session) == NOW + 1.5


@pytest.mark.parametrize("status", Status)
def test_a_table_filled_behind_the_back_of_the_service_is_counted(
    database: Database, session: Session, status: Status
) -> None:
    put(session, a_task())
    fill(database, status, 100)
    fill(database, status, 10, queue="mail")
    assert counted(session) == found(session)
