"""`/actions`: what tasks can do; and data that an action does not take is refused at once."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.answers import problem
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

NOT_A_NUMBER = (
    "data.sizes[1].width: input should be a valid integer, unable to parse string as an integer,"
    ' not "x"'
)
WRONG = {"sizes": [{"width": 1}, {"width": "x"}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with an action of each kind."""
    server = ServerProcess(
        tmp_path_factory.mktemp("server"),
        "actions.resize=tests.actions:resize",
        'actions.cat={command = ["cat"], timeout_seconds = 5}',
        'actions.hook={http = "https://user:password@example.com/a/secret"}',
        'actions.spin={python = "tests.actions:resize", cpu = true}',
    )
    try:
        yield server.start()
    finally:
        server.close()


def publish(server: ServerProcess, data: object, **members: object) -> Any:  # noqa: ANN401
    return server.client.post("/tasks", json={"action": "resize", "data": data, **members})


def test_all_actions_are_listed_by_name_and_each_is_shown_by_itself(server: ServerProcess) -> None:
    listed = server.client.get("/actions").json()["actions"]
    names = [each["name"] for each in listed]
    assert names == ["cat", "hook", "resize", "spin", "sum", "uppercase"]
    for each in listed:
        assert server.client.get(f"/actions/{each['name']}").json() == each


def test_an_action_is_shown_with_what_its_publisher_has_to_know_and_no_secret(
    server: ServerProcess,
) -> None:
    resize = server.client.get("/actions/resize").json()
    schema = resize.pop("schema")
    assert resize == {
        "name": "resize",
        "kind": "python",
        "description": "Add up the areas.",
        "execution": "thread",
        "timeout_seconds": 3600.0,
    }
    assert schema["required"] == ["sizes"]
    assert schema["properties"]["sizes"]["items"] == {"$ref": "#/$defs/Size"}
    kinds = {
        name: [server.client.get(f"/actions/{name}").json()[key] for key in ("kind", "execution")]
        for name in ("cat", "hook", "spin", "sum")
    }
    assert kinds == {
        "cat": ["command", "process"],
        "hook": ["http", "thread"],
        "spin": ["python", "process"],
        "sum": ["builtin", "thread"],
    }
    assert server.client.get("/actions/cat").json()["timeout_seconds"] == 5.0
    everything = server.client.get("/actions").text
    assert "password" not in everything
    assert "secret" not in everything


def test_an_action_that_is_not_known_by_name_is_not_found(server: ServerProcess) -> None:
    problem(server.client.get("/actions/nothing"), 404, "action not found")


def test_data_that_fits_is_taken_and_the_action_gets_it_as_its_type(server: ServerProcess) -> None:
    answer = publish(server, {"sizes": [{"width": 2}, {"width": 3, "height": 4}]})
    assert answer.status_code == 202
    task = server.wait_for_status(answer.json()["id"], "completed")
    assert task["result"] == {"area": 14}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (WRONG, NOT_A_NUMBER),
        ({}, "data.sizes: is missing"),
        ({"sizes": "none"}, 'data.sizes: input should be a valid array, not "none"'),
    ],
)
def test_data_that_does_not_fit_is_refused_with_the_field_and_not_queued(
    server: ServerProcess, data: dict[str, Any], sentence: str
) -> None:
    before = server.client.get("/queues/tasks").json()["counts"]
    assert problem(publish(server, data), 400, sentence) == sentence
    assert problem(publish(server, data, priority=3), 400, sentence) == sentence
    assert server.client.get("/queues/tasks").json()["counts"] == before


def test_of_a_batch_the_task_with_the_wrong_data_is_named(server: ServerProcess) -> None:
    good = {"action": "resize", "data": {"sizes": []}}
    bad = {"action": "resize", "data": WRONG}
    answer = server.client.post("/tasks/batch", json={"tasks": [good, bad]})
    problem(answer, 400, f"tasks[1].{NOT_A_NUMBER}")


def test_a_schedule_with_wrong_data_is_refused_when_it_is_made(server: ServerProcess) -> None:
    task = {"action": "resize", "data": WRONG}
    answer = server.client.put("/schedules/nightly", json={"cron": "0 3 * * *", "task": task})
    problem(answer, 400, f"task.{NOT_A_NUMBER}")
