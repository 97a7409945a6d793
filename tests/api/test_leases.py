"""Workers over HTTP, against a real server on each kind of database."""

import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from task_queue.actors.store.database import Database
from tests.api.answers import connection, read_answer
from tests.api.servers import DATABASES, server_on
from tests.databases import execute
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

SETTINGS = (
    "actions.resize.external=true",
    "actions.crop.external=true",
    'actions.crop.data_schema={type="object",required=["width"],properties={width={type="integer"}}}',
    "builtin.fallback=true",
    "execution.max_result_bytes=1024",
    "queues.memory.driver=memory",
    "queues.narrow.concurrency_per_key=1",
    "queues.slow.rate_limit=1",
    "queues.again.backoff_base_seconds=0.01",
    "queues.again.backoff_cap_seconds=0.01",
)


@pytest.fixture(scope="module", params=DATABASES)
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server


@pytest.fixture
def server(served: ServerProcess) -> ServerProcess:
    """A server on which nothing is ready that an earlier test has left."""
    for name in ("tasks", "narrow", "slow", "again"):
        served.client.post(f"/queues/{name}/purge")
    return served


def publish(server: ServerProcess, action: str = "resize", **members: Any) -> str:  # noqa: ANN401
    answer = server.client.post("/tasks", json={"action": action, **members})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def lease(
    server: ServerProcess,
    queue: str = "tasks",
    wait: int = 0,
    **members: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    headers = {"Prefer": f"wait={wait}"} if wait else {}
    answer = server.client.post(f"/queues/{queue}/lease", json=members, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers.get("Preference-Applied") == (f"wait={wait}" if wait else None)
    leases: list[dict[str, Any]] = answer.json()["leases"]
    return leases


def problem(answer: httpx.Response, status: int) -> str:
    """The sentence of the problem that was answered."""
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def kind(answer: httpx.Response) -> str:
    """Which problem it is."""
    return str(answer.json()["type"]).rpartition("#")[2]


def a_lease(server: ServerProcess, **members: Any) -> str:  # noqa: ANN401
    """The lease of a task that was just published."""
    task_id = publish(server, **members)
    [leased] = lease(server, queue=members.get("queue", "tasks"))
    assert leased["task"]["id"] == task_id
    return str(leased["lease"])


def say(server: ServerProcess, token: str, verb: str, **members: Any) -> httpx.Response:  # noqa: ANN401
    return server.client.post(f"/leases/{token}/{verb}", json=members)


def test_a_task_is_leased_extended_and_completed(server: ServerProcess) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"action": "resize", "data": {"width": 3}, "key": "a"}
    task_id = server.client.post("/tasks", json=body, headers={"traceparent": trace}).json()["id"]
    [leased] = lease(server, max=10, worker="host-1", lease_seconds=60)
    task = leased["task"]
    assert (task["id"], task["data"], task["attempt"]) == (task_id, {"width": 3}, 1)
    assert (task["key"], task["traceparent"]) == ("a", trace)
    extended = say(
        server, leased["lease"], "extend", lease_seconds=90, progress={"fraction": 0.5}
    ).json()
    assert extended["expires_at"] > leased["expires_at"]
    assert extended["cancel_requested"] is False
    shown = server.task(task_id)
    assert (shown["status"], shown["worker"]) == ("running", "host-1")
    assert shown["progress"]["fraction"] == 0.5
    done = say(server, leased["lease"], "ack", result={"height": [1, None]})
    assert done.json()["status"] == "completed"
    assert server.task(task_id)["result"] == {"height": [1, None]}
    assert say(server, leased["lease"], "ack", result={"height": [1, None]}).json() == done.json()


def test_an_optional_member_that_is_null_counts_as_not_given(server: ServerProcess) -> None:
    for _ in range(2):
        publish(server)
    members = ("max", "lease_seconds", "worker", "actions")
    body = dict.fromkeys(members)
    [leased] = server.client.post("/queues/tasks/lease", json=body).json()["leases"]
    extended = say(server, leased["lease"], "extend", lease_seconds=9, progress=None)
    assert extended.status_code == 200, extended.text
    nacked = say(
        server, leased["lease"], "nack", error="x", retry_after_seconds=None, permanent=None
    )
    assert nacked.json()["status"] == "scheduled"


def test_an_empty_body_says_nothing_where_nothing_must_be_said(server: ServerProcess) -> None:
    publish(server)
    [leased] = server.client.post("/queues/tasks/lease").json()["leases"]
    path = f"/leases/{leased['lease']}"
    for verb in ("nack", "extend"):
        answer = server.client.post(f"{path}/{verb}")
        assert problem(answer, 400) == "the body is empty; it must be a JSON object"
    assert server.client.post(f"{path}/ack").json()["status"] == "completed"
    operations = server.client.get("/openapi.json").json()["paths"]
    needed = {
        path: methods["post"]["requestBody"]["required"]
        for path, methods in operations.items()
        if "requestBody" in methods.get("post", {})
    }
    assert {path for path in needed if not needed[path]} == {
        "/queues/{name}/lease",
        "/leases/{lease}/ack",
        "/tasks/cancel",
        "/tasks/retry",
        "/tasks/delete",
    }


def test_a_request_waits_until_there_is_a_task(server: ServerProcess) -> None:
    found: list[dict[str, Any]] = []
    thread = threading.Thread(target=lambda: found.extend(lease(server, wait=30)))
    thread.start()
    task_id = publish(server)
    thread.join(20)
    assert [each["task"]["id"] for each in found] == [task_id]


def test_a_wait_ends_with_an_empty_list(server: ServerProcess) -> None:
    assert lease(server, wait=1) == []
    assert lease(server) == []


def test_a_scheduled_task_is_leased_when_it_is_due(server: ServerProcess) -> None:
    task_id = publish(server, delay_seconds=0.5)
    assert lease(server) == []
    assert [each["task"]["id"] for each in lease(server, wait=20)] == [task_id]


def test_what_is_claimed_for_a_client_that_has_gone_goes_back(server: ServerProcess) -> None:
    with pytest.raises(httpx.ReadTimeout):
        server.client.post(
            "/queues/tasks/lease", json={}, headers={"Prefer": "wait=30"}, timeout=0.5
        )
    task_id = publish(server)
    [leased] = lease(server, wait=20)
    assert (leased["task"]["id"], leased["task"]["attempt"]) == (task_id, 1)


def test_so_does_what_is_claimed_for_one_that_has_gone_just_before(server: ServerProcess) -> None:
    head = b"POST /queues/tasks/lease HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\n"
    for _ in range(5):  # sooner than anybody looks which clients have gone
        with connection(server) as client:
            client.sendall(head + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
            assert server.client.get("/readyz").status_code == 200  # meanwhile it waits
        task_id = publish(server)
        [leased] = lease(server, wait=20)
        assert (leased["task"]["id"], leased["task"]["attempt"]) == (task_id, 1)
        assert say(server, leased["lease"], "ack").status_code == 200


def test_consumers_leave_it_alone_and_the_service_is_ready(server: ServerProcess) -> None:
    task_id = publish(server)
    server.wait_for_status(server.publish("sum", numbers=[1]), "completed")
    assert server.task(task_id)["status"] == "queued"
    assert server.client.get("/readyz").json()["status"] == "ready"
    assert server.client.get("/queues/tasks").json()["counts"]["queued"] == 1


def test_a_lease_that_lapses_is_a_lost_attempt_and_no_suspect(server: ServerProcess) -> None:
    task_id = publish(server, queue="again")
    [first] = lease(server, "again", lease_seconds=1)
    [second] = lease(server, "again", wait=30)
    assert (second["task"]["id"], second["task"]["attempt"]) == (task_id, 2)
    for verb, members in (
        ("ack", {}),
        ("nack", {"error": "no"}),
        ("release", {}),
        ("extend", {"lease_seconds": 9}),
    ):
        assert problem(say(server, first["lease"], verb, **members), 409)
    server.wait_for_log("verdict refused", id=task_id, reason="lapsed")
    assert not any(first["lease"] in str(line) for line in server.log)  # it is a secret
    assert any(f"/leases/{task_id}.…" in str(line) for line in server.log)
    say(server, second["lease"], "ack")
    [lost, done] = server.task(task_id)["attempts"]
    assert (lost["outcome"], done["outcome"]) == ("lost", "completed")


def test_failures_count_and_are_dead_in_the_end(server: ServerProcess) -> None:
    task_id = publish(server, queue="again", max_attempts=2)
    for status in ("scheduled", "dead"):
        [leased] = lease(server, "again", wait=30)
        assert say(server, leased["lease"], "nack", error="boom").json()["status"] == status
    task = server.task(task_id)
    assert [each["error"] for each in task["attempts"]] == ["boom", "boom"]


def test_a_task_given_back_is_leased_again_without_an_attempt(server: ServerProcess) -> None:
    token = a_lease(server)
    assert server.client.post(f"/leases/{token}/release").json()["status"] == "scheduled"
    [leased] = lease(server, wait=30)
    assert leased["task"]["attempt"] == 1
    assert leased["lease"] != token


def test_a_cancel_is_heard_by_the_one_that_extends(server: ServerProcess) -> None:
    token = a_lease(server)
    server.client.post(f"/tasks/{token.partition('.')[0]}/cancel")
    assert say(server, token, "extend", lease_seconds=60).json()["cancel_requested"] is True
    assert say(server, token, "nack", error="stopped").json()["status"] == "cancelled"


def test_several_leases_are_settled_each_with_its_own_outcome(server: ServerProcess) -> None:
    one, two, three = (a_lease(server) for _ in range(3))
    other = one.replace(one[-4:], "ffff" if one[-4:] != "ffff" else "0000")
    body = {
        "settlements": [
            {"lease": one, "ack": {"result": 1}},
            {"lease": other, "ack": {"result": 1}},
            {"lease": two, "nack": {"error": "no", "permanent": True}},
            {"lease": "nonsense", "release": {}},
            {"lease": three, "extend": {"lease_seconds": 5}},
        ]
    }
    told = server.client.post("/leases/settle", json=body).json()["settlements"]
    assert [each["ok"] for each in told] == [True, False, True, False, True]
    assert [each.get("status") for each in told] == ["completed", None, "dead", None, "running"]
    assert [each["problem"]["status"] for each in told if not each["ok"]] == [409, 404]


def test_a_pause_and_a_rate_hold(server: ServerProcess) -> None:
    publish(server)
    server.client.post("/queues/tasks/pause")
    assert lease(server) == []
    server.client.post("/queues/tasks/resume")
    assert len(lease(server)) == 1
    for _ in range(4):
        publish(server, queue="slow")
    assert len(lease(server, "slow", max=4)) <= 2


def test_one_task_with_a_key_runs_at_once_and_the_next_after_it(server: ServerProcess) -> None:
    first, second = (publish(server, queue="narrow", key="a") for _ in range(2))
    [leased] = lease(server, "narrow", max=2)
    assert leased["task"]["id"] == first
    say(server, leased["lease"], "ack")
    [following] = lease(server, "narrow", wait=20)
    assert following["task"]["id"] == second


def test_a_batch_and_a_schedule_know_external_actions(server: ServerProcess) -> None:
    tasks = [{"action": "resize"}, {"action": "sum"}, {"action": "resize"}]
    server.client.post("/tasks/batch", json={"tasks": tasks})
    assert len(lease(server, max=10)) == 2
    task = {"action": "resize"}
    server.client.put("/schedules/often", json={"every": "1s", "task": task})
    assert len(lease(server, wait=20)) == 1
    server.client.delete("/schedules/often")


def test_a_worker_gets_the_actions_it_asks_for(server: ServerProcess) -> None:
    publish(server)
    wanted = publish(server, "crop", data={"width": 3})
    [leased] = lease(server, actions=["crop"], max=9)
    assert leased["task"]["id"] == wanted


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max": 0}, "max must be a whole number from 1 to 100, not 0"),
        ({"lease_seconds": 0.5}, "lease_seconds must be a number from 1 to 86400, not 0.5"),
        (
            {"actions": ["sum"]},
            "actions[0] must be an external action, not sum; external actions: resize, crop",
        ),
        ({"no_such": 1}, "no_such is not known; known: max, lease_seconds, worker, actions"),
    ],
)
def test_a_wrong_member_is_named(
    server: ServerProcess, body: dict[str, Any], expected: str
) -> None:
    answer = server.client.post("/queues/tasks/lease", json=body)
    assert problem(answer, 400) == expected


