"""What a publish may ask for, and what it is answered; the same on every kind of database."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import falcon
import httpx
import pytest
from falcon.testing import create_environ

from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.reply import Reply
from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.conditions import Published
from task_queue.actors.tasks.limits import QueueLimits, Room
from task_queue.api.edge import Edge
from task_queue.api.publish import Publisher
from task_queue.api.responses import rate_limit
from task_queue.config.layers import load
from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.fakes import NOW
from tests.harness import ServerProcess, eventually

system = pytest.mark.system

IN_AN_HOUR = {"action": "x", "delay_seconds": 3_600}
TAKES_ONLY = "takes only action, data, queue, delay_seconds, run_at, max_attempts"
PUBLISHERS = 100
SETTINGS = (
    "queues.mail.concurrency=1",
    "queues.quick.driver=memory",
    "queues.short.max_length=3",
    "queues.light.max_bytes=100",
    "queues.both.max_length=3",
    "queues.both.max_bytes=100",
    "queues.tenants.concurrency_per_key=1",
)


@pytest.fixture(scope="module", params=DATABASES)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database, with a queue for each thing that queues can do."""
    with server_on(request, tmp_path_factory, *SETTINGS) as server:
        yield server
        assert complaints(server) == []


@pytest.fixture
def emptied(server: ServerProcess) -> ServerProcess:
    """The same, with nothing waiting on the queues that have limits."""
    for queue in ("short", "light", "both"):
        assert server.client.post(f"/queues/{queue}/purge").status_code == 200
    return server


def publish(server: ServerProcess, **members: Any) -> httpx.Response:  # noqa: ANN401
    return server.client.post("/tasks", json={**IN_AN_HOUR, **members})


def shown(server: ServerProcess, answer: httpx.Response) -> dict[str, Any]:
    """The task that the answer names."""
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/tasks/{answer.json()['id']}"
    return server.task(answer.json()["id"])


@system
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("queue", "mail"),
        ("priority", -100),
        ("priority", 100),
        ("max_attempts", 1_000),
        ("unique_key", "u" * 200),
        ("key", "tenant 😀"),
        ("keep_result_seconds", 0),
        ("keep_result_seconds", 3_155_760_000),
        ("timeout_seconds", 0.5),
        ("timeout_seconds", 2_592_000.0),
        ("backoff", {"base": 0.5, "factor": 3.0, "cap": 2_592_000.0}),
        ("expires_at", 4_102_444_800.0),
    ],
)
def test_what_a_task_asks_for_is_kept(server: ServerProcess, member: str, value: object) -> None:
    assert shown(server, publish(server, **{member: value}))[member] == value


@system
def test_what_is_not_asked_for_is_the_queues(server: ServerProcess) -> None:
    task = shown(server, publish(server, queue=None, priority=None, max_attempts=None))
    assert (task["queue"], task["priority"], task["max_attempts"]) == ("tasks", 0, 5)
    assert shown(server, publish(server, backoff={"factor": 7}))["backoff"] == {
        "base": 1.0,
        "factor": 7.0,
        "cap": 3_600.0,
    }


@system
def test_a_delay_is_counted_from_now(server: ServerProcess) -> None:
    before = time.time()
    answer = publish(server, delay_seconds=1_000.5)
    after = time.time()
    assert answer.json()["status"] == "scheduled"
    task = shown(server, answer)
    assert task["status"] == "scheduled"
    assert before + 1_000.4 < task["run_at"] < after + 1_000.6


@system
def test_a_time_is_the_same_in_every_zone_and_as_a_number(server: ServerProcess) -> None:
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    for run_at in (
        moment.timestamp(),
        int(moment.timestamp()),
        moment.strftime("%Y-%m-%dt%H:%M:%Sz"),
        moment.isoformat(),
        moment.astimezone(timezone(timedelta(hours=-9, minutes=-30))).isoformat(),
    ):
        task = shown(server, publish(server, run_at=run_at, delay_seconds=None))
        assert task["run_at"] == moment.timestamp()
        assert task["status"] == "scheduled"


@system
@pytest.mark.parametrize(
    "past", [{"run_at": "2001-01-01T00:00:00Z"}, {"run_at": -1}, {"delay_seconds": 0}]
)
def test_a_time_in_the_past_means_now(server: ServerProcess, past: dict[str, Any]) -> None:
    answer = server.client.post("/tasks", json={"action": "x", **past})
    assert answer.json()["status"] == "queued"
    server.wait_for_status(answer.json()["id"], "completed")


