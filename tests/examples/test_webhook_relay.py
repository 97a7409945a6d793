import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from standardwebhooks import Webhook

from tests.docs.curl import needs_curl
from tests.endpoint import closed_port
from tests.examples.project import SERVE, Project

pytestmark = pytest.mark.system

SECRET = "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIGV4YW1wbGU="
OTHER_SECRET = "whsec_YW5vdGhlciBzZWNyZXQsIGp1c3QgYW4gZXhhbXBsZQ=="


@needs_curl
def test_its_page_shows_what_happens(project: Callable[[str], Project]) -> None:
    example, port = project("webhook_relay"), str(closed_port())
    serve, publish, look, receive, *rest = example.commands
    assert serve.command == SERVE
    assert receive.command == f"WEBHOOK_SECRET={SECRET} python receiver.py"
    settings = (
        f"actions.deliver.http=http://127.0.0.1:{port}/hooks",
        "queues.hooks.backoff_cap_seconds=2",  # or the next attempt may be further and further away
    )
    with example.server(*settings) as server:
        ports = {"8080": str(server.client.base_url.port), "9000": port}
        names = example.follow([publish, look], ports)
        with example.program("receiver.py", port, WEBHOOK_SECRET=SECRET) as receiver:
            example.follow(rest, ports, names)
            printed = receive.answer.splitlines()
            assert receiver.next_line().strip() == printed[-1]


def test_a_delivery_with_another_secret_is_refused_and_dead_at_once(
    project: Callable[[str], Project],
) -> None:
    example = project("webhook_relay")
    with (
        example.program("receiver.py", "0", WEBHOOK_SECRET=OTHER_SECRET) as receiver,
        example.server(f"actions.deliver.http={receiver.url}/hooks") as server,
    ):
        task_id = server.publish("deliver", order=17)
        task = server.wait_for_status(task_id, "dead")
    assert (task["attempt"], task["max_attempts"]) == (1, 5)
    assert "answered 401" in task["error"]


def test_the_receiver_takes_a_delivery_once_and_no_old_one(
    project: Callable[[str], Project],
) -> None:
    body, now = json.dumps({"order": 17}), datetime.now(UTC)

    def deliver(url: str, sent: datetime) -> httpx.Response:
        headers = {
            "webhook-id": "one",
            "webhook-timestamp": f"{int(sent.timestamp())}",
            "webhook-signature": f"v1,bm9uZQ== {Webhook(SECRET).sign('one', sent, body)}",
        }
        return httpx.post(url, content=body, headers=headers, trust_env=False)

    with project("webhook_relay").program("receiver.py", "0", WEBHOOK_SECRET=SECRET) as receiver:
        answers = [
            deliver(receiver.url, now),
            deliver(receiver.url, now),
            deliver(receiver.url, now - timedelta(minutes=6)),
        ]
    assert [each.status_code for each in answers] == [200, 200, 401]
    assert [each.json().get("again") for each in answers] == [False, True, None]