def test_what_cannot_be_is_refused(server: ServerProcess) -> None:
    refused = server.client.post("/tasks", json={"action": "resize", "queue": "memory"})
    assert "needs a queue on a database; 'memory' is in memory" in problem(refused, 400)
    assert kind(refused) == "contradiction"
    wrong = server.client.post("/tasks", json={"action": "crop", "data": {"width": "x"}})
    assert problem(wrong, 400) == 'data.width: must be of type "integer", not "x"'
    assert problem(server.client.post("/queues/none/lease", json={}), 404)
    assert problem(server.client.post("/queues/memory/lease", json={}), 409)
    token = a_lease(server)
    assert problem(say(server, token, "ack", no_such=1), 400)
    assert problem(say(server, token, "nack"), 400)
    assert problem(say(server, "nonsense", "ack"), 404)
    assert "max_result_bytes is 1024" in problem(say(server, token, "ack", result="x" * 1024), 413)
    twice = {"settlements": [{"lease": token, "ack": {}}, {"lease": token, "release": {}}]}
    assert kind(server.client.post("/leases/settle", json=twice)) == "contradiction"
    late = problem(say(server, token, "nack", error="x", retry_after_seconds=-1), 400)
    assert late == "retry_after_seconds must be a number from 0 to 2592000, not -1"
    more = {"settlements": [{"lease": token, "release": {"now": 1}}]}
    unknown = problem(server.client.post("/leases/settle", json=more), 400)
    assert unknown == "settlements[0].release.now is not known; known: none"
    assert say(server, token, "ack").status_code == 200


