"""Publishing, listing and looking at tasks, as the tutorial's reader does it."""

import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.api.answers import problem
from tests.harness import ROOT, Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

THE_SIX = ["id", "payload", "status", "result", "created_at", "processed_at"]
THE_OTHERS = [
    "queue",
    "priority",
    "error",
    "attempt",
    "max_attempts",
    "run_at",
    "started_at",
    "ended_at",
    "expires_at",
    "unique_key",
    "key",
    "keep_result_seconds",
    "timeout_seconds",
    "backoff",
    "callback",
    "traceparent",
    "tracestate",
    "schedule",
    "worker",
    "postponed",
    "cancel_requested",
    "progress",
]
HELLO = {"action": "uppercase", "data": {"text": "hello world"}}


@pytest.fixture
def tutorials(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server with the tutorial's own settings: memory driver, simulated work."""
    environ = {"TASK_QUEUE_CONFIG": str(ROOT / "config" / "tutorial.toml")}
    server = ServerProcess(tmp_path, environ=environ)
    yield server.start()
    server.close()


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, list[str]]]:
    """A server with 105 completed and 3 dead tasks, and their ids, newest first."""
    server = ServerProcess(tmp_path_factory.mktemp("listed")).start()
    ids = [server.publish("sum", numbers=[number]) for number in range(105)]
    ids += [server.publish("sum", numbers="none") for _ in range(3)]
    eventually(lambda: all(task["processed_at"] for task in server.all_tasks()), "all are done")
    yield server, ids[::-1]
    server.close()


def without_attempts(task: dict[str, Any]) -> dict[str, Any]:
    """The task as a listing shows it."""
    return {name: value for name, value in task.items() if name != "attempts"}


def pages(server: ServerProcess, **query: str) -> Iterator[list[str]]:
    cursor: str | None = None
    while True:
        page = server.client.get(
            "/tasks", params=query | ({"cursor": cursor} if cursor else {})
        ).json()
        assert page["count"] == len(page["tasks"])
        yield [task["id"] for task in page["tasks"]]
        if (cursor := page["next_cursor"]) is None:
            return


def the_tutorials_three_calls(server: ServerProcess) -> None:
    published = server.client.post("/tasks", json=HELLO)
    assert published.status_code == 202
    assert published.headers["Content-Type"] == "application/json"
    assert list(published.json()) == ["id", "status"]
    assert published.json()["status"] == "queued"
    task_id = published.json()["id"]
    assert published.headers["Location"] == f"/tasks/{task_id}"
    assert UUID(task_id).version == 7

    def done() -> dict[str, Any]:
        listing: dict[str, Any] = server.client.get("/tasks").json()
        return listing if listing["count"] and listing["tasks"][0]["processed_at"] else {}

    listing = eventually(done, "the task is completed")
    assert list(listing) == ["tasks", "count", "next_cursor"]
    assert listing["count"] == 1
    assert listing["next_cursor"] is None
    (task,) = listing["tasks"]
    assert list(task) == THE_SIX + THE_OTHERS
    assert task["id"] == task_id
    created_at, processed_at = task["created_at"], task["processed_at"]
    assert task["payload"] == {"id": task_id, **HELLO, "created_at": created_at}
    assert task["status"] == "completed"
    assert task["result"] == {"output": "HELLO WORLD"}
    assert isinstance(created_at, int)
    assert isinstance(processed_at, int)
    assert created_at <= processed_at
    assert server.client.get("/tasks?status=completed").json() == listing


def test_the_tutorials_three_calls_get_the_tutorials_answers(
    serve: Callable[..., ServerProcess],
) -> None:
    the_tutorials_three_calls(serve().start())


def test_the_tutorials_own_settings_give_the_same_answers(tutorials: ServerProcess) -> None:
    the_tutorials_three_calls(tutorials)


@pytest.mark.parametrize(
    ("action", "data", "result"),
    [
        ("uppercase", {"text": "hello world"}, {"output": "HELLO WORLD"}),
        ("uppercase", {"text": "größer 🎉"}, {"output": "GRÖSSER 🎉"}),
        ("uppercase", {}, {"output": ""}),
        ("uppercase", {"text": None}, {"output": ""}),
        ("sum", {"numbers": [1, 2, 3]}, {"output": 6}),
        ("sum", {"numbers": [0.5, 1]}, {"output": 1.5}),
        ("sum", {"numbers": [2**63 - 2, 1]}, {"output": 2**63 - 1}),
        ("sum", {}, {"output": 0}),
        ("anything-else", {"at": "all"}, {"output": "processed"}),
    ],
)
def test_an_action_gives_its_result(
    either_server: ServerProcess, action: str, data: dict[str, Any], result: dict[str, Any]
) -> None:
    task_id = either_server.publish(action, **data)
    assert either_server.wait_for_status(task_id, "completed")["result"] == result


