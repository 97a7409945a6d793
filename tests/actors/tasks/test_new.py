from typing import Any

import pytest

from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.limits import QueueLimits
from task_queue.actors.tasks.new import QueueInfo, plain_task, task_of
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import PLAIN, Options, Task, rank
from tests.fakes import NOW

QUEUE = QueueInfo(name="mail", max_attempts=3, backoff=Backoff(2.0, 3.0, 40.0))
KEYED = QueueInfo(
    name="mail",
    max_attempts=3,
    backoff=QUEUE.backoff,
    limits=QueueLimits(concurrency_per_key=1),
)


def made(queue: QueueInfo = QUEUE, /, **members: Any) -> Task:  # noqa: ANN401 - any member
    return task_of("id", queue, {"action": "sum", "data": "{}"} | members, NOW + 0.5)


def test_who_asks_for_nothing_gets_the_queues_terms_and_runs_now() -> None:
    task = made()
    assert task == plain_task("id", QUEUE, "sum", "{}", NOW + 0.5)
    assert task == Task(
        id="id",
        queue="mail",
        action="sum",
        data="{}",
        max_attempts=3,
        run_at=NOW + 0.5,
        created_at=int(NOW),
        rank=NOW + 0.5,
    )
    assert task.is_new_and_plain


def test_members_that_are_null_ask_for_nothing() -> None:
    nulls = ("run_at", "delay_seconds", "priority", "key", "unique_key", "backoff", "max_attempts")
    task = made(QUEUE, **dict.fromkeys(nulls))
    assert task == made()
    assert task.options is PLAIN


@pytest.mark.parametrize("given", [{"delay_seconds": 9.5}, {"run_at": NOW + 10}])
def test_a_task_for_later_is_scheduled_for_its_moment(given: dict[str, float]) -> None:
    task = made(QUEUE, **given)
    assert (task.status, task.run_at) == (Status.SCHEDULED, NOW + 10)
    assert task.rank == NOW + 0.5  # it does not lose its place to those that come meanwhile
    assert task.options is PLAIN


@pytest.mark.parametrize("given", [{"delay_seconds": 0.0}, {"run_at": NOW - 3_600}, {"run_at": 0}])
def test_a_time_that_is_past_is_now(given: dict[str, float]) -> None:
    task = made(QUEUE, **given)
    assert (task.status, task.run_at) == (Status.QUEUED, NOW + 0.5)


def test_a_priority_is_kept_and_decides_the_rank() -> None:
    task = made(priority=7)
    assert (task.priority, task.rank) == (7, rank(NOW + 0.5, 7))
    assert task.options is PLAIN


def test_every_option_is_kept() -> None:
    task = made(
        unique_key="u",
        key="k",
        expires_at=NOW + 60,
        keep_result_seconds=0,
        backoff={"base": 1.0, "factor": 2.0, "cap": 3.0},
        max_attempts=9,
    )
    assert task.max_attempts == 9
    assert task.options == Options(
        unique_key="u",
        key="k",
        expires_at=NOW + 60,
        keep_result_seconds=0,
        backoff=Backoff(1.0, 2.0, 3.0).text,
    )
    assert not task.is_new_and_plain


def test_an_occurrence_is_kept_with_its_task() -> None:
    members = {"action": "sum", "data": "{}"}
    assert task_of("id", QUEUE, members, NOW, "nightly@1").options.occurrence == "nightly@1"


@pytest.mark.parametrize(
    ("given", "backoff"),
    [
        ({}, Backoff(2.0, 3.0, 40.0)),
        ({"base": 5.0}, Backoff(5.0, 3.0, 40.0)),
        ({"base": 90.0}, Backoff(90.0, 3.0, 90.0)),  # or the base would not be kept
        ({"factor": 1.0, "cap": 10.0}, Backoff(2.0, 1.0, 10.0)),
    ],
)
def test_a_backoff_named_in_part_takes_the_rest_from_the_queue(
    given: dict[str, float], backoff: Backoff
) -> None:
    text = made(backoff=given).options.backoff
    assert text is not None
    assert Backoff.parse(text) == backoff


def test_a_task_with_a_key_waits_for_its_place_only_where_places_are_limited() -> None:
    assert made(KEYED, key="k").status is Status.BLOCKED
    assert made(KEYED).status is Status.QUEUED
    assert made(QUEUE, key="k").status is Status.QUEUED


def test_a_task_with_a_key_for_later_is_scheduled_first() -> None:
    assert made(KEYED, key="k", delay_seconds=1.0).status is Status.SCHEDULED