def test_an_action_shows_that_it_is_external_and_what_it_takes(server: ServerProcess) -> None:
    shown = server.client.get("/actions/crop").json()
    assert (shown["kind"], shown["execution"]) == ("external", "worker")
    assert shown["schema"]["required"] == ["width"]


def test_rates_count_what_workers_do(server: ServerProcess) -> None:
    say(server, a_lease(server), "ack")

    def completed() -> bool:
        return bool(server.client.get("/queues/tasks").json()["rates"]["completed"] > 0)

    eventually(completed, "a rate")


def test_leases_outlive_a_restart_and_the_same_ack_has_the_same_answer(
    tmp_path: Path,
) -> None:
    server = ServerProcess(tmp_path, *SETTINGS)
    try:
        server.start()
        held, done = a_lease(server), a_lease(server)
        first = say(server, done, "ack", result=1).json()
        server.kill()
        server.start()
        assert say(server, done, "ack", result=1).json() == first
        assert say(server, held, "extend", lease_seconds=60).json()["status"] == "running"
        assert say(server, held, "ack", result=2).json()["status"] == "completed"
        with connection(server) as waiting:
            waiting.sendall(
                b"POST /queues/tasks/lease HTTP/1.1\r\nHost: localhost\r\nPrefer: wait=30\r\n"
                b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            )
            assert lease(server) == []  # which came later, so that the first one waits by now
            assert server.terminate() == 0
            assert read_answer(waiting).json() == {"leases": []}
    finally:
        server.close()