@system
def test_the_year_9999_is_not_too_late(server: ServerProcess) -> None:
    answer = publish(server, run_at="9999-12-31T23:59:59Z", delay_seconds=None)
    assert shown(server, answer)["run_at"] == 253_402_300_799


@system
def test_what_has_expired_already_is_dead_and_never_run(server: ServerProcess) -> None:
    answer = server.client.post("/tasks", json={"action": "x", "expires_at": 1})
    task = server.wait_for_status(answer.json()["id"], "dead")
    assert (task["error"], task["attempt"]) == ("expired", 0)


@system
@pytest.mark.parametrize(
    ("members", "error"),
    [
        (
            {"run_at": "2030-01-01T00:00:00Z", "expires_at": "2029-01-01T00:00:00Z"},
            "expires_at must be later than run_at, or the task could not be started",
        ),
        ({"run_at": 5, "expires_at": 5}, "expires_at must be later than run_at"),
        (
            {"delay_seconds": 3_600, "expires_at": 5},
            "expires_at must be later than the time when its delay is over",
        ),
    ],
)
def test_a_task_that_would_expire_before_it_may_start_is_refused(
    server: ServerProcess, members: dict[str, Any], error: str
) -> None:
    answer = server.client.post("/tasks", json={"action": "sum", **members})
    assert problem(answer, 400, answer.json()["error"]).startswith(error)
    tasks = [{"action": "sum"}, {"action": "sum", **members}]
    answer = server.client.post("/tasks/batch", json={"tasks": tasks})
    assert problem(answer, 400, answer.json()["error"]).startswith(f"tasks[1].{error}")
    headers = {"Idempotency-Key": str(uuid4())}
    for _ in range(2):
        answer = server.client.post("/tasks", json={"action": "sum", **members}, headers=headers)
        assert problem(answer, 400, answer.json()["error"]).startswith(error)


@system
def test_a_repetition_has_its_first_answer_even_if_its_time_has_gone(
    server: ServerProcess,
) -> None:
    # From the first request to the second the delay comes to reach beyond the expiry; not before
    # the first, however busy the machine is.
    expires_at = time.time() + 1_010
    body = {"action": "sum", "delay_seconds": 1_000, "expires_at": expires_at}
    headers = {"Idempotency-Key": str(uuid4())}

    def publish() -> httpx.Response:
        return server.client.post("/tasks", json=body, headers=headers)

    first = publish()
    assert first.status_code == 202
    eventually(lambda: time.time() + 1_000 > expires_at, "the time has gone")
    again = publish()
    assert (again.status_code, again.json()) == (202, first.json())
    assert server.client.post("/tasks", json=body).status_code == 400


@system
@pytest.mark.parametrize("queue", ["mail", "quick", "tenants"])
def test_a_task_runs_on_the_queue_it_names(server: ServerProcess, queue: str) -> None:
    data = {"numbers": [1, 2]}
    answer = server.client.post("/tasks", json={"action": "sum", "data": data, "queue": queue})
    assert answer.json()["status"] == "queued"

    def done() -> bool:
        query = {"queue": queue, "status": "completed", "limit": "1000"}
        page = server.client.get("/tasks", params=query).json()["tasks"]
        return answer.json()["id"] in {task["id"] for task in page}

    eventually(done, f"{queue} has run it")


@system
def test_a_task_with_a_key_is_shown_as_queued_and_runs(server: ServerProcess) -> None:
    body = {"action": "x", "queue": "tenants", "key": "a tenant"}
    answers = [server.client.post("/tasks", json=body) for _ in range(3)]
    for answer in answers:
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        server.wait_for_status(answer.json()["id"], "completed")


@system
def test_an_unknown_queue_is_refused_with_those_there_are(server: ServerProcess) -> None:
    detail = problem(publish(server, queue="nope"), 400, "unknown queue")
    known = "tasks, mail, quick, short, light, both, tenants"
    assert detail == f"queue 'nope' is not known; known: {known}"


@system
@pytest.mark.parametrize(
    "member",
    [
        {"priority": 0},
        {"expires_at": 4_102_444_800},
        {"backoff": {}},
        {"unique_key": "u"},
        {"key": "k"},
        {"keep_result_seconds": 5},
        {"timeout_seconds": 5},
    ],
)
def test_a_queue_in_memory_says_what_it_cannot_do(
    server: ServerProcess, member: dict[str, Any]
) -> None:
    (name,) = member
    error = f"{name} needs a queue on a database; 'quick' is in memory and {TAKES_ONLY}"
    problem(publish(server, queue="quick", **member), 400, error)


@system
def test_a_queue_in_memory_can_wait_and_try_again(server: ServerProcess) -> None:
    answer = publish(server, queue="quick", data={"a": 1}, max_attempts=3, priority=None)
    assert (answer.status_code, answer.json()["status"]) == (202, "scheduled")


