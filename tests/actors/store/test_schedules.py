"""Schedules as rows: one occurrence is published once, whoever is there to do it."""

from dataclasses import replace
from typing import Any

import pytest

from task_queue.actors.errors import NotFoundError
from task_queue.actors.store import changes, schedules
from task_queue.actors.store.database import Database
from task_queue.actors.store.store import Store
from task_queue.actors.tasks.recurrence import Missed, Recurrence
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


def keep(store: Store, schedule: Schedule) -> Schedule:
    return call(store, lambda connection: schedules.put(connection, schedule))


def configure(store: Store, *configured: Schedule) -> None:
    call(store, lambda connection: schedules.configure(connection, configured))


def delete(store: Store, name: str = "report") -> None:
    call(store, lambda connection: schedules.delete(connection, name))


def every(store: Store) -> list[Schedule]:
    return call(store, schedules.every)


def fire(store: Store, due_at: float, task: Task | None) -> bool:
    """Publish the task for the occurrence that is due."""
    step = (due_at, due_at + HOUR, due_at)
    return call(store, lambda connection: schedules.fire(connection, "report", step, task))


def an_occurrence(at: float, **columns: object) -> Task:
    return a_task(occurrence=f"report@{at:.0f}", **columns)


def test_schedules_are_read_back_as_they_were_kept_by_name(store: Store) -> None:
    first = a_schedule("b", task='{"data":"\N{SNOWMAN}"}', missed=Missed.ONCE, last_at=NOW + 0.5)
    second = a_schedule("a", configured=True)
    assert (keep(store, first), keep(store, second)) == (first, second)
    assert every(store) == [second, first]


def test_a_schedule_that_stays_the_same_keeps_its_next_occurrence(store: Store) -> None:
    kept = keep(store, a_schedule(last_at=NOW - HOUR))
    again = a_schedule(next_at=NOW + 9 * HOUR, created_at=int(NOW) + 9, configured=True)
    assert keep(store, again) == replace(kept, configured=True)
    assert every(store) == [replace(kept, configured=True)]


def test_a_schedule_whose_next_occurrence_a_clock_ahead_put_off_is_mended(store: Store) -> None:
    keep(store, a_schedule(next_at=NOW + 365 * 24 * HOUR))
    assert keep(store, a_schedule(next_at=NOW + HOUR)).next_at == NOW + HOUR


@pytest.mark.parametrize(
    "changes",
    [
        {"recurrence": Recurrence("30 * * * *", "Europe/Berlin")},
        {"recurrence": Recurrence("0 * * * *", "UTC")},
        {"missed": Missed.ONCE},
        {"task": "{}"},
    ],
    ids=str,
)
def test_a_schedule_that_is_changed_goes_on_from_now(store: Store, changes: dict[str, Any]) -> None:
    keep(store, a_schedule(last_at=NOW - HOUR))
    changed = a_schedule(next_at=NOW + 9 * HOUR, created_at=int(NOW) + 9, **changes)
    expected = replace(changed, last_at=NOW - HOUR, created_at=int(NOW))
    assert keep(store, changed) == expected
    assert every(store) == [expected]


def test_a_schedule_is_forgotten_and_what_it_published_stays(store: Store) -> None:
    keep(store, a_schedule())
    task = an_occurrence(NOW + HOUR)
    assert fire(store, NOW + HOUR, task)
    delete(store)
    assert every(store) == []
    assert get(store, task.id) == task
    with pytest.raises(NotFoundError):
        delete(store)


def test_the_schedules_of_the_settings_take_the_place_of_former_ones_only(store: Store) -> None:
    from_api = keep(store, a_schedule("api"))
    configure(store, a_schedule("a", configured=True), a_schedule("b", configured=True))
    configure(store, a_schedule("b", configured=True), a_schedule("c", configured=True))
    assert [schedule.name for schedule in every(store)] == ["api", "b", "c"]
    configure(store)
    assert every(store) == [from_api]


def test_the_settings_keep_when_a_schedule_is_next_across_a_restart(store: Store) -> None:
    configure(store, a_schedule(configured=True))
    assert fire(store, NOW + HOUR, None)
    configure(store, a_schedule(configured=True, next_at=NOW + 5 * HOUR))
    assert [schedule.next_at for schedule in every(store)] == [NOW + 2 * HOUR]


def test_an_occurrence_is_published_and_the_schedule_goes_on(store: Store) -> None:
    keep(store, a_schedule())
    task = an_occurrence(NOW + HOUR)
    assert fire(store, NOW + HOUR, task)
    assert get(store, task.id) == task
    assert every(store) == [a_schedule(next_at=NOW + 2 * HOUR, last_at=NOW + HOUR)]


