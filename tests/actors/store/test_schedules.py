"""Schedules as rows: one occurrence is published once, whoever is there to do it."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.store import changes, schedules
from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.recurrence import ClockBack, ClockForward, Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Task
from tests.actors.store.calls import call, counts, find, get, put
from tests.actors.store.races import race, while_held
from tests.fakes import NOW, a_task

HOURLY = Recurrence("0 * * * *", "Europe/Berlin")
HOUR = 3_600.0


def a_schedule(name: str = "report", **changes: Any) -> Schedule:  # noqa: ANN401 - any field
    schedule = Schedule(
        name=name,
        recurrence=HOURLY,
        missed=Missed.SKIP,
        task='{"action":"uppercase"}',
        next_at=NOW + HOUR,
        created_at=int(NOW),
    )
    return replace(schedule, **changes)


def keep(session: Session, schedule: Schedule) -> Schedule:
    return call(session, lambda connection: schedules.put(connection, schedule))


def configure(session: Session, *configured: Schedule) -> None:
    call(session, lambda connection: schedules.configure(connection, configured))


def delete(session: Session, name: str = "report") -> None:
    call(session, lambda connection: schedules.delete(connection, name))


def every(session: Session) -> list[Schedule]:
    return call(session, schedules.every)


def fire(session: Session, due_at: float, task: Task | None, *, is_new: bool = True) -> bool:
    """Publish the task for the occurrence that is due, unless it is not new."""
    step = (due_at, due_at + HOUR, due_at)
    fired = call(session, lambda connection: schedules.fire(connection, "report", step, task))
    assert fired[1] == (is_new and fired[0] and task is not None)
    return fired[0]


def an_occurrence(at: float, **columns: object) -> Task:
    return a_task(occurrence=f"report@{at:.0f}", **columns)


def test_schedules_are_read_back_as_they_were_kept_by_name(session: Session) -> None:
    first = a_schedule("b", task='{"data":"\N{SNOWMAN}"}', missed=Missed.ONCE, last_at=NOW + 0.5)
    second = a_schedule("a", configured=True, recurrence=Interval("90m", "Asia/Tokyo"), set_back=2)
    policy = Recurrence("0 2 * * *", "UTC", ClockForward.SKIP, ClockBack.TWICE)
    third = a_schedule("c", recurrence=policy, expires_after_seconds=7.5)
    assert [keep(session, each) for each in (first, second, third)] == [first, second, third]
    assert every(session) == [second, first, third]


def test_a_schedule_that_stays_the_same_keeps_its_next_occurrence(session: Session) -> None:
    kept = keep(session, a_schedule(last_at=NOW - HOUR))
    again = a_schedule(next_at=NOW + 9 * HOUR, created_at=int(NOW) + 9, configured=True)
    assert keep(session, again) == replace(kept, configured=True)
    assert every(session) == [replace(kept, configured=True)]


def test_a_schedule_of_a_queue_that_the_user_does_not_see_is_neither_taken_over_nor_deleted(
    session: Session,
) -> None:
    theirs = a_schedule(task='{"action":"pay","queue":"secret"}')
    mine = a_schedule(task='{"action":"uppercase","queue":"mail"}', next_at=NOW + 2 * HOUR)
    seen = frozenset({"mail", "sms"})
    keep(session, theirs)
    with pytest.raises(ConflictError, match=r"^the name report is taken; choose another one$"):
        call(session, lambda connection: schedules.put(connection, mine, seen))
    with pytest.raises(NotFoundError):
        call(session, lambda connection: schedules.delete(connection, "report", seen))
    assert every(session) == [theirs]
    delete(session)
    for each in (mine, replace(mine, missed=Missed.ONCE)):
        assert call(session, partial(schedules.put, schedule=each, queues=seen)) == each
    call(session, lambda connection: schedules.delete(connection, "report", seen))
    assert every(session) == []


def test_a_schedule_whose_task_names_no_queue_is_one_of_the_default_queue(
    session: Session,
) -> None:
    assert [a_schedule().queue, a_schedule(task='{"action":"x","queue":null}').queue] == [
        "tasks",
        "tasks",
    ]
    keep(session, a_schedule())
    with pytest.raises(NotFoundError):
        call(session, lambda connection: schedules.delete(connection, "report", {"mail"}))
    call(session, lambda connection: schedules.delete(connection, "report", {"tasks"}))


def test_a_schedule_that_is_set_back_knows_how_often_it_was(session: Session) -> None:
    keep(session, a_schedule(next_at=NOW + 365 * 24 * HOUR))
    for next_at in (NOW + 9 * HOUR, NOW + HOUR):
        (kept,) = every(session)
        step = (kept.next_at, next_at, None)
        call(session, partial(schedules.fire, name="report", step=step, task=None, anew=True))
    assert every(session) == [a_schedule(next_at=NOW + HOUR, set_back=2)]
    keep(session, a_schedule(missed=Missed.ONCE))
    assert every(session) == [a_schedule(missed=Missed.ONCE, set_back=2)]


@pytest.mark.parametrize(
    "changes",
    [
        {"recurrence": Recurrence("30 * * * *", "Europe/Berlin")},
        {"recurrence": Recurrence("0 * * * *", "UTC")},
        {"recurrence": Recurrence("0 * * * *", "Europe/Berlin", None, ClockBack.ONCE)},
        {"recurrence": Interval("1h", "UTC")},
        {"missed": Missed.ONCE},
        {"expires_after_seconds": 60.0},
        {"task": "{}"},
    ],
    ids=str,
)
def test_a_schedule_that_is_changed_goes_on_from_now(
    session: Session, changes: dict[str, Any]
) -> None:
    keep(session, a_schedule(last_at=NOW - HOUR))
    changed = a_schedule(next_at=NOW + 9 * HOUR, created_at=int(NOW) + 9, **changes)
    expected = replace(changed, last_at=NOW - HOUR, created_at=int(NOW))
    assert keep(session, changed) == expected
    assert every(session) == [expected]


def test_a_schedule_is_forgotten_and_what_it_published_stays(session: Session) -> None:
    keep(session, a_schedule())
    task = an_occurrence(NOW + HOUR)
    assert fire(session, NOW + HOUR, task)
    delete(session)
    assert every(session) == []
    assert get(session, task.id) == task
    with pytest.raises(NotFoundError):
        delete(session)


def test_the_schedules_of_the_settings_take_the_place_of_former_ones_only(session: Session) -> None:
    from_api = keep(session, a_schedule("api"))
    configure(session, a_schedule("a", configured=True), a_schedule("b", configured=True))
    configure(session, a_schedule("b", configured=True), a_schedule("c", configured=True))
    assert [schedule.name for schedule in every(session)] == ["api", "b", "c"]
    configure(session)
    assert every(session) == [from_api]


def test_the_settings_keep_when_a_schedule_is_next_across_a_restart(session: Session) -> None:
    configure(session, a_schedule(configured=True))
    assert fire(session, NOW + HOUR, None)
    configure(session, a_schedule(configured=True, next_at=NOW + 5 * HOUR))
    assert [schedule.next_at for schedule in every(session)] == [NOW + 2 * HOUR]


def test_an_occurrence_is_published_and_the_schedule_goes_on(session: Session) -> None:
    keep(session, a_schedule())
    task = an_occurrence(NOW + HOUR)
    assert fire(session, NOW + HOUR, task)
    assert get(session, task.id) == task
    assert every(session) == [a_schedule(next_at=NOW + 2 * HOUR, last_at=NOW + HOUR)]


def test_an_occurrence_that_was_published_is_not_published_again(session: Session) -> None:
    keep(session, a_schedule())
    assert fire(session, NOW + HOUR, an_occurrence(NOW + HOUR))
    again = an_occurrence(NOW + HOUR)
    assert not fire(session, NOW + HOUR, again)
    assert find(session, again.id) is None
    assert every(session) == [a_schedule(next_at=NOW + 2 * HOUR, last_at=NOW + HOUR)]


@pytest.mark.parametrize("status", list(Status))
def test_not_even_a_schedule_made_anew_publishes_an_occurrence_again(
    session: Session, status: Status
) -> None:
    """As after its deletion, or where a clock was set back."""
    put(session, an_occurrence(NOW + HOUR, status=status))
    keep(session, a_schedule())
    task = an_occurrence(NOW + HOUR)
    assert fire(session, NOW + HOUR, task, is_new=False)  # goes on, so that it is not stuck
    assert counts(session) == {status: 1}
    assert [schedule.next_at for schedule in every(session)] == [NOW + 2 * HOUR]


def test_occurrences_that_were_missed_are_passed_over(session: Session) -> None:
    keep(session, a_schedule(last_at=NOW))
    step = (NOW + HOUR, NOW + 5 * HOUR, None)
    call(session, lambda connection: schedules.fire(connection, "report", step, None))
    assert every(session) == [a_schedule(next_at=NOW + 5 * HOUR, last_at=NOW)]
    assert counts(session) == {}


def test_a_schedule_whose_task_is_unique_publishes_none_while_there_is_one(
    session: Session,
) -> None:
    keep(session, a_schedule())
    (holder,) = put(session, a_task(unique_key="u"))
    assert fire(session, NOW + HOUR, an_occurrence(NOW + HOUR, unique_key="u"), is_new=False)
    call(session, lambda connection: changes.cancel(connection, holder, NOW))
    assert fire(session, NOW + 2 * HOUR, an_occurrence(NOW + 2 * HOUR, unique_key="u"))
    assert counts(session) == {Status.CANCELLED: 1, Status.QUEUED: 1}


def test_a_schedule_whose_task_is_unique_publishes_beside_one_that_was_asked_to_stop(
    session: Session,
) -> None:
    keep(session, a_schedule())
    (holder,) = put(session, a_task(unique_key="u", status=Status.RUNNING))
    call(session, lambda connection: changes.cancel(connection, holder, NOW))
    assert fire(session, NOW + HOUR, an_occurrence(NOW + HOUR, unique_key="u"))
    assert counts(session) == {Status.RUNNING: 1, Status.QUEUED: 1}


def test_an_occurrence_whose_commit_fails_is_still_due(session: Session) -> None:
    keep(session, a_schedule())
    step = (NOW + HOUR, NOW + 2 * HOUR, NOW + HOUR)
    task = an_occurrence(NOW + HOUR)

    def fire_and_fail() -> None:
        with session.transaction():
            assert schedules.fire(session.connection, "report", step, task) == (True, True)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fire_and_fail()
    assert every(session) == [a_schedule()]
    assert find(session, task.id) is None
    assert fire(session, NOW + HOUR, task)


def test_a_schedule_that_is_gone_or_changed_does_not_fire(session: Session) -> None:
    keep(session, a_schedule())
    keep(session, a_schedule(task="{}", next_at=NOW + 3 * HOUR))
    assert not fire(session, NOW + HOUR, an_occurrence(NOW + HOUR))
    delete(session)
    assert not fire(session, NOW + 3 * HOUR, an_occurrence(NOW + 3 * HOUR))
    assert counts(session) == {}


def test_nodes_that_fire_at_once_publish_each_occurrence_once(postgres_only: Database) -> None:
    session = Session(postgres_only)
    keep(session, a_schedule())
    moments = [NOW + number * HOUR for number in range(1, 41)]

    def work(session: Session) -> list[bool]:
        return [fire(session, moment, an_occurrence(moment)) for moment in moments]

    by_node = race(postgres_only, *[work] * 3)
    assert [sum(fired) for fired in zip(*by_node, strict=True)] == [1] * len(moments)
    assert counts(session) == {Status.QUEUED: len(moments)}
    assert every(session) == [a_schedule(next_at=moments[-1] + HOUR, last_at=moments[-1])]
    session.close()


def test_a_node_waits_for_another_that_fires_and_then_does_not(postgres_only: Database) -> None:
    session = Session(postgres_only)
    keep(session, a_schedule())
    step = (NOW + HOUR, NOW + 2 * HOUR, NOW + HOUR)
    first, second = an_occurrence(NOW + HOUR), an_occurrence(NOW + HOUR)
    assert not while_held(
        postgres_only,
        lambda node: schedules.fire(node.connection, "report", step, first),
        lambda node: fire(node, NOW + HOUR, second),
    )
    assert (find(session, first.id), find(session, second.id)) == (first, None)
    session.close()


def test_nodes_that_start_at_once_keep_the_same_settings(postgres_only: Database) -> None:
    configured = [a_schedule(name, configured=True) for name in "abcdefgh"]
    race(postgres_only, *[lambda session: configure(session, *configured)] * 4)
    session = Session(postgres_only)
    assert every(session) == configured
    session.close()
