"""How the end of a task is waited for."""

from typing import Any

import pytest

from task_queue.api.client.errors import NotFinishedError, NotFoundError, UnavailableError
from task_queue.api.client.flow import asked
from task_queue.api.client.results.tasks import Task
from task_queue.api.client.waiting import finished
from tests.api.client.flows import LOST, Played, answer, problem


def task(status: str) -> Any:  # noqa: ANN401 - JSON
    payload = {"id": "1", "action": "sum", "data": {}, "created_at": 1}
    return answer(200, {"id": "1", "payload": payload, "status": status})


def wait(played: Played, seconds: float, *answers: Any) -> Task:  # noqa: ANN401 - answers
    flow = finished(
        lambda request, until: asked(request, played.patience, until),
        played.patience,
        "1",
        seconds,
    )
    return played.run(flow, answers)


def test_a_long_wait_is_several_requests() -> None:
    played = Played()
    found = wait(played, 50, task("queued"), task("running"), task("completed"))
    assert found.status == "completed"
    assert [each.request.wait_seconds for each in played.sent] == [20, 20, 10]
    assert played.pauses == []


def test_a_task_that_is_not_finished_in_time_is_shown_as_it_is() -> None:
    played = Played(chance=0.0)
    with pytest.raises(NotFinishedError, match="1 is running after 30 seconds") as caught:
        wait(played, 30, task("running"))
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.task is not None
    assert caught.value.task.status == "running"
    assert played.now == pytest.approx(30)


def test_a_wait_of_less_than_a_second_ends_with_a_look() -> None:
    played = Played(seconds=0.01)
    with pytest.raises(NotFinishedError):
        wait(played, 0.5, task("queued"))
    assert {each.request.wait_seconds for each in played.sent} == {0}
    assert played.now == pytest.approx(0.5, abs=0.1)


def test_a_server_that_does_not_let_wait_is_asked_once_a_second() -> None:
    played = Played(seconds=0.0)
    looks = 0

    def ask(request: Any, _until: float) -> Any:  # noqa: ANN401 - a flow
        nonlocal looks
        looks += 1
        yield from ()
        return request.read({"id": "1", "payload": {"action": "a", "data": {}}, "status": "queued"})

    with pytest.raises(NotFinishedError):
        played.run(finished(ask, played.patience, "1", 10), [LOST])
    assert looks == pytest.approx(11, abs=1)
    assert max(played.pauses) <= 1


def test_a_server_that_is_away_for_a_while_is_asked_again_until_the_end_of_the_wait() -> None:
    played = Played(deadline_seconds=1)
    found = wait(played, 60, task("running"), *[LOST] * 5, task("completed"))
    assert found.status == "completed"


def test_a_server_that_was_never_there_is_said_to_be_away() -> None:
    with pytest.raises(UnavailableError):
        wait(Played(), 5, LOST)


def test_a_task_that_is_not_there_is_not_waited_for() -> None:
    played = Played()
    flow = finished(
        lambda request, until: asked(request, played.patience, until), played.patience, "1", 60
    )
    flow.send(None)
    with pytest.raises(NotFoundError):
        flow.send(problem(404, "not-found"))


def test_a_task_of_a_queue_in_memory_is_there_once_it_is_finished() -> None:
    found = wait(Played(), 60, problem(404, "not-found"), task("completed"))
    assert found.status == "completed"