def test_tasks_follow_their_action_when_it_becomes_external_and_back(tmp_path: Path) -> None:
    settings = tmp_path / "live.toml"
    texts = {
        "inner": '[actions]\nshout = "tests.actions:trace"\n',
        "external": "[actions.shout]\nexternal = true\n",
    }
    settings.write_text(texts["inner"])
    server = ServerProcess(tmp_path, environ={"TASK_QUEUE_CONFIG": str(settings)})

    def reload(kind: str) -> None:
        settings.write_text(texts[kind])
        server.signal(signal.SIGHUP)
        server.wait_for_log("settings reloaded")

    try:
        server.start()
        server.client.post("/queues/tasks/pause")
        waits = [publish(server, "shout"), publish(server, "shout", delay_seconds=1)]
        reload("external")
        server.client.post("/queues/tasks/resume")
        found = {each["task"]["id"]: each for _ in range(2) for each in lease(server, wait=20)}
        assert found.keys() == set(waits)
        for each in found.values():
            assert each["task"]["attempt"] == 1
            say(server, each["lease"], "release")
        reload("inner")
        for task_id in waits:
            assert server.wait_for_status(task_id, "completed")["attempt"] == 1
    finally:
        server.close()


def test_a_consumer_leaves_to_workers_what_is_theirs(server: ServerProcess) -> None:
    # As a node with older settings stores it: the row does not say that it is external.
    server.client.post("/queues/tasks/pause")
    task_id = publish(server)
    url = f"sqlite:///{server.directory}/data/tasks.db"
    url = next((each[13:] for each in server.settings if each.startswith("database.url=")), url)
    execute(
        Database(url),
        f"UPDATE tasks SET external = false WHERE id = '{task_id}'",  # noqa: S608 - made here
    )
    server.client.post("/queues/tasks/resume")
    [leased] = lease(server, wait=20)
    assert (leased["task"]["id"], leased["task"]["attempt"]) == (task_id, 1)
