"""A key restricted to queues: what it sees, where it may publish, and what it is told."""

import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.answers import complaints, problem
from tests.api.restricted import HIDDEN, Restricted, restricted
from tests.api.servers import DATABASES

pytestmark = pytest.mark.system

TASK: dict[str, Any] = {"action": "uppercase", "data": {"text": "mail-text"}}
STATES = ("scheduled", "queued", "running", "completed", "dead", "cancelled")


@pytest.fixture(scope="module", params=DATABASES)
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Restricted]:
    """With a queue in memory, whose tasks are rows once they are final."""
    with restricted(request, tmp_path_factory, "queues.quick.driver=memory") as found:
        yield found
        assert complaints(found.server) == []


def ids_in(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [task["id"] for task in answer.json()["tasks"]]


def pages(client: httpx.Client, path: str = "/tasks", **query: str) -> list[str]:
    """The ids on all pages, of one task each."""
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get(path, params={"limit": "1", **query, **cursor})
        ids += ids_in(page)
        if page.json()["next_cursor"] is None:
            return ids
        cursor = {"cursor": page.json()["next_cursor"]}


def publish(client: httpx.Client, key: str | None = None, **members: Any) -> httpx.Response:  # noqa: ANN401
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post("/tasks", json=TASK | members, headers=headers)


def test_a_listing_has_the_tasks_of_its_queues_alone_whatever_it_is_asked_for(
    both: Restricted,
) -> None:
    own = sorted(both.mine_ids.values())
    assert sorted(pages(both.mine)) == own
    assert pages(both.mine, order="oldest") == pages(both.mine)[::-1]
    assert sorted(pages(both.mine, status=",".join(STATES))) == own
    for status, task_id in both.mine_ids.items():
        assert pages(both.mine, status=status) == [task_id]
        assert pages(both.mine, status=status, action="sum") == []
        assert pages(both.mine, unique_key=f"mail-{status}") == [task_id]
        assert pages(both.mine, unique_key=f"{HIDDEN}-{status}") == []
        assert pages(both.root, unique_key=f"{HIDDEN}-{status}") == [both.hidden_ids[status]]
    assert pages(both.mine, "/dead-letters") == [both.mine_ids["dead"]]
    assert pages(both.mine, "/dead-letters", error_contains="error") == [both.mine_ids["dead"]]
    assert sorted(pages(both.theirs)) == sorted(both.hidden_ids.values())


def test_names_that_only_others_have_are_not_known(both: Restricted) -> None:
    known = "known: mail, sms"
    for path in ("/tasks", "/dead-letters"):
        answer = both.mine.get(path, params={"queue": HIDDEN})
        assert problem(answer, 400, "unknown queue").endswith(known)
        answer = both.mine.get(path, params={"action": f"{HIDDEN}-action"})
        detail = problem(answer, 400, "unknown action")
        assert detail.startswith(f"action '{HIDDEN}-action' is not known; ")
        # Of a task of its own it is known, though the settings have it no more.
        assert ids_in(both.mine.get(path, params={"action": "mail-action"})) in (
            [both.mine_ids["cancelled"]],
            [],
        )
    answer = both.mine.post("/dead-letters/redrive", json={"queue": HIDDEN})
    assert problem(answer, 400, "unknown queue").endswith(known)
    assert ids_in(both.root.get("/tasks", params={"action": f"{HIDDEN}-action"})) == [
        both.hidden_ids["cancelled"]
    ]


def test_a_cursor_of_another_key_opens_nothing(both: Restricted) -> None:
    cursors = {
        name: client.get("/tasks", params={"limit": 1}).json()["next_cursor"]
        for name, client in (("root", both.root), ("mine", both.mine), ("theirs", both.theirs))
    }
    for name, cursor in cursors.items():
        for client in (both.root, both.mine, both.theirs):
            if client is not getattr(both, name):
                detail = problem(
                    client.get("/tasks", params={"cursor": cursor}),
                    400,
                    "cursor is of a listing with other filters or in another order; ask with those,"
                    " or leave it out",
                )
                assert HIDDEN not in detail


def test_queues_and_schedules_are_its_own_alone(both: Restricted) -> None:
    queues = both.mine.get("/queues").json()["queues"]
    assert [queue["name"] for queue in queues] == ["mail", "sms"]
    assert queues[0]["counts"] == dict.fromkeys(STATES, 1)
    schedules = both.mine.get("/schedules").json()["schedules"]
    assert [each["name"] for each in schedules] == ["mail-nightly"]
    assert len(both.root.get("/schedules").json()["schedules"]) == 3


@pytest.mark.parametrize("members", [{}, {"priority": 5}, {"unique_key": f"{HIDDEN}-queued"}])
def test_it_may_publish_to_its_queues_alone(both: Restricted, members: dict[str, Any]) -> None:
    before = both.hidden()
    for queue in (HIDDEN, "absent", "tasks", None):
        answer = publish(both.mine, queue=queue, **members)
        name = "tasks" if queue is None else queue
        detail = f"queue must be one that this key may publish to (fax, mail, sms), not '{name}'"
        assert problem(answer, 403, "queue not allowed") == detail
        batch = {"tasks": [TASK | {"queue": "mail"}, TASK | {"queue": queue} | members]}
        answer = both.mine.post("/tasks/batch", json=batch)
        assert problem(answer, 403, "queue not allowed") == f"tasks[1].{detail}"
    detail = problem(publish(both.mine, queue="fax", **members), 400, "unknown queue")
    assert detail == "queue 'fax' is not known; known: mail, sms"
    assert (both.hidden(), both.mine.get("/tasks").json()["count"]) == (before, 6)


def test_limits_of_its_queues_alone_are_told(both: Restricted) -> None:
    answer = publish(both.mine, queue="mail")
    assert answer.headers["RateLimit"].startswith('"length";r=99')
    both.root.post(f"/tasks/{answer.json()['id']}/cancel")
    assert both.root.delete(f"/tasks/{answer.json()['id']}").status_code == 204


def test_idempotency_keys_of_those_who_see_other_queues_never_meet(both: Restricted) -> None:
    key = uuid4().hex
    first = publish(both.mine, key, queue="mail")
    again = publish(both.again, key, queue="mail")
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"], "another key for the same queues"
    others = [publish(both.root, key, queue="mail"), publish(both.theirs, key, queue=HIDDEN)]
    assert [each.status_code for each in others] == [202, 202]
    assert all("Idempotency-Replayed" not in each.headers for each in others)
    # Another body with the same key is refused to its own, and to nobody else.
    for client, status in ((both.again, 422), (both.root, 422), (both.theirs, 403)):
        assert publish(client, key, queue="mail", priority=5).status_code == status
    for task_id in {each.json()["id"] for each in (first, *others)}:
        both.root.post(f"/tasks/{task_id}/cancel")
        assert both.root.delete(f"/tasks/{task_id}").status_code == 204


def test_a_schedule_of_another_queue_is_not_taken_over(both: Restricted) -> None:
    before = both.hidden()
    body = {"cron": "* * * * *", "task": TASK | {"queue": "mail"}}
    for name in (f"{HIDDEN}-nightly", f"{HIDDEN}-set"):
        detail = f"the name {name} is taken; choose another one"
        assert problem(both.mine.put(f"/schedules/{name}", json=body), 409, detail) == detail
        for answer in (both.mine.get(f"/schedules/{name}"), both.mine.delete(f"/schedules/{name}")):
            assert problem(answer, 404, "schedule not found") == f"there is no schedule {name!r}"
    for queue in (HIDDEN, "absent", None):
        body = {"cron": "* * * * *", "task": TASK | {"queue": queue}}
        answer = both.mine.put("/schedules/mail-nightly", json=body)
        assert problem(answer, 403, "queue not allowed").startswith("task.queue must be one that")
    assert both.hidden() == before
    assert both.mine.get("/schedules/mail-nightly").json()["cron"] == "0 3 * * *"


def test_everybody_may_ask_whether_it_is_ready_with_any_key_or_none(both: Restricted) -> None:
    ready = {"status": "ready", "problems": [], "warnings": []}
    with httpx.Client(base_url=both.root.base_url) as nobody:
        for client in (both.root, both.mine, nobody):
            shown = client.get("/readyz").json()
            assert bool(shown["warnings"]) == (client is both.root)
            assert shown | {"warnings": []} == ready
            assert client.get("/healthz").json() == {"status": "alive"}
        wrong = nobody.get("/readyz", headers={"Authorization": "Bearer wrong"})
        assert (wrong.status_code, wrong.json()) == (200, ready)


def test_a_wait_for_a_hidden_task_takes_as_long_as_one_for_none(both: Restricted) -> None:
    """With a queue in memory a task that is not there may still come."""
    for task_id in (both.hidden_ids["completed"], str(uuid4())):
        asked_at = time.monotonic()
        answer = both.mine.get(f"/tasks/{task_id}", headers={"Prefer": "wait=1"})
        assert problem(answer, 404, "task not found") == f"there is no task {task_id!r}"
        assert time.monotonic() - asked_at >= 1


def test_actions_are_of_no_queue(both: Restricted) -> None:
    assert both.mine.get("/actions").json() == both.root.get("/actions").json()
    assert both.mine.get("/actions/lend").json() == both.root.get("/actions/lend").json()


def test_what_is_done_to_all_dead_tasks_is_done_to_its_own(both: Restricted) -> None:
    """Comes last: the dead one is not dead any more."""
    before = both.hidden()
    everything = [*both.mine_ids.values(), *both.hidden_ids.values()]
    for body, count in (
        ({"ids": list(both.hidden_ids.values())}, 0),
        ({"error_contains": "error"}, 1),
        ({"ids": everything}, 0),
    ):
        answer = both.mine.post("/dead-letters/redrive", json=body)
        assert answer.json() == {"count": count}
    assert both.server.task(both.mine_ids["dead"])["status"] == "queued"
    purged = both.mine.post("/queues/mail/purge").json()
    assert purged == {"name": "mail", "count": 3}
    assert both.hidden() == before