@system
def test_a_task_with_a_unique_key_is_there_once_until_it_is_final(server: ServerProcess) -> None:
    unique_key = uuid4().hex
    first = publish(server, unique_key=unique_key)
    task_id = shown(server, first)["id"]
    again = publish(server, unique_key=unique_key, action="y", delay_seconds=1)
    assert again.status_code == 200
    assert again.json() == {"id": task_id, "status": "scheduled", "duplicate": True}
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Content-Type"] == "application/json"
    assert publish(server, unique_key=unique_key, queue="mail").status_code == 202
    assert server.client.post(f"/tasks/{task_id}/cancel").status_code == 200
    assert publish(server, unique_key=unique_key).status_code == 202


@system
def test_of_a_hundred_publishers_with_the_same_unique_key_one_publishes(
    server: ServerProcess,
) -> None:
    unique_key = uuid4().hex
    with ThreadPoolExecutor(PUBLISHERS) as threads:
        answers = list(
            threads.map(lambda _: publish(server, unique_key=unique_key), range(PUBLISHERS))
        )
    assert sorted(answer.status_code for answer in answers) == [200] * (PUBLISHERS - 1) + [202]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.json().get("duplicate", False) for answer in answers].count(False) == 1


@system
def test_a_queue_with_limits_says_what_is_left(emptied: ServerProcess) -> None:
    answer = publish(emptied, queue="short")
    assert answer.headers["RateLimit-Policy"] == '"length";q=3'
    assert answer.headers["RateLimit"] == '"length";r=2'
    answer = publish(emptied, queue="light", data={"a": "x"})  # 9 bytes as JSON
    assert answer.headers["RateLimit-Policy"] == '"bytes";q=100;qu="content-bytes"'
    assert answer.headers["RateLimit"] == '"bytes";r=91'
    for length, size in ((2, 98), (1, 96)):
        answer = publish(emptied, queue="both")
        policy = '"length";q=3, "bytes";q=100;qu="content-bytes"'
        assert answer.headers["RateLimit-Policy"] == policy
        assert answer.headers["RateLimit"] == f'"length";r={length}, "bytes";r={size}'


@system
def test_a_queue_without_limits_says_nothing_of_them(server: ServerProcess) -> None:
    for members in ({}, {"priority": 1}, {"unique_key": uuid4().hex}):
        assert not {"RateLimit", "RateLimit-Policy"} & set(publish(server, **members).headers)


@system
def test_a_full_queue_takes_nothing_until_there_is_room(emptied: ServerProcess) -> None:
    ids = [publish(emptied, queue="short").json()["id"] for _ in range(3)]
    answer = publish(emptied, queue="short")
    document = answer.json()
    assert problem(answer, 429, document["error"]) == document["error"]
    assert "'short'" in document["error"]
    assert "3" in document["error"]
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["RateLimit-Policy"] == '"length";q=3'
    assert answer.headers["RateLimit"] == '"length";r=0;t=1'
    assert "Location" not in answer.headers
    assert publish(emptied, queue="mail").status_code == 202
    assert emptied.client.post(f"/tasks/{ids[0]}/cancel").status_code == 200
    assert publish(emptied, queue="short").status_code == 202


@system
def test_a_task_that_is_too_large_for_what_is_left_is_refused(emptied: ServerProcess) -> None:
    answer = publish(emptied, queue="light", data={"a": "x" * 93})  # 101 bytes
    assert answer.status_code == 429
    assert answer.headers["RateLimit-Policy"] == '"bytes";q=100;qu="content-bytes"'
    assert answer.headers["RateLimit"] == '"bytes";r=0;t=1'
    assert publish(emptied, queue="light", data={"a": "x" * 92}).status_code == 202


@system
def test_with_the_disk_nearly_full_nothing_is_taken(serve: Callable[..., ServerProcess]) -> None:
    server = serve(f"database.min_free_bytes={2**50}", "queues.quick.driver=memory").start()
    for path, body in (("/tasks", IN_AN_HOUR), ("/tasks/batch", {"tasks": [IN_AN_HOUR]})):
        answer = server.client.post(path, json=body)
        assert problem(answer, 503, "failed to queue task") == "the disk is nearly full"
        assert answer.headers["Retry-After"] == "1"
    assert server.all_tasks() == []
    assert publish(server, queue="quick").status_code == 202


