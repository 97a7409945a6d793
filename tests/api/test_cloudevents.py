"""Events as publishes, in both modes, as the official SDK writes them."""

from typing import Any
from uuid import uuid4

import httpx
import pytest
from cloudevents.core.bindings.http import HTTPMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent

from tests.harness import ServerProcess

STRUCTURED = {"Content-Type": "application/cloudevents+json"}
MODES = pytest.mark.parametrize(
    "write", [to_structured_event, to_binary_event], ids=["structured", "binary"]
)


def an_event(data: object = None, **attributes: Any) -> CloudEvent:  # noqa: ANN401 - as the SDK
    required = {"id": str(uuid4()), "source": "/shop/ü", "type": "uppercase"}
    return CloudEvent(required | attributes, data)  # type: ignore[arg-type] # what a test wants


def send(server: ServerProcess, message: HTTPMessage, **headers: str) -> httpx.Response:
    both = dict(message.headers) | {name.replace("_", "-"): text for name, text in headers.items()}
    return server.client.post("/tasks", content=message.body, headers=both)


def structured(server: ServerProcess, **changes: object) -> httpx.Response:
    event: dict[str, object] = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/shop",
        "type": "sum",
    }
    body = {name: value for name, value in (event | changes).items() if value is not ...}
    return server.client.post("/tasks", json=body, headers=STRUCTURED)


def binary(server: ServerProcess, headers: dict[str, str | None]) -> httpx.Response:
    event: dict[str, str | None] = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "/shop",
        "type": "sum",
    }
    merged = {f"ce-{name}": text for name, text in (event | headers).items() if text is not None}
    return server.client.post("/tasks", headers=merged)


@MODES
def test_an_event_of_the_sdk_becomes_a_task(either_server: ServerProcess, write: Any) -> None:  # noqa: ANN401 - a function of the SDK
    event = an_event(
        {"text": "grüße"},
        datacontenttype="application/json",
        subject="order 7",
        dataschema="https://shop.example/schema",
        partitionkey="tenant %C3 ü",
        queue="tasks",
        comexampleother="whatever",
    )
    answer = send(either_server, write(event))
    assert answer.status_code == 202, answer.text
    task = either_server.wait_for_status(answer.json()["id"], "completed")
    assert answer.headers["Location"] == f"/tasks/{task['id']}"
    assert task["payload"]["action"] == "uppercase"
    assert task["payload"]["data"] == {"text": "grüße"}
    assert (task["result"], task["key"]) == ({"output": "GRÜSSE"}, "tenant %C3 ü")


@MODES
def test_the_same_event_again_is_answered_as_the_first_time(
    either_server: ServerProcess,
    write: Any,  # noqa: ANN401 - a function of the SDK
) -> None:
    event = an_event({"text": "once"}, datacontenttype="application/json")
    first, second = (
        send(either_server, to_structured_event(event)),
        send(either_server, write(event)),
    )
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    other = an_event(
        {"text": "else"},
        datacontenttype="application/json",
        id=event.get_id(),
    )
    refused = send(either_server, write(other))
    assert refused.status_code == 422
    sentence = "an event with this id and source was sent before with another request"
    assert refused.json()["detail"] == sentence
    elsewhere = an_event({"text": "else"}, source="/other", id=event.get_id())
    assert send(either_server, to_structured_event(elsewhere)).status_code == 202


@MODES
def test_an_event_needs_no_data(server: ServerProcess, write: Any) -> None:  # noqa: ANN401 - see above
    answer = send(server, write(an_event(type="sum")))
    assert server.wait_for_status(answer.json()["id"], "completed")["result"] == {"output": 0}