def test_an_occurrence_that_was_published_is_not_published_again(store: Store) -> None:
    keep(store, a_schedule())
    assert fire(store, NOW + HOUR, an_occurrence(NOW + HOUR))
    again = an_occurrence(NOW + HOUR)
    assert not fire(store, NOW + HOUR, again)
    assert find(store, again.id) is None
    assert every(store) == [a_schedule(next_at=NOW + 2 * HOUR, last_at=NOW + HOUR)]


@pytest.mark.parametrize("status", list(Status))
def test_not_even_a_schedule_made_anew_publishes_an_occurrence_again(
    store: Store, status: Status
) -> None:
    """As after its deletion, or where a clock was set back."""
    put(store, an_occurrence(NOW + HOUR, status=status))
    keep(store, a_schedule())
    assert fire(store, NOW + HOUR, an_occurrence(NOW + HOUR))  # goes on, so that it is not stuck
    assert counts(store) == {status: 1}
    assert [schedule.next_at for schedule in every(store)] == [NOW + 2 * HOUR]


def test_occurrences_that_were_missed_are_passed_over(store: Store) -> None:
    keep(store, a_schedule(last_at=NOW))
    step = (NOW + HOUR, NOW + 5 * HOUR, None)
    assert call(store, lambda connection: schedules.fire(connection, "report", step, None))
    assert every(store) == [a_schedule(next_at=NOW + 5 * HOUR, last_at=NOW)]
    assert counts(store) == {}


def test_a_schedule_whose_task_is_unique_publishes_none_while_there_is_one(store: Store) -> None:
    keep(store, a_schedule())
    (holder,) = put(store, a_task(unique_key="u"))
    assert fire(store, NOW + HOUR, an_occurrence(NOW + HOUR, unique_key="u"))
    call(store, lambda connection: changes.cancel(connection, holder, NOW))
    assert fire(store, NOW + 2 * HOUR, an_occurrence(NOW + 2 * HOUR, unique_key="u"))
    assert counts(store) == {Status.CANCELLED: 1, Status.QUEUED: 1}


def test_an_occurrence_whose_commit_fails_is_still_due(store: Store) -> None:
    keep(store, a_schedule())
    step = (NOW + HOUR, NOW + 2 * HOUR, NOW + HOUR)
    task = an_occurrence(NOW + HOUR)

    def fire_and_fail() -> None:
        with store.transaction():
            assert schedules.fire(store.connection, "report", step, task)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fire_and_fail()
    assert every(store) == [a_schedule()]
    assert find(store, task.id) is None
    assert fire(store, NOW + HOUR, task)


def test_a_schedule_that_is_gone_or_changed_does_not_fire(store: Store) -> None:
    keep(store, a_schedule())
    keep(store, a_schedule(task="{}", next_at=NOW + 3 * HOUR))
    assert not fire(store, NOW + HOUR, an_occurrence(NOW + HOUR))
    delete(store)
    assert not fire(store, NOW + 3 * HOUR, an_occurrence(NOW + 3 * HOUR))
    assert counts(store) == {}


def test_nodes_that_fire_at_once_publish_each_occurrence_once(postgres_only: Database) -> None:
    store = Store(postgres_only)
    keep(store, a_schedule())
    moments = [NOW + number * HOUR for number in range(1, 41)]

    def work(store: Store) -> list[bool]:
        return [fire(store, moment, an_occurrence(moment)) for moment in moments]

    by_node = race(postgres_only, *[work] * 3)
    assert [sum(fired) for fired in zip(*by_node, strict=True)] == [1] * len(moments)
    assert counts(store) == {Status.QUEUED: len(moments)}
    assert every(store) == [a_schedule(next_at=moments[-1] + HOUR, last_at=moments[-1])]
    store.close()


def test_a_node_waits_for_another_that_fires_and_then_does_not(postgres_only: Database) -> None:
    store = Store(postgres_only)
    keep(store, a_schedule())
    step = (NOW + HOUR, NOW + 2 * HOUR, NOW + HOUR)
    first, second = an_occurrence(NOW + HOUR), an_occurrence(NOW + HOUR)
    assert not while_held(
        postgres_only,
        lambda node: schedules.fire(node.connection, "report", step, first),
        lambda node: fire(node, NOW + HOUR, second),
    )
    assert (find(store, first.id), find(store, second.id)) == (first, None)
    store.close()


def test_nodes_that_start_at_once_keep_the_same_settings(postgres_only: Database) -> None:
    configured = [a_schedule(name, configured=True) for name in "abcdefgh"]
    race(postgres_only, *[lambda store: configure(store, *configured)] * 4)
    store = Store(postgres_only)
    assert every(store) == configured
    store.close()