class Recorder:
    """Stands in for a queue: it keeps what it is asked, and says that all of it is stored."""

    def __init__(self) -> None:
        self.asked: list[Publish] = []

    def ask_later(self, publish: Publish) -> Reply[Published | None]:
        self.asked.append(publish)
        publish.reply_to.answer(None)
        return publish.reply_to


def asked_for(tmp_path: Path, *tasks: dict[str, Any], key: str | None = None) -> Publish:
    """What the queue of the first task is asked for a publish of these."""
    url = f"database.url=sqlite:///{tmp_path}/tasks.db"
    settings = load(overrides=[url, *SETTINGS], environ={}).settings
    system = ActorSystem(settings, on_too_many_restarts=lambda: None)  # never started
    recorders = {name: Recorder() for name in system.queues.addresses}
    system.queues.addresses.update(cast("Any", recorders))
    publisher = Publisher(Edge(system, 5.0, lambda: NOW, lambda: 100.0))
    body = {"tasks": list(tasks)} if len(tasks) > 1 else tasks[0]
    headers = {} if key is None else {"Idempotency-Key": key}
    req = falcon.Request(create_environ("/", body=json.dumps(body), headers=headers))
    publish = publisher.on_post if len(tasks) == 1 else publisher.on_post_batch
    publish(req, falcon.Response())
    ((asked,),) = [each.asked for each in recorders.values() if each.asked]
    assert recorders[tasks[0].get("queue", "tasks")].asked == [asked]
    return asked


@pytest.mark.parametrize(
    "tasks",
    [
        [{"action": "x"}],
        [{"action": "x", "data": {}, "queue": "mail"}],
        [{"action": "x", "queue": "tenants"}],
        [{"action": "x", "queue": "mail", "key": "k"}],
        [{"action": "x", "priority": 5, "unique_key": "u"}],
        [{"action": "x"}, {"action": "x", "queue": "mail", "priority": 1}],
    ],
)
def test_a_publish_that_nothing_limits_has_no_conditions(
    tmp_path: Path, tasks: list[dict[str, Any]]
) -> None:
    asked = asked_for(tmp_path, *tasks)
    assert asked.conditions is None
    assert asked.deadline == 105.0
    assert len(asked.tasks) == len(tasks)


def test_a_task_that_asks_for_nothing_special_is_a_plain_one(tmp_path: Path) -> None:
    (task,) = asked_for(tmp_path, {"action": "x", "queue": "short"}).tasks
    assert task.is_new_and_plain
    (other,) = asked_for(tmp_path, {"action": "x", "queue": "short", "priority": 0}).tasks
    assert other._replace(id=task.id) == task


@pytest.mark.parametrize(
    ("tasks", "limited"),
    [
        ([{"action": "x", "queue": "short"}], ["short"]),
        ([{"action": "x", "queue": "tenants", "key": "k"}], ["tenants"]),
        ([{"action": "x"}, {"action": "x", "queue": "light"}], ["light"]),
        (
            [
                {"action": "x", "queue": "both"},
                {"action": "x", "key": "k"},
                {"action": "x", "queue": "tenants"},
                {"action": "x", "queue": "tenants", "key": "k"},
            ],
            ["both", "tenants"],
        ),
    ],
)
def test_the_limits_that_bind_a_publish_go_with_it(
    tmp_path: Path, tasks: list[dict[str, Any]], limited: list[str]
) -> None:
    conditions = asked_for(tmp_path, *tasks).conditions
    assert conditions is not None
    assert list(conditions.limits) == limited
    assert conditions.idempotency is None


def test_a_key_goes_with_the_plainest_publish(tmp_path: Path) -> None:
    conditions = asked_for(tmp_path, {"action": "x"}, key="k").conditions
    assert conditions is not None
    assert conditions.idempotency is not None
    assert (conditions.limits, conditions.idempotency.key) == ({}, "k")


def test_a_queue_without_limits_has_no_quota() -> None:
    assert rate_limit.left({}, {}) == []
    assert rate_limit.left({"a": QueueLimits()}, {"a": Room(None, None)}) == []


def test_of_several_queues_each_is_a_partition() -> None:
    limits = {"a": QueueLimits(max_length=5), "b": QueueLimits(max_length=7, max_bytes=9)}
    room = {"a": Room(1, None), "b": Room(2, 3)}
    assert rate_limit.left(limits, room) == [
        (
            "RateLimit-Policy",
            (
                '"length";q=5;pk=:YQ==:, "length";q=7;pk=:Yg==:,'
                ' "bytes";q=9;qu="content-bytes";pk=:Yg==:'
            ),
        ),
        ("RateLimit", '"length";r=1;pk=:YQ==:, "length";r=2;pk=:Yg==:, "bytes";r=3;pk=:Yg==:'),
    ]