def test_the_trace_of_the_event_comes_before_that_of_its_request(server: ServerProcess) -> None:
    own, way = f"00-{'1' * 32}-{'2' * 16}-01", f"00-{'3' * 32}-{'4' * 16}-00"
    with_own = an_event(traceparent=own, tracestate="a=1")
    both = send(server, to_binary_event(with_own), traceparent=way, tracestate="b=2").json()
    one = send(server, to_structured_event(an_event()), traceparent=way).json()
    wrong = send(server, to_structured_event(an_event(traceparent="no")), traceparent=way).json()
    shown = [server.task(each["id"]) for each in (both, one, wrong)]
    assert [each["traceparent"] for each in shown] == [own, way, way]
    assert [each["tracestate"] for each in shown] == ["a=1", None, None]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": ...}, "id must be given; an event needs specversion, id, source, type"),
        (
            {"source": ..., "type": None},
            "source and type must be given; an event needs specversion, id, source, type",
        ),
        ({"specversion": "0.3"}, 'specversion must be 1.0, not "0.3"'),
        ({"specversion": 1.0}, "specversion must be a string, not 1.0"),
        ({"id": ""}, "id must not be empty"),
        ({"id": 7}, "id must be a string, not 7"),
        ({"source": "a\nb"}, 'source must have no control characters, not "a\\nb"'),
        ({"partitionkey": "k" * 201}, "partitionkey must have at most 200 characters, not 201"),
        ({"queue": 5}, "queue must be a string, not 5"),
        ({"data": [1]}, "data must be a JSON object, not [1]"),
        (
            {"data_base64": "AA=="},
            "data_base64 is not taken: data must be a JSON object, in the member data",
        ),
        (
            {"datacontenttype": "text/plain", "data": "x"},
            'datacontenttype must be a type of JSON, as application/json, not "text/plain"',
        ),
    ],
)
def test_an_event_that_cannot_be_a_publish_is_refused_in_a_sentence(
    server: ServerProcess, changes: dict[str, object], sentence: str
) -> None:
    answer = structured(server, **changes)
    assert (answer.status_code, answer.json()["detail"]) == (400, sentence)


def test_a_type_that_names_no_action_is_refused(server: ServerProcess) -> None:
    answer = structured(server, type="two words")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("type is the name of an action, which must have")


def test_other_types_of_json_hold_data_too(server: ServerProcess) -> None:
    kind = "application/vnd.shop+json; charset=utf-8"
    answer = structured(server, datacontenttype=kind, data={"numbers": [1]})
    assert answer.status_code == 202
    headers = {"content-type": kind, "ce-specversion": "1.0", "ce-id": "1", "ce-source": kind}
    headers["ce-type"] = "sum"
    sent = server.client.post("/tasks", content=b'{"numbers":[1]}', headers=headers)
    assert sent.status_code == 202


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("%E2%82%AC%20%25", "€ %"),
        ('"quoted \\" %41"', 'quoted " A'),
        ("%zz", "%zz"),
    ],
)
def test_headers_are_unquoted_then_decoded_once(
    server: ServerProcess, header: str, key: str
) -> None:
    answer = binary(server, {"partitionkey": header})
    assert server.task(answer.json()["id"])["key"] == key


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"id": None}, "id must be given; an event needs specversion, id, source, type"),
        ({"specversion": "1.1"}, 'specversion must be 1.0, not "1.1"'),
        ({"id": "%00"}, 'id must have no control characters, not "\\u0000"'),
        ({"id": "%ff"}, "ce-id must be UTF-8, each byte beyond ASCII as % and two digits, not %ff"),
    ],
)
def test_headers_that_are_no_event_are_refused_in_a_sentence(
    server: ServerProcess, headers: dict[str, str | None], sentence: str
) -> None:
    answer = binary(server, headers)
    assert (answer.status_code, answer.json()["detail"]) == (400, sentence)


@pytest.mark.parametrize(
    "kind", ["application/cloudevents-batch+json", "application/cloudevents+xml"]
)
def test_batches_and_other_formats_of_events_are_refused(server: ServerProcess, kind: str) -> None:
    answer = server.client.post("/tasks", content=b"[]", headers={"Content-Type": kind})
    assert answer.status_code == 415
    assert "an event must be sent as application/cloudevents+json" in answer.json()["detail"]
    batch = server.client.post("/tasks/batch", content=b"[]", headers={"Content-Type": kind})
    assert batch.status_code == 415


def test_an_event_has_no_key_besides(server: ServerProcess) -> None:
    answer = send(server, to_structured_event(an_event()), Idempotency_Key="k")
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Idempotency-Key is not for events")


def test_data_that_is_no_json_is_refused_in_binary_mode(server: ServerProcess) -> None:
    message = to_binary_event(an_event("text", datacontenttype="text/plain"))
    assert send(server, message).status_code == 415