@pytest.mark.parametrize(
    ("action", "data", "error"),
    [
        ("uppercase", {"text": 5}, "data.text must be a string, not a number"),
        ("sum", {"numbers": "12"}, "data.numbers must be a list of numbers, not a string"),
        ("sum", {"numbers": [1, "2"]}, "data.numbers[1] must be a number, not a string"),
        ("sum", {"numbers": [True]}, "data.numbers[0] must be a number, not a boolean"),
        ("sum", {"numbers": [2**63 - 1, 1]}, "data.numbers add up to more than a 64-bit"),
        ("sum", {"numbers": [-1e308, -1e308]}, "data.numbers add up to more than a 64-bit"),
        ("sum", {"numbers": [2**63 - 1, 1e308, 1e308]}, "data.numbers add up to more than a"),
    ],
)
def test_wrong_data_makes_a_task_dead_at_once_with_an_error_that_names_the_field(
    either_server: ServerProcess, action: str, data: dict[str, Any], error: str
) -> None:
    dead = either_server.wait_for_status(either_server.publish(action, **data), "dead")
    assert dead["error"].startswith(error)
    assert dead["attempt"] == 1
    assert dead["result"] is None
    assert dead["processed_at"] is not None
    assert without_attempts(dead) in either_server.client.get("/tasks").json()["tasks"]


@pytest.mark.parametrize(
    "data",
    [
        {"text": "\x01\x7f\u2028 \\u0000 \\ \" ' %s 😀 e\u0301 \uffff"},
        {"": {"": []}, "__proto__": 1, "a.b": "'; DROP TABLE tasks; --"},
        {"numbers": [-(2**63), 2**63 - 1, 1.5, -0.1, 1e-308, 1.7976931348623157e308, 0.1 + 0.2]},
        {"long": "ü" * 500_000},
        {"deep": [[[[[[{"a": [None, True, False]}]]]]]]},
    ],
    ids=["characters", "keys", "numbers", "long", "deep"],
)
def test_data_comes_back_as_it_was_sent(either_server: ServerProcess, data: dict[str, Any]) -> None:
    task_id = either_server.publish("keep", **data)
    assert either_server.task(task_id)["payload"]["data"] == data
    assert either_server.wait_for_status(task_id, "completed")["payload"]["data"] == data


@pytest.mark.parametrize("body", [b'{"action": "x"}', b'{"action": "x", "data": null}'])
def test_data_is_empty_when_left_out(server: ServerProcess, body: bytes) -> None:
    task_id = server.client.post("/tasks", content=body).json()["id"]
    assert server.task(task_id)["payload"]["data"] == {}


@pytest.mark.parametrize(
    ("body", "member"),
    [
        (b'{"action": "first", "action": "last"}', "action"),
        (b'{"action": "x", "data": {"a": 1, "a": 2}}', "a"),
    ],
)
def test_a_member_that_is_given_twice_is_refused(
    server: ServerProcess, body: bytes, member: str
) -> None:
    detail = f"{member} is given twice in one object; give it once"
    answer = server.client.post("/tasks", content=body)
    assert problem(answer, 400, "invalid JSON") == detail


@pytest.mark.parametrize(
    "content_type", [None, "application/json; charset=utf-8", "Application/JSON", ""]
)
def test_these_content_types_mean_json(server: ServerProcess, content_type: str | None) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = server.client.post("/tasks", content=b'{"action": "x"}', headers=headers)
    assert answer.status_code == 202


def test_an_empty_queue_lists_nothing(serve: Callable[..., ServerProcess]) -> None:
    assert serve().start().client.get("/tasks").json() == {
        "tasks": [],
        "count": 0,
        "next_cursor": None,
    }


def test_a_listing_is_newest_first_and_100_long(listed: tuple[ServerProcess, list[str]]) -> None:
    server, ids = listed
    listing = server.client.get("/tasks").json()
    assert [task["id"] for task in listing["tasks"]] == ids[:100]
    assert listing["count"] == 100


@pytest.mark.parametrize("limit", [1, 7, 54, 107, 108, 109, 1000])
def test_pages_hold_every_task_once_in_order(
    listed: tuple[ServerProcess, list[str]], limit: int
) -> None:
    server, ids = listed
    found = list(pages(server, limit=str(limit)))
    assert list(chain(*found)) == ids
    assert all(found)


