"""A receiver is told how tasks ended, whatever they were, and can believe it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.api.servers import DATABASES, server_on
from tests.api.test_reload import Configured
from tests.endpoint import Endpoint, Received, answers, in_turn
from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

SECRET, LATER_SECRET = f"whsec_{'b25l' * 8}", f"whsec_{'dHdv' * 8}"
ALLOWED = f'callbacks={{secret=["{SECRET}"],allow_networks=["127.0.0.1/32"]}}'

NOT_PUBLISHED = (
    "action: 'callback' tells how tasks ended, and is not to be published; give the task a member"
    " callback"
)

Serve = Callable[..., ServerProcess]


@pytest.fixture(scope="module")
def queues_own() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


@pytest.fixture(scope="module", params=DATABASES)
def telling(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, queues_own: Endpoint
) -> Iterator[ServerProcess]:
    with server_on(
        request,
        tmp_path_factory,
        ALLOWED,
        f'queues.mail.callback="{queues_own.url("/mail")}"',
        "queues.quick.driver=memory",
        'actions.reject="tests.actions:reject"',
        "actions.by-hand.external=true",
        "builtin.fallback=false",
    ) as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    with Endpoint() as endpoint:
        yield endpoint


def test_what_tells_is_not_offered_as_an_action(telling: ServerProcess) -> None:
    refused = telling.client.post("/tasks", json={"action": "calback"}).json()
    assert refused["error"] == "unknown action"
    assert "callback" not in refused["detail"]
    schemas = telling.client.get("/openapi.json").json()["components"]["schemas"]
    assert "callback" not in schemas["PublishBody"]["properties"]["action"]["enum"]


def publish(server: ServerProcess, action: str = "sum", **members: object) -> str:
    answer = server.client.post("/tasks", json={"action": action, **members})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def read(received: Received, secret: str = SECRET) -> dict[str, Any]:
    """The event, if the secret has signed it."""
    event: dict[str, Any] = Webhook(secret).verify(received.body, received.headers)
    assert event["id"] == received.headers["webhook-id"]
    return event


def told(receiver: Endpoint) -> tuple[str, str]:
    event = read(receiver.wait_for_request())
    return event["type"], event["subject"]


def test_a_task_that_completes_is_told_of_with_its_result(
    telling: ServerProcess, receiver: Endpoint
) -> None:
    task_id = publish(telling, data={"numbers": [1, 2]}, callback=receiver.url("/hook"))
    received = receiver.wait_for_request()
    event = read(received)
    assert (received.target, event["type"]) == ("/hook", "task.completed")
    shown = telling.task(task_id)
    del shown["attempts"]
    assert (event["subject"], event["data"]) == (task_id, shown)
    assert (shown["result"], shown["callback"]) == ({"output": 3}, receiver.url("/hook"))
    delivery = telling.wait_for_status(event["id"], "completed")
    assert (delivery["queue"], delivery["payload"]["action"]) == ("callbacks", "callback")


def test_a_task_that_dies_and_one_that_is_cancelled_are_told_of(
    telling: ServerProcess, receiver: Endpoint
) -> None:
    task_id = publish(telling, "reject", callback=receiver.url())
    assert told(receiver) == ("task.dead", task_id)
    telling.client.post(f"/tasks/{task_id}/retry").raise_for_status()
    assert told(receiver) == ("task.dead", task_id)
    task_id = publish(telling, callback=receiver.url(), delay_seconds=1_000)
    telling.client.post(f"/tasks/{task_id}/cancel").raise_for_status()
    assert told(receiver) == ("task.cancelled", task_id)


def test_what_workers_over_http_end_is_told_of(telling: ServerProcess, receiver: Endpoint) -> None:
    for verdict, body, kind in [
        ("ack", {"result": 7}, "task.completed"),
        ("nack", {"error": "no", "permanent": True}, "task.dead"),
    ]:
        task_id = publish(telling, "by-hand", callback=receiver.url())
        asked = {"max": 1, "lease_seconds": 60, "worker": "w", "actions": ["by-hand"]}
        answer = telling.client.post("/queues/tasks/lease", json=asked)
        (lent,) = answer.json()["leases"]
        assert lent["task"]["id"] == task_id
        done = telling.client.post(f"/leases/{lent['lease']}/{verdict}", json=body)
        assert done.is_success, done.text
        assert told(receiver) == (kind, task_id)


def test_the_callback_of_a_queue_is_that_of_its_tasks_unless_they_say_otherwise(
    telling: ServerProcess, queues_own: Endpoint, receiver: Endpoint
) -> None:
    first = publish(telling, queue="mail")
    assert told(queues_own) == ("task.completed", first)
    second = publish(telling, queue="mail", callback=receiver.url())
    assert told(receiver) == ("task.completed", second)
    third = publish(telling, queue="mail", callback="")
    telling.wait_for_status(third, "completed")
    assert [telling.task(each)["callback"] for each in (first, second, third)] == [
        queues_own.url("/mail"),
        receiver.url(),
        None,
    ]
    batch = telling.client.post(
        "/tasks/batch",
        json={"tasks": [{"action": "sum", "queue": "mail"}, {"action": "sum", "priority": 1}]},
    )
    assert told(queues_own) == ("task.completed", batch.json()["ids"][0])


def test_what_is_refused_for_good_is_a_dead_letter_that_can_be_redriven(
    telling: ServerProcess,
) -> None:
    with Endpoint(in_turn(answers(410), answers(204))) as receiver:
        publish(telling, callback=receiver.url())
        first = receiver.wait_for_request()
        dead = telling.wait_for_status(read(first)["id"], "dead")
        assert dead["error"].endswith("answered 410")
        telling.client.post(f"/tasks/{dead['id']}/retry").raise_for_status()
        again = receiver.wait_for_request()
        assert (read(again), again.body) == (read(first), first.body)


def test_an_address_that_is_not_public_is_not_called(telling: ServerProcess) -> None:
    task_id = publish(telling, callback="http://127.0.0.2:1/")
    telling.wait_for_status(task_id, "completed")

    def look() -> list[str]:
        found = telling.client.get("/tasks", params={"queue": "callbacks", "status": "dead"})
        return [
            each["error"]
            for each in found.json()["tasks"]
            if each["payload"]["data"]["subject"] == task_id
        ]

    (error,) = eventually(look, "it is dead")
    assert error == (
        "http://127.0.0.2:1 leads to 127.0.0.2, which is not a public address;"
        " callbacks.allow_networks can allow it"
    )


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"action": "callback"},
            NOT_PUBLISHED,
        ),
        (
            {"action": "sum", "queue": "callbacks", "callback": "http://example.com"},
            "callback is not for the queue callbacks: what it tells is not told of",
        ),
        (
            {"action": "sum", "callback": "http://\u2603.com"},
            'callback must be an address that a request can go to, not "http://\u2603.com"',
        ),
    ],
)
def test_what_cannot_be_told_is_refused(
    telling: ServerProcess, body: dict[str, object], sentence: str
) -> None:
    answer = telling.client.post("/tasks", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (400, sentence)
    batch = telling.client.post("/tasks/batch", json={"tasks": [{"action": "sum"}, body]})
    assert (batch.status_code, batch.json()["detail"]) == (400, f"tasks[1].{sentence}")


def test_without_a_secret_a_callback_is_refused_with_the_setting_it_needs(
    server: ServerProcess,
) -> None:
    answer = server.client.post("/tasks", json={"action": "x", "callback": "http://example.com"})
    assert answer.status_code == 400
    sentence = "callback needs the setting callbacks.secret, which is not set"
    assert answer.json()["detail"] == sentence


def test_a_queue_in_memory_tells_nothing(telling: ServerProcess) -> None:
    body = {"action": "sum", "queue": "quick", "callback": "http://example.com"}
    answer = telling.client.post("/tasks", json=body)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("callback needs a queue on a database")


def test_a_schedule_has_a_callback_only_with_a_secret(
    telling: ServerProcess, server: ServerProcess
) -> None:
    schedule = {"every": "1h", "task": {"action": "sum", "callback": "http://example.com"}}
    put = [each.client.put("/schedules/told", json=schedule) for each in (telling, server)]
    telling.client.delete("/schedules/told").raise_for_status()
    assert [each.is_success for each in put] == [True, False]
    sentence = "task.callback needs the setting callbacks.secret, which is not set"
    assert put[1].json()["detail"] == sentence


def test_the_task_is_told_of_by_its_trace(telling: ServerProcess, receiver: Endpoint) -> None:
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1"}
    body = {"action": "sum", "callback": receiver.url()}
    telling.client.post("/tasks", json=body, headers=trace).raise_for_status()
    received = receiver.wait_for_request()
    assert trace.items() <= received.headers.items()
    assert trace.items() <= read(received).items()


def test_secrets_are_rotated_by_reloads_while_both_sign_in_between(
    serve: Serve, tmp_path: Path, receiver: Endpoint
) -> None:
    def settings(*secrets: str) -> str:
        return f'[callbacks]\nsecret = {json.dumps(secrets)}\nallow_networks = ["127.0.0.1/32"]\n'

    def signers() -> list[bool]:
        publish(live.server, callback=receiver.url())
        received = receiver.wait_for_request()
        return [_has_signed(received, each) for each in (SECRET, LATER_SECRET)]

    live = Configured(serve, tmp_path, settings(SECRET))
    assert signers() == [True, False]
    live.reload(settings(LATER_SECRET, SECRET))
    assert signers() == [True, True]
    live.reload(settings(LATER_SECRET))
    assert signers() == [False, True]
    live.reload("")
    assert live.post("sum", callback=receiver.url()).status_code == 400
    queues = live.server.client.get("/queues").json()["queues"]
    assert [each["name"] for each in queues] == ["tasks"]


def _has_signed(received: Received, secret: str) -> bool:
    try:
        read(received, secret)
    except WebhookVerificationError:
        return False
    return True
