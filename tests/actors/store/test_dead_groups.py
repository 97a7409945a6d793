"""Groups of dead tasks: kept by triggers, whatever lets a task die or live again."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from task_queue.actors.store import changes, dead_groups, retention
from task_queue.actors.store import claim as claims
from task_queue.actors.store.database import Database
from task_queue.actors.store.insert import insert
from task_queue.actors.store.schema import dead_groups as kept
from task_queue.actors.store.schema import tasks
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.filters import DeadGroup, Filters
from task_queue.actors.tasks.settlement import Failure, nack
from task_queue.actors.tasks.states import FINAL, Status
from tests.actors.store.calls import a_claimed_task, call, claim, claimant, put, settle
from tests.actors.store.races import race
from tests.fakes import NOW, a_task

ALL = Filters()
LATER = NOW + 100
RETENTION = dict.fromkeys(FINAL, 10)


@pytest.fixture
def second_session(database: Database) -> Iterator[Session]:
    """Another connection, as of another node."""
    second = Session(database)
    yield second
    second.close()


def groups(session: Session, filters: Filters = ALL, limit: int | None = None) -> list[DeadGroup]:
    return call(session, lambda connection: dead_groups.groups(connection, filters, limit))


def numbers(session: Session) -> dict[str, int]:
    return {each.error_group: each.number for each in groups(session)}


def die(session: Session, error: str) -> str:
    """The id of a task that failed for good."""
    claimed = a_claimed_task(session, max_attempts=1)
    failure = Failure(error, permanent=True)
    settle(
        session,
        nack(claimed, failure, backoff=Backoff(1.0, 2.0, 60.0), now=LATER, random=lambda: 0.5),
    )
    return claimed.lease.task_id


def prune(session: Session) -> int:
    return call(session, dead_groups.prune)


def rows(session: Session) -> int:
    count = sa.select(sa.func.count()).select_from(kept)
    return int(call(session, lambda connection: connection.execute(count).scalar_one()))


def test_the_greatest_group_comes_first_with_its_first_and_last_time(session: Session) -> None:
    put(
        session,
        a_task(status=Status.DEAD, error="no user 5", created_at=int(NOW) + 3),
        a_task(status=Status.DEAD, error="no user 7", created_at=int(NOW) + 1),
        a_task(status=Status.DEAD, error="timeout", queue="mail"),
        a_task(status=Status.DEAD),
        a_task(),
    )
    first, *others = groups(session)
    assert first == DeadGroup("tasks", "uppercase", "no user #", 2, int(NOW) + 1, int(NOW) + 3)
    assert [(each.queue, each.error_group, each.number) for each in others] == [
        ("mail", "timeout", 1),
        ("tasks", "", 1),
    ]
    assert groups(session, limit=1) == [first]
    assert groups(session, Filters(queue="tasks", action="uppercase"))[0] == first
    assert groups(session, Filters(queues=frozenset({"mail"}))) == others[:1]
    assert groups(session, Filters(action="unknown")) == []


def test_whatever_lets_a_task_die_puts_it_into_its_group(session: Session) -> None:
    die(session, "no user 5")
    put(session, a_task(expires_at=NOW + 1))
    call(session, lambda connection: retention.expire(connection, LATER))
    put(session, a_task(expires_at=NOW + 1))
    with session.transaction():
        who = claimant(now=LATER)
        assert claims.claim(session.connection, who, limit=5, free=5) == ([], False)
    put(session, a_task(status=Status.DEAD, error="in memory 1"))
    assert numbers(session) == {"no user #": 1, "expired": 2, "in memory #": 1}


@pytest.mark.parametrize("how", ["retry", "redrive", "delete", "delete many", "retention", "term"])
def test_whatever_takes_a_dead_task_away_takes_it_out_of_its_group(
    session: Session, how: str
) -> None:
    stays, goes = die(session, "no user 5"), die(session, "no user 6")
    if how == "term":
        keep = sa.update(tasks).where(tasks.c.id == goes).values(keep_result_seconds=5)
        call(session, lambda connection: connection.execute(keep))
    if how == "retention":
        keep = sa.update(tasks).where(tasks.c.id == stays).values(keep_result_seconds=10**6)
        call(session, lambda connection: connection.execute(keep))
    deeds: dict[str, Callable[[sa.Connection], object]] = {
        "retry": lambda c: changes.retry(c, goes, LATER),
        "redrive": lambda c: changes.redrive(c, {goes: LATER}, LATER),
        "delete": lambda c: changes.delete(c, goes),
        "delete many": lambda c: changes.delete_many(c, [goes], [Status.DEAD]),
        "retention": lambda c: retention.sweep(c, LATER + 1_000, RETENTION, None),
        "term": lambda c: retention.delete_out_of_term(c, LATER + 50),
    }
    call(session, deeds[how])
    assert numbers(session) == {"no user #": 1}
    call(session, lambda connection: changes.delete(connection, stays))
    assert groups(session) == []


def test_a_task_that_is_put_back_and_dies_of_something_else_changes_its_group(
    session: Session,
) -> None:
    task_id = die(session, "no user 5")
    call(session, lambda connection: changes.retry(connection, task_id, LATER))
    (claimed,), _ = claim(session, now=LATER)
    failure = Failure("no such thing", permanent=True)
    settle(
        session,
        nack(claimed, failure, backoff=Backoff(1.0, 2.0, 60.0), now=LATER, random=lambda: 0.5),
    )
    assert numbers(session) == {"no such thing": 1}


def test_rows_of_empty_groups_are_deleted_and_those_of_others_stay(session: Session) -> None:
    gone, _ = die(session, "gone 1"), die(session, "stays 1")
    call(session, lambda connection: changes.delete(connection, gone))
    prune(session)
    assert rows(session) == 1
    assert numbers(session) == {"stays #": 1}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_group_in_which_somebody_counts_right_now_is_left_alone(
    second_session: Session, session: Session
) -> None:
    gone = die(session, "no user 5")
    call(session, lambda connection: changes.delete(connection, gone))
    with session.transaction():
        insert(session.connection, [a_task(status=Status.DEAD, error="no user 6")])
        assert prune(second_session) == 0
    assert (prune(second_session), numbers(second_session)) == (0, {"no user #": 1})


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_who_counts_in_a_group_that_is_being_deleted_is_counted(
    second_session: Session, session: Session
) -> None:
    gone = die(session, "no user 5")
    call(session, lambda connection: changes.delete(connection, gone))
    with session.transaction():
        assert dead_groups.prune(session.connection) == 1
        # It has a row of its own, so it need not even wait.
        put(second_session, a_task(status=Status.DEAD, error="no user 7"))
    assert numbers(session) == {"no user #": 1}


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_nodes_that_let_the_same_errors_die_and_live_again_do_not_stop_each_other(
    database: Database, session: Session
) -> None:
    """A mass failure on every node, while some is put back, deleted and tidied up."""
    errors = [f"{word} {number}" for number in range(5) for word in ("alpha", "beta", "gamma")]

    def work(own: Session) -> None:
        for turn in range(8):
            order = errors[turn:] + errors[:turn]
            ids = put(own, *(a_task(status=Status.DEAD, error=each) for each in order * 3))
            with own.transaction():
                changes.redrive(own.connection, dict.fromkeys(ids[::3], LATER), LATER)
            with own.transaction():
                changes.delete_many(own.connection, ids[1::3], [Status.DEAD])
            prune(own)

    race(database, *[work] * 4)
    there = sa.select(tasks.c.error_group).where(tasks.c.status == "dead")
    found = Counter(call(session, lambda c: c.scalars(there).all()))
    assert numbers(session) == found
    assert sum(found.values()) == 4 * 8 * 15