def test_pages_keep_their_filter(listed: tuple[ServerProcess, list[str]]) -> None:
    server, ids = listed
    assert list(pages(server, status="dead", limit="2")) == [ids[:2], ids[2:3]]
    completed = list(pages(server, status="completed", limit="50"))
    assert [len(page) for page in completed] == [50, 50, 5]
    assert list(chain(*completed)) == ids[3:]


@pytest.mark.parametrize("status", ["scheduled", "queued", "running", "cancelled"])
def test_a_state_that_no_task_has_lists_nothing(
    listed: tuple[ServerProcess, list[str]], status: str
) -> None:
    server, _ = listed
    assert server.client.get("/tasks", params={"status": status}).json()["count"] == 0


def test_a_task_published_meanwhile_does_not_shift_the_next_page(server: ServerProcess) -> None:
    ids = [server.publish("x") for _ in range(4)][::-1]
    first = server.client.get("/tasks?limit=2").json()
    server.publish("x")
    second = server.client.get(f"/tasks?limit=2&cursor={first['next_cursor']}").json()
    assert [task["id"] for page in (first, second) for task in page["tasks"]] == ids


def test_the_filter_tells_running_from_queued(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve("queues.tasks.concurrency=1", "actions.wait=tests.actions:wait_for_fifo").start()
    gate = Gate(tmp_path)
    running = server.publish("wait", fifo=str(gate.path))
    server.wait_for_status(running, "running")
    ready = [server.publish("sum") for _ in range(10)]
    assert list(pages(server, status="running")) == [[running]]
    assert next(pages(server, status="queued")) == ready[::-1]
    gate.open()
    assert server.wait_for_status(running, "completed")["result"] == {"output": "through"}
    for task_id in ready:
        server.wait_for_status(task_id, "completed")


def test_one_task_is_shown_as_in_the_listing(server: ServerProcess) -> None:
    task_id = server.publish("x")
    task = server.wait_for_status(task_id, "completed")
    assert without_attempts(task) in server.client.get("/tasks").json()["tasks"]
    assert list(task) == [*THE_SIX, *THE_OTHERS, "attempts"]


def test_what_nobody_asked_for_is_null(server: ServerProcess) -> None:
    task = server.wait_for_status(server.publish("x"), "completed")
    asked_for = ["expires_at", "unique_key", "key", "keep_result_seconds", "backoff", "schedule"]
    others = ["timeout_seconds", "error", "progress"]
    assert {task[name] for name in [*asked_for, *others]} == {None}
    assert (task["priority"], task["postponed"], task["cancel_requested"]) == (0, 0, False)


def test_what_was_asked_for_is_shown(either_server: ServerProcess) -> None:
    members = {
        "priority": -7,
        "run_at": "2099-01-01T00:00:00.5+01:00",
        "expires_at": 4_102_444_800,
        "max_attempts": 9,
        "backoff": {"base": 2, "factor": 3.5},
        "unique_key": "mine 🎉",
        "key": "tenant",
        "keep_result_seconds": 60,
        "timeout_seconds": 7.5,
    }
    answer = either_server.client.post("/tasks", json={"action": "x", **members})
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")
    task = either_server.task(answer.json()["id"])
    assert task["status"] == "scheduled"
    assert {name: task[name] for name in members} == {
        **members,
        "run_at": 4_070_905_200.5,
        "backoff": {"base": 2.0, "factor": 3.5, "cap": 3600.0},
    }
    assert task["attempts"] == []


def test_a_completed_task_shows_its_attempt(either_server: ServerProcess) -> None:
    task = either_server.wait_for_status(either_server.publish("x"), "completed")
    (attempt,) = task["attempts"]
    assert list(attempt) == [
        "number",
        "started",
        "ended",
        "worker",
        "outcome",
        "error",
        "traceback",
        "stderr",
    ]
    assert (attempt["number"], attempt["outcome"]) == (1, "completed")
    assert (attempt["error"], attempt["traceback"], attempt["stderr"]) == (None, None, None)
    assert attempt["worker"] == task["worker"] is not None
    assert (attempt["started"], attempt["ended"]) == (task["started_at"], task["ended_at"])
    assert task["created_at"] <= attempt["started"] <= attempt["ended"] < task["created_at"] + 60


def test_what_a_program_said_is_shown_with_its_attempt_whether_that_went_well_or_not(
    serve: Callable[..., ServerProcess], database_url: str
) -> None:
    say = 'actions.{}={{command = ["sh", "-c", "echo said >&2; exit {}"]}}'
    server = serve(
        f"database.url={database_url}",
        say.format("well", 0),
        say.format("badly", 3),
        "queues.tasks.max_attempts=1",
    ).start()
    well = server.wait_for_status(server.publish("well"), "completed")
    badly = server.wait_for_status(server.publish("badly"), "dead")
    assert [(each["outcome"], each["error"], each["stderr"]) for each in well["attempts"]] == [
        ("completed", None, "said\n")
    ]
    assert well["attempts"][0]["started"] == well["started_at"]
    assert [(each["outcome"], each["error"], each["stderr"]) for each in badly["attempts"]] == [
        ("failed", "exit code 3: said", "said\n")
    ]


@pytest.mark.parametrize("process", [False, True], ids=["thread", "process"])
def test_what_an_action_prints_and_logs_is_shown_with_its_attempt(
    serve: Callable[..., ServerProcess], *, process: bool
) -> None:
    where = f"{{python='tests.actions:talk', cpu={str(process).lower()}}}"
    server = serve(f"actions.talk={where}", "log.level=WARNING").start()
    task = server.wait_for_status(server.publish("talk"), "completed")
    (attempt,) = task["attempts"]
    lines = re.sub(r"(?m)^\d\d:\d\d:\d\d ", "", attempt["stderr"]).splitlines()
    assert lines == ["one", "warning resized width=640", "two", "error broken logger=mine", "three"]


def test_each_failed_attempt_shows_why_and_where(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve(
        "actions.retry=tests.actions:fail_until", "queues.tasks.backoff_cap_seconds=1"
    ).start()
    task_id = server.publish("retry", file=str(tmp_path / "runs"), times=3)
    attempts = server.wait_for_status(task_id, "completed")["attempts"]
    assert [(each["number"], each["outcome"], each["error"]) for each in attempts] == [
        (1, "failed", "ValueError: run 1"),
        (2, "failed", "ValueError: run 2"),
        (3, "completed", None),
    ]
    assert "in fail_until" in attempts[0]["traceback"]
    assert attempts[0]["traceback"].endswith("ValueError: run 1\n")
    moments = [moment for each in attempts for moment in (each["started"], each["ended"])]
    assert moments == sorted(moments)


def test_a_running_task_shows_its_progress(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve("actions.work=tests.actions:report_and_wait").start()
    gate = Gate(tmp_path)
    task_id = server.publish("work", fifo=str(gate.path), fraction=0.25, message="a quarter")
    eventually(lambda: server.task(task_id)["progress"], "there is progress")
    task = server.task(task_id)
    assert task["progress"] == {"fraction": 0.25, "message": "a quarter"}
    (attempt,) = task["attempts"]
    assert (attempt["number"], attempt["outcome"], attempt["ended"]) == (1, None, None)
    gate.open()
    server.wait_for_status(task_id, "completed")


def test_an_action_that_asks_for_later_loses_no_attempt(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve("actions.later=tests.actions:retry_later", "queues.tasks.max_attempts=1").start()
    file = tmp_path / "now"
    task_id = server.publish("later", file=str(file))
    eventually(lambda: server.task(task_id)["postponed"] > 1, "it asked twice")
    file.touch()
    task = server.wait_for_status(task_id, "completed")
    assert (task["attempt"], task["result"]) == (1, {"output": "at last"})
    assert [attempt["outcome"] for attempt in task["attempts"]] == ["completed"]


@pytest.mark.parametrize("form", [str.upper, "{{{}}}".format, "urn:uuid:{}".format])
def test_an_id_is_found_in_every_form_of_a_uuid(
    server: ServerProcess, form: Callable[[str], str]
) -> None:
    task_id = server.publish("x")
    assert server.task(form(task_id))["id"] == task_id


def test_head_is_get_without_a_body(server: ServerProcess) -> None:
    listings = ("/tasks", "/dead-letters", "/queues", "/queues/tasks", "/schedules")
    for path in (*listings, f"/tasks/{server.publish('x')}", "/healthz", "/readyz"):
        answer = server.client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


def test_without_the_fallback_an_unknown_action_is_refused(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("builtin.fallback=false", "actions.mail=tests.actions:record").start()
    answer = server.client.post("/tasks", json={"action": "nope"})
    detail = problem(answer, 400, "unknown action")
    assert detail == "action 'nope' is not known; known: mail, sum, uppercase"
    assert server.client.get("/tasks").json()["count"] == 0
    server.wait_for_status(server.publish("uppercase", text="x"), "completed")
