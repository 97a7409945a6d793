"""Dead tasks: which there are, and the way back for many at once."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.reject=tests.actions:reject",
    "actions.refuse=tests.actions:reject",
    "builtin.fallback=true",
    "queues.mail.concurrency=1",
    "queues.quick.driver=memory",
)
NAMES = (
    "queue, action, created_after, created_before, key, error_contains, error_group, data, order,"
    " limit, cursor"
)
MEMBERS = "queue, action, ids, error_contains, error_group, limit, per_second, preview"


@pytest.fixture(scope="module", params=DATABASES)
def morgue(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database, with a queue `mail` and one in memory."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_dead_any_more(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "morgue" in request.fixturenames:
        server: ServerProcess = request.getfixturevalue("morgue")
        for name in ("tasks", "mail"):
            server.client.post(f"/queues/{name}/purge")
            server.client.post(f"/queues/{name}/resume")
        for task in server.client.get("/dead-letters").json()["tasks"]:
            assert server.client.delete(f"/tasks/{task['id']}").status_code == 204
        assert complaints(server) == []


def a_dead(
    server: ServerProcess, message: str = "never", action: str = "reject", queue: str = "tasks"
) -> str:
    """The id of a task that is dead, of this."""
    members = {"action": action, "queue": queue, "data": {"message": message}}
    task_id = str(server.client.post("/tasks", json=members).json()["id"])
    server.wait_for_status(task_id, "dead")
    return task_id


def several_dead(server: ServerProcess) -> list[str]:
    """The ids of four dead tasks, the oldest first, whose queues are then paused."""
    ids = [
        a_dead(server, "no such user"),
        a_dead(server, "timeout of 5 % (host_a)", "refuse"),
        a_dead(server, "No such user", queue="mail"),
        a_dead(server, "timeout", "refuse", queue="mail"),
    ]
    for name in ("tasks", "mail"):
        server.client.post(f"/queues/{name}/pause")
    return ids


def letters(server: ServerProcess, **query: str) -> list[str]:
    page = server.client.get("/dead-letters", params=query)
    assert page.status_code == 200, page.text
    return [task["id"] for task in page.json()["tasks"]]


def redrive(server: ServerProcess, **members: Any) -> int:  # noqa: ANN401 - any JSON value
    number, left = redrive_and_leave(server, **members)
    assert left == {}
    return number


def redrive_and_leave(server: ServerProcess, **members: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401
    """How many were put back, and what the answer says of those that were not."""
    answer = server.client.post("/dead-letters/redrive", json=members)
    assert answer.status_code == 200, answer.text
    left = answer.json()
    return left.pop("count"), left


def test_dead_letters_are_the_dead_tasks_newest_first(morgue: ServerProcess) -> None:
    ids = several_dead(morgue)
    page = morgue.client.get("/dead-letters").json()
    assert list(page) == ["tasks", "count", "next_cursor"]
    assert page == morgue.client.get("/tasks?status=dead").json()
    assert [task["id"] for task in page["tasks"]] == ids[::-1]
    assert page["tasks"][-1]["error"] == "no such user"


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ({"order": "oldest"}, [0, 1, 2, 3]),
        ({"order": "oldest", "limit": "2"}, [0, 1]),
        ({"queue": "mail"}, [3, 2]),
        ({"action": "refuse"}, [3, 1]),
        ({"action": "refuse", "queue": "tasks"}, [1]),
        ({"error_contains": "timeout"}, [3, 1]),
        ({"error_contains": "such user"}, [2, 0]),
        ({"error_contains": "no such user"}, [0]),
        ({"error_contains": "5 % (host_a)"}, [1]),
        ({"error_contains": "5 _ (host"}, []),
        ({"error_contains": "%"}, [1]),
        ({"error_contains": "timeout", "queue": "mail", "action": "refuse"}, [3]),
        ({"created_after": "1"}, [3, 2, 1, 0]),
        ({"created_before": "1"}, []),
    ],
)
def test_dead_letters_can_be_filtered(
    morgue: ServerProcess, query: dict[str, str], places: list[int]
) -> None:
    ids = several_dead(morgue)
    assert letters(morgue, **query) == [ids[place] for place in places]


def test_pages_of_dead_letters_hold_each_once(morgue: ServerProcess) -> None:
    ids = several_dead(morgue)
    first = morgue.client.get("/dead-letters?limit=3").json()
    rest = morgue.client.get(f"/dead-letters?limit=3&cursor={first['next_cursor']}").json()
    assert [task["id"] for page in (first, rest) for task in page["tasks"]] == ids[::-1]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"queue": "mail"}, [2, 3]),
        ({"action": "refuse"}, [1, 3]),
        ({"error_contains": "such user"}, [0, 2]),
        ({"error_contains": "timeout", "queue": "tasks"}, [1]),
        ({"action": "reject", "queue": "mail", "error_contains": "No such"}, [2]),
        ({"queue": "tasks", "limit": 1}, [0]),
        ({"error_contains": " ", "limit": 3}, [0, 1, 2]),
        ({"queue": "mail", "limit": None, "per_second": None}, [2, 3]),
    ],
)
def test_a_redrive_puts_back_the_dead_tasks_that_match(
    morgue: ServerProcess, members: dict[str, Any], places: list[int]
) -> None:
    ids = several_dead(morgue)
    assert redrive(morgue, **members) == len(places)
    left = [task_id for place, task_id in enumerate(ids) if place not in places]
    assert letters(morgue, order="oldest") == left
    for place in places:
        task = morgue.task(ids[place])
        assert (task["status"], task["attempt"], task["processed_at"]) == ("queued", 0, None)
        assert [attempt["outcome"] for attempt in task["attempts"]] == ["failed"]


def test_a_redrive_takes_the_ids_that_are_dead(morgue: ServerProcess) -> None:
    ids = several_dead(morgue)
    alive = morgue.publish("x")
    named = [ids[1].upper(), ids[2], ids[1], alive, str(uuid4())]
    assert redrive(morgue, ids=named) == 2
    assert letters(morgue, order="oldest") == [ids[0], ids[3]]
    assert redrive(morgue, ids=named) == 0


@pytest.mark.parametrize(
    ("members", "places"),
    [
        ({"limit": 2}, [0, 1]),
        ({"queue": "mail"}, [2, 3]),
        ({"action": "refuse"}, [1, 3]),
        ({"error_contains": "No such"}, [2]),
        ({"queue": "mail", "error_contains": "host_a"}, []),
    ],
)
def test_ids_may_be_narrowed_down(
    morgue: ServerProcess, members: dict[str, Any], places: list[int]
) -> None:
    ids = several_dead(morgue)
    assert redrive(morgue, ids=ids, **members) == len(places)
    left = [task_id for place, task_id in enumerate(ids) if place not in places]
    assert letters(morgue, order="oldest") == left


def test_a_preview_says_how_many_and_puts_none_back(morgue: ServerProcess) -> None:
    ids = several_dead(morgue)
    assert redrive(morgue, action="reject", preview=True) == 2
    assert redrive(morgue, queue="mail", limit=1, preview=True) == 1
    assert all(morgue.task(each)["status"] == "dead" for each in ids)
    assert redrive(morgue, queue="mail", preview=False) == 2


def test_what_is_redriven_runs_again(morgue: ServerProcess) -> None:
    task_id = a_dead(morgue)
    assert redrive(morgue, ids=[task_id]) == 1
    morgue.wait_for_status(task_id, "dead")
    assert [attempt["number"] for attempt in morgue.task(task_id)["attempts"]] == [1, 1]


def test_a_redrive_may_be_spread_over_time(morgue: ServerProcess) -> None:
    ids = several_dead(morgue)
    assert redrive(morgue, ids=ids, per_second=0.01) == 4
    tasks = [morgue.task(task_id) for task_id in ids]
    assert [task["status"] for task in tasks] == ["queued", *["scheduled"] * 3]
    gaps = [task["run_at"] - tasks[0]["run_at"] for task in tasks]
    assert gaps == pytest.approx([0, 100, 200, 300], abs=0.002)


@pytest.mark.parametrize(
    "members",
    [
        {"queue": "tasks"},
        {"error_contains": "no such error"},
        {"ids": [str(uuid4())]},
    ],
)
def test_a_redrive_that_matches_nothing_puts_back_none(
    morgue: ServerProcess, members: dict[str, Any]
) -> None:
    assert redrive(morgue, **members) == 0


def test_a_queue_that_is_none_is_told_so(morgue: ServerProcess) -> None:
    detail = "queue 'nope' is not known; known: tasks, mail, quick"
    answer = morgue.client.post("/dead-letters/redrive", json={"queue": "nope"})
    assert problem(answer, 400, "unknown queue") == detail
    answer = morgue.client.get("/dead-letters?queue=nope")
    assert problem(answer, 400, "unknown queue") == detail


def test_a_task_whose_unique_key_has_gone_is_left_dead(morgue: ServerProcess) -> None:
    members: dict[str, Any] = {"action": "reject", "unique_key": "gone"}
    first = morgue.client.post("/tasks", json=members).json()["id"]
    morgue.wait_for_status(first, "dead")
    second = morgue.client.post("/tasks", json={**members, "delay_seconds": 1_000})
    assert second.status_code == 202
    left = {
        "unchanged": 1,
        "detail": "these are not dead any more, or their unique key has gone to another task",
    }
    assert redrive_and_leave(morgue, queue="tasks") == (0, left)
    assert redrive_and_leave(morgue, ids=[first]) == (0, left)
    assert letters(morgue) == [first]


def test_a_redrive_takes_as_many_steps_as_it_needs(morgue: ServerProcess) -> None:
    tasks = [{"action": "sum", "data": {"numbers": "none"}}] * 450
    ids = morgue.client.post("/tasks/batch", json={"tasks": tasks}).json()["ids"]
    for task_id in ids:
        morgue.wait_for_status(task_id, "dead")
    morgue.client.post("/queues/tasks/pause")
    assert redrive(morgue, action="sum", limit=449) == 449
    assert letters(morgue) == ids[-1:]


def test_what_died_in_memory_is_not_put_back(morgue: ServerProcess) -> None:
    answer = morgue.client.post("/tasks", json={"action": "reject", "queue": "quick"})
    task_id = answer.json()["id"]
    eventually(lambda: letters(morgue) == [task_id], "it is dead")
    for members in ({"ids": [task_id]}, {"action": "reject"}):
        count, left = redrive_and_leave(morgue, **members)
        assert (count, left.pop("unknown")) == (0, 1)
        assert left["detail"].endswith("is not in the settings or keeps its tasks in memory")
    answer = morgue.client.post("/dead-letters/redrive", json={"queue": "quick"})
    error = "the queue quick keeps its tasks in memory, where this cannot be done to them"
    problem(answer, 409, error)
    assert letters(morgue) == [task_id]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"limit": 5}', b'{"queue": null}'])
def test_a_redrive_has_to_say_of_what(morgue: ServerProcess, content: bytes) -> None:
    answer = morgue.client.post("/dead-letters/redrive", content=content)
    problem(
        answer,
        400,
        "give at least one of queue, action, ids, error_contains, error_group: which dead tasks",
    )


@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"queue": 5}, "queue must be a string, not 5"),
        ({"queue": ""}, "queue must not be empty"),
        ({"queue": "q" * 201}, "queue must have at most 200 characters, not 201"),
        ({"action": ["x"]}, 'action must be a string, not ["x"]'),
        ({"action": "x" * 201}, "action must have at most 200 characters, not 201"),
        ({"error_contains": ""}, "error_contains must not be empty"),
        ({"error_contains": "e" * 201}, "error_contains must have at most 200 characters, not 201"),
        ({"ids": []}, "ids must have 1 to 1000 entries, not 0"),
        ({"ids": [str(uuid4())] * 1_001}, "ids must have 1 to 1000 entries, not 1001"),
        ({"ids": "all"}, 'ids must be a list, not "all"'),
        ({"ids": [str(uuid4()), 5]}, "ids[1] must be a string, not 5"),
        ({"ids": [str(uuid4()), "abc"]}, 'ids must be ids of tasks, not "abc"'),
        ({"queue": "a", "limit": 0}, "limit must be a whole number from 1 to 10000, not 0"),
        (
            {"queue": "a", "limit": 10_001},
            "limit must be a whole number from 1 to 10000, not 10001",
        ),
        ({"queue": "a", "limit": 1.5}, "limit must be a whole number from 1 to 10000, not 1.5"),
        ({"queue": "a", "limit": "5"}, 'limit must be a whole number from 1 to 10000, not "5"'),
        ({"queue": "a", "limit": True}, "limit must be a whole number from 1 to 10000, not true"),
        (
            {"queue": "a", "per_second": 0},
            "per_second must be a number from 0.001 to 100000, not 0",
        ),
        (
            {"queue": "a", "per_second": 1e9},
            "per_second must be a number from 0.001 to 100000, not 1000000000.0",
        ),
        ({"quue": "a"}, f"quue is not known; known: {MEMBERS}"),
    ],
)
def test_a_wrong_member_is_named_with_its_value_and_what_is_allowed(
    morgue: ServerProcess, members: dict[str, Any], error: str
) -> None:
    problem(morgue.client.post("/dead-letters/redrive", json=members), 400, error)


@pytest.mark.parametrize("content", [b"[]", b"5", b"null", b"{bad"])
def test_a_body_that_is_no_json_object_is_invalid_json(
    morgue: ServerProcess, content: bytes
) -> None:
    problem(morgue.client.post("/dead-letters/redrive", content=content), 400, "invalid JSON")


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("status=dead", f"status is not known; known: {NAMES}"),
        ("unique_key=x", f"unique_key is not known; known: {NAMES}"),
        ("error_contains=", "error_contains must not be empty"),
        (f"error_contains={'e' * 201}", "error_contains must have at most 200 characters, not 201"),
        ("error_contains=%00", 'error_contains must not hold the NUL character, as "\\u0000" does'),
        ("limit=0", 'limit must be a whole number from 1 to 1000, not "0"'),
    ],
)
def test_a_wrong_query_is_named_with_its_value_and_what_is_allowed(
    morgue: ServerProcess, query: str, error: str
) -> None:
    problem(morgue.client.get(f"/dead-letters?{query}"), 400, error)


def test_dead_letters_survive_a_crash(serve: Callable[..., ServerProcess]) -> None:
    server = serve(*SETTINGS).start()
    task_id = a_dead(server, "why it died")
    server.kill()
    server.start()
    (task,) = server.client.get("/dead-letters").json()["tasks"]
    assert (task["id"], task["error"]) == (task_id, "why it died")
    assert redrive(server, error_contains="why") == 1


# --- groups -----------------------------------------------------------------------------------


def groups(server: ServerProcess, **query: str) -> list[tuple[str, str, str, int]]:
    answer = server.client.get("/dead-letters/groups", params=query)
    assert answer.status_code == 200, answer.text
    found = answer.json()["groups"]
    assert answer.json()["count"] == len(found)
    for each in found:
        assert each["first_at"] <= each["last_at"] <= time.time()
    return [(each["queue"], each["action"], each["error_group"], each["count"]) for each in found]


def test_dead_tasks_are_shown_by_their_errors_without_ids_and_numbers(
    morgue: ServerProcess,
) -> None:
    for message in ("no user 17", "no user 18"):
        a_dead(morgue, message)
    a_dead(morgue, "no user 19", queue="mail")
    assert groups(morgue) == [
        ("tasks", "reject", "no user #", 2),
        ("mail", "reject", "no user #", 1),
    ]
    assert groups(morgue, limit="1") == [("tasks", "reject", "no user #", 2)]
    assert groups(morgue, queue="mail", action="reject") == [("mail", "reject", "no user #", 1)]
    assert letters(morgue, error_group="no user #", queue="mail") == letters(morgue, queue="mail")


def test_a_group_is_redriven_and_leaves_the_others(morgue: ServerProcess) -> None:
    a_dead(morgue, "no user 17")
    other = a_dead(morgue, "no such user")
    morgue.client.post("/queues/tasks/pause")
    body = {"error_group": "no user #", "queue": "tasks"}
    assert morgue.client.post("/dead-letters/redrive", json=body).json() == {"count": 1}
    assert groups(morgue) == [("tasks", "reject", "no such user", 1)]
    named = {"error_group": "no user #", "ids": [other]}
    assert morgue.client.post("/dead-letters/redrive", json=named).json() == {"count": 0}
    empty = {"error_group": ""}
    assert morgue.client.post("/dead-letters/redrive", json=empty).json() == {"count": 0}
