"""Changes of many tasks at once: which, how many, with a preview, and again after a crash."""

from collections.abc import Iterator
from typing import Any

import pytest

from task_queue.api.requests.selection import SelectionParameters
from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.until=tests.actions:run_until_cancelled",
    "actions.reject=tests.actions:reject",
    "queues.held.concurrency=1",
    "queues.quick.driver=memory",
)
NOBODY = "01a20000-0000-7000-8000-000000000000"
TELLS = ", ".join(SelectionParameters.names())


@pytest.fixture(scope="module", params=DATABASES)
def mass(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database, with a queue that is paused, and one in memory."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        server.client.post("/queues/held/pause")
        yield server


@pytest.fixture(autouse=True)
def nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "mass" in request.fixturenames:
        server: ServerProcess = request.getfixturevalue("mass")
        change(server, "cancel", created_after="1")
        eventually(lambda: not preview(server, "cancel", created_after="1")["count"], "all ended")
        change(server, "delete", created_after="1")
        assert complaints(server) == []


def publish(server: ServerProcess, count: int = 1, **members: Any) -> list[str]:  # noqa: ANN401
    """The ids of tasks on the queue that is paused, unless another is named."""
    body = {"action": "sum", "queue": "held", "data": {"numbers": [1]}, **members}
    answer = server.client.post("/tasks/batch", json={"tasks": [body] * count})
    assert answer.status_code == 202, answer.text
    return [str(each) for each in answer.json()["ids"]]


def change(
    server: ServerProcess, verb: str, ids: list[str] | None = None, **query: str
) -> dict[str, Any]:
    body = None if ids is None else {"ids": ids}
    answer = server.client.post(f"/tasks/{verb}", params=query, json=body)
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def preview(server: ServerProcess, verb: str, **query: Any) -> dict[str, Any]:  # noqa: ANN401 - any text
    return change(server, verb, preview="true", **query)


def states(server: ServerProcess, ids: list[str]) -> list[str]:
    return [str(server.task(each)["status"]) for each in ids]


def test_many_are_cancelled_put_back_and_deleted_by_a_filter(mass: ServerProcess) -> None:
    ids = publish(mass, 3) + publish(mass, delay_seconds=1_000)
    other = publish(mass, key="other")
    assert preview(mass, "cancel", queue="held") == {"count": 5}
    assert change(mass, "cancel", key="other")["count"] == 1
    assert change(mass, "cancel", queue="held", status="queued,scheduled") == {
        "count": 4,
        "skipped": 0,
        "next_cursor": None,
    }
    assert states(mass, ids + other) == ["cancelled"] * 5
    assert change(mass, "retry", queue="held", status="cancelled")["count"] == 5
    assert states(mass, ids) == ["queued"] * 4
    assert preview(mass, "delete", queue="held") == {"count": 0}
    change(mass, "cancel", queue="held")
    assert change(mass, "delete", queue="held")["count"] == 5
    assert mass.client.get("/tasks", params={"queue": "held"}).json()["tasks"] == []


def test_a_cursor_leads_through_all_of_them_and_a_repetition_changes_nothing(
    mass: ServerProcess,
) -> None:
    publish(mass, 5)
    counts: list[int] = []
    query: dict[str, Any] = {"queue": "held", "limit": "2"}
    while True:
        step = change(mass, "cancel", **query)
        counts.append(step["count"])
        if step["next_cursor"] is None:
            break
        again = change(mass, "cancel", **query)
        assert (again["count"], again["skipped"]) == (min(2, 5 - sum(counts)), 0)
        counts.append(again["count"])
        query["cursor"] = step["next_cursor"]
    assert sum(counts) == 5
    foreign = {"queue": "held", "cursor": query["cursor"], "status": "queued"}
    answer = mass.client.post("/tasks/cancel", params=foreign)
    assert answer.json()["type"].endswith("#invalid-cursor")


def test_ids_and_filters_have_to_hold_both(mass: ServerProcess) -> None:
    first, second = publish(mass), publish(mass, key="second")
    ids = [*first, *second, first[0].upper(), NOBODY]
    assert change(mass, "cancel", ids, key="second", preview="true") == {"count": 1}
    done = {"count": 1, "skipped": 2, "next_cursor": None}
    assert change(mass, "cancel", ids, key="second") == done
    assert states(mass, first + second) == ["queued", "cancelled"]
    assert change(mass, "cancel", ids) == done
    assert change(mass, "cancel", ids) == {"count": 0, "skipped": 3, "next_cursor": None}


def test_what_runs_is_asked_to_stop_once(mass: ServerProcess) -> None:
    (task_id,) = publish(mass, action="until", queue="tasks")
    mass.wait_for_status(task_id, "running")
    assert change(mass, "cancel", action="until", status="queued")["count"] == 0
    assert change(mass, "cancel", action="until")["count"] == 1
    mass.wait_for_status(task_id, "cancelled")
    assert change(mass, "cancel", [task_id]) == {"count": 0, "skipped": 1, "next_cursor": None}


def test_a_task_whose_unique_key_has_gone_to_another_is_skipped(mass: ServerProcess) -> None:
    gone = publish(mass, unique_key="a") + publish(mass, unique_key="b")
    change(mass, "cancel", gone)
    publish(mass, unique_key="a")
    back = change(mass, "retry", queue="held")
    assert (back["count"], back["skipped"]) == (1, 1)
    assert states(mass, gone) == ["cancelled", "queued"]


def test_of_two_with_one_unique_key_one_is_put_back(mass: ServerProcess) -> None:
    for _ in range(2):
        change(mass, "cancel", publish(mass, unique_key="a"))
    back = change(mass, "retry", queue="held")
    assert (back["count"], back["skipped"]) == (1, 1)


def test_a_group_of_dead_ones_is_put_back(mass: ServerProcess) -> None:
    ids = [
        publish(mass, action="reject", queue="tasks", data={"message": message})[0]
        for message in ("no user 17", "no user 18", "no such user")
    ]
    for each in ids:
        mass.wait_for_status(each, "dead")
    mass.client.post("/queues/tasks/pause")
    query: dict[str, Any] = {"error_group": "no user #"}
    assert preview(mass, "retry", **query) == {"count": 2}
    assert change(mass, "retry", **query)["count"] == 2
    assert states(mass, ids) == ["queued", "queued", "dead"]
    mass.client.post("/queues/tasks/resume")


@pytest.mark.parametrize("verb", ["cancel", "retry"])
def test_what_a_queue_has_in_memory_cannot_be_changed(mass: ServerProcess, verb: str) -> None:
    answer = mass.client.post(f"/tasks/{verb}", params={"queue": "quick"})
    text = "the queue quick keeps its tasks in memory, where this cannot be done to them"
    assert problem(answer, 409, text) == text


def test_what_a_queue_in_memory_has_done_can_be_deleted(mass: ServerProcess) -> None:
    publish(mass, 2, queue="quick")
    eventually(lambda: preview(mass, "delete", queue="quick")["count"] == 2, "both are done")
    assert change(mass, "delete", queue="quick")["count"] == 2


@pytest.mark.parametrize(
    ("verb", "query", "error"),
    [
        ("cancel", {}, f"give ids in the body or at least one of {TELLS}: which tasks"),
        ("retry", {"order": "oldest", "limit": "5"}, "give ids in the body or at least one of"),
        (
            "cancel",
            {"status": "dead,completed"},
            "status must be one of those that cancel changes: scheduled, queued, running",
        ),
        (
            "retry",
            {"status": "queued"},
            "status must be one of those that retry changes: dead, cancelled",
        ),
        (
            "delete",
            {"status": "running"},
            "status must be one of those that delete changes: completed, dead, cancelled",
        ),
        ("delete", {"queue": "held", "preview": "yes"}, 'preview must be true or false, not "yes"'),
        ("delete", {"queue": "nope"}, "unknown queue"),
        ("delete", {"key": "k", "limit": "1001"}, "limit must be a whole number from 1 to 1000"),
    ],
)
def test_what_selects_nothing_is_refused(
    mass: ServerProcess, verb: str, query: dict[str, str], error: str
) -> None:
    answer = mass.client.post(f"/tasks/{verb}", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(error), answer.text


def test_ids_have_no_cursor(mass: ServerProcess) -> None:
    answer = mass.client.post("/tasks/cancel", params={"cursor": "x"}, json={"ids": [NOBODY]})
    text = "cursor goes with filters alone; ids are all looked at in one request"
    assert problem(answer, 400, text) == text


def test_the_audit_log_says_which(mass: ServerProcess) -> None:
    change(mass, "cancel", queue="held", preview="true")
    change(mass, "delete", [NOBODY], key="a b")

    def look() -> list[tuple[str, str, int | None]]:
        entries = mass.client.get("/audit?limit=3").json()["entries"][1:]
        found = [(each["what"], each["target"], each["status"]) for each in entries]
        return [] if None in [status for _, _, status in found] else found

    assert eventually(look, "the statuses are noted") == [
        ("delete_tasks", "/tasks/delete?key=a+b (1 id)", 200),
        ("cancel_tasks", "/tasks/cancel?queue=held&preview=true", 200),
    ]
