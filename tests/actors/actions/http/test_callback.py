"""Telling at a callback how a task ended: what is sent, how it is signed, and what goes wrong."""

import json
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from standardwebhooks import Webhook

from task_queue.actors.actions.call import Call
from task_queue.actors.actions.http.callback import Callback
from task_queue.actors.actions.http.sender import Sender
from task_queue.actors.errors import InvalidDataError, Reject
from task_queue.actors.tasks.claim import ClaimedTask, Lease, Terms
from task_queue.actors.tasks.event import delivery
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.slot import Slot
from task_queue.actors.tasks.states import Status
from task_queue.config.actions import RETRIED, secret_bytes, statuses
from tests.endpoint import Endpoint, answers, closed_port, redirects
from tests.fakes import NOW, a_task

OLD, NEW = "whsec_bm90IGEgc2VjcmV0LCBqdXN0IGFuIG9sZCBvbmU=", f"whsec_{'bmV3' * 8}"
TRACE = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "a=1"}


def callback(secrets: Sequence[str] = (OLD,), networks: Sequence[str] = ("127.0.0.1",)) -> Callback:
    sender = Sender(
        secrets=[secret_bytes(each) for each in secrets],
        networks=[ip_network(each) for each in networks],
        allowed_by="callbacks.allow_networks",
        follow_redirects=False,
        retried=statuses(RETRIED),
        max_result_bytes=10_000,
    )
    return Callback(sender, timeout_seconds=5.0, overdue_seconds=1.0)


def call_for(url: str, **changes: Any) -> Call:  # noqa: ANN401 - any column
    """A run of the task that tells how another one ended."""
    ended = a_task(status=Status.COMPLETED, result='{"output":"ü"}', callback=url, **changes)
    row = delivery(ended, "0190b6a4-0000-7000-8000-000000000001", NOW, 5)
    terms = Terms(traceparent=row.options.traceparent, tracestate=row.options.tracestate)
    claimed = ClaimedTask(Lease(row.id, 1), row.action, row.data, 1, 5, 0, terms)
    return Call(claimed, Slot("callbacks"), 5.0)


def test_the_event_is_sent_as_it_is_stored_and_both_sdks_can_read_it() -> None:
    with Endpoint() as endpoint:
        call = call_for(endpoint.url("/hook?shop=1"), **TRACE)
        callback().run(call)
        (received,) = endpoint.requests
    assert (received.method, received.target) == ("POST", "/hook?shop=1")
    assert received.body == call.claimed.data.encode()
    assert received.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert received.headers["webhook-id"] == call.claimed.lease.task_id
    assert TRACE.items() <= received.headers.items()
    signed = Webhook(OLD).verify(received.body, received.headers)
    event = from_http_event(HTTPMessage(received.headers, received.body))
    assert event.get_id() == signed["id"] == received.headers["webhook-id"]
    assert (event.get_type(), event.get_source()) == ("task.completed", "/tasks")
    assert event.get_extension("traceparent") == TRACE["traceparent"]
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["result"] == {"output": "ü"}
    assert event.get_subject() == data["id"]
    assert (event.get_time() or received) == event.get_time()


def test_each_of_two_secrets_signs_so_that_one_can_follow_the_other() -> None:
    with Endpoint() as endpoint:
        callback([NEW, OLD]).run(call_for(endpoint.url()))
        (received,) = endpoint.requests
    assert received.headers["webhook-signature"].count("v1,") == 2
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(received.body, received.headers)


def test_a_receiver_that_fails_is_told_the_same_again() -> None:
    with Endpoint(answers(503, b"busy")) as endpoint:
        call = call_for(endpoint.url())
        for _ in range(2):
            with pytest.raises(Ended, match="answered 503: busy"):
                callback().run(call)
        first, second = endpoint.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    with Endpoint(answers(429, Retry_After="7")) as endpoint, pytest.raises(Ended) as raised:
        callback().run(call_for(endpoint.url()))
    assert (raised.value.failure.retry_after, raised.value.failure.permanent) == (7, False)


@pytest.mark.parametrize("status", [400, 401, 404, 410])
def test_a_receiver_that_refuses_it_is_not_told_again(status: int) -> None:
    with Endpoint(answers(status)) as endpoint, pytest.raises(Reject, match=f"answered {status}"):
        callback().run(call_for(endpoint.url()))


def test_nobody_is_redirected() -> None:
    with Endpoint(redirects("http://127.0.0.1:1/", 307)) as endpoint:
        with pytest.raises(Reject, match="not followed"):
            callback().run(call_for(endpoint.url()))
        assert len(endpoint.requests) == 1


def test_an_address_that_is_not_public_is_refused_before_anything_is_sent() -> None:
    with Endpoint() as endpoint:
        with pytest.raises(Reject, match=r"127\.0\.0\.1.*callbacks\.allow_networks can allow it"):
            callback(networks=["10.0.0.0/8"]).run(call_for(endpoint.url(host="localhost")))
        assert endpoint.peers == []


def test_where_nobody_listens_it_is_tried_again() -> None:
    with pytest.raises(Ended, match="cannot be reached"):
        callback().run(call_for(f"http://127.0.0.1:{closed_port()}/"))


def test_what_is_no_address_is_dead() -> None:
    with pytest.raises(Reject, match="no request can go to the address in callback"):
        callback().run(call_for("ftp://example.com/"))


def test_nobody_can_publish_it() -> None:
    with pytest.raises(InvalidDataError, match="not to be published"):
        callback().check(json.dumps({"data": {"callback": "http://example.com"}}))
