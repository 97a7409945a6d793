"""What requests are made of."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import BaseModel, Field

from task_queue.api.client.address import address_of
from task_queue.api.client.errors import AddressError
from task_queue.api.client.members import NewTask
from task_queue.api.client.request import json_of, query_of, segment
from task_queue.client import Client


@dataclass
class Size:
    width: int


class Model(BaseModel):
    from_: str = Field(alias="from")


MOMENT = datetime(2026, 11, 28, 9, tzinfo=UTC)


def test_what_is_not_given_is_left_out_of_a_query() -> None:
    assert query_of({"queue": None, "limit": 5, "preview": True}) == "?limit=5&preview=true"
    assert query_of({"queue": None}) == ""


def test_several_states_are_one_parameter() -> None:
    assert query_of({"status": ["dead", "cancelled"]}) == "?status=dead%2Ccancelled"
    assert query_of({"status": "dead"}) == "?status=dead"


def test_members_of_the_data_are_looked_for_as_what_they_are() -> None:
    query = query_of({"data": {"user.name": "17", "user.age": 17}})
    assert query == "?data.user.name=%2217%22&data.user.age=17"


def test_a_time_keeps_its_offset() -> None:
    assert query_of({"created_after": MOMENT}) == "?created_after=2026-11-28T09%3A00%3A00%2B00%3A00"
    assert query_of({"created_after": 1.5}) == "?created_after=1.5"


def test_a_name_is_one_part_of_a_path() -> None:
    assert segment("a/b c?d") == "a%2Fb%20c%3Fd"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Size(3), {"width": 3}),
        (Model(**{"from": "a"}), {"from": "a"}),
        (MOMENT, "2026-11-28T09:00:00Z"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        ({1}, [1]),
        ((each for each in "ab"), ["a", "b"]),
    ],
)
def test_values_of_python_are_written_as_pydantic_does(value: object, written: object) -> None:
    assert json.loads(json_of({"it": value})) == {"it": written}


def test_what_is_no_json_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match="object"):
        json_of({"it": object()})
    with pytest.raises(ValueError, match="JSON"):
        json_of({"it": float("nan")})


def test_a_member_that_is_none_is_not_given() -> None:
    new = NewTask("sum", None, {"queue": None, "priority": 0})
    assert new.document == {"action": "sum", "data": {}, "priority": 0}


@pytest.mark.parametrize(
    ("url", "base", "socket"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080", None),
        ("https://example.com/queue/", "https://example.com/queue", None),
        ("http://[::1]:8080", "http://[::1]:8080", None),
        ("unix:/run/task-queue.sock", "http://localhost", "/run/task-queue.sock"),
    ],
)
def test_an_address_is_of_the_network_or_a_unix_socket(
    url: str, base: str, socket: str | None
) -> None:
    address = address_of(url, "tq_secret")
    assert (address.url, address.socket) == (base, socket)
    assert address.headers["Authorization"] == "Bearer tq_secret"
    assert "tq_secret" not in repr(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:8080",
        "ftp://a",
        "http://",
        "http://a:port",
        "http://a?b",
        "unix:",
        "http://[a",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match=r"must be like http://127\.0\.0\.1:8080"):
        address_of(url, None)


def test_a_password_in_an_address_is_not_shown() -> None:
    with pytest.raises(AddressError) as caught:
        address_of("http://me:secret@example.com", None)
    assert "secret" not in str(caught.value)


def test_the_environment_says_where_the_server_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASK_QUEUE_URL", "http://queue.example")
    monkeypatch.setenv("TASK_QUEUE_KEY", "tq_secret")
    address = address_of(None, None)
    assert (address.url, address.headers["Authorization"]) == (
        "http://queue.example",
        "Bearer tq_secret",
    )
    assert "Authorization" not in address_of(None, "").headers
    monkeypatch.delenv("TASK_QUEUE_URL")
    monkeypatch.delenv("TASK_QUEUE_KEY")
    address = address_of(None, None)
    assert (address.url, "Authorization" in address.headers) == ("http://127.0.0.1:8080", False)


@pytest.mark.parametrize("key", ["tq_a\n", "tq a", "tq_ä"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(AddressError, match="the key has a blank") as caught:
        address_of("http://a", key)
    assert "tq" not in str(caught.value)


@pytest.mark.parametrize("key", ["", "a b", "ä", "a\r\nX: y", "k" * 256])
def test_an_idempotency_key_that_is_none_is_refused(key: str) -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(ValueError, match="idempotency_key"):
        client.publish("sum", idempotency_key=key)


@pytest.mark.parametrize("path", ["", "tasks", "@evil.example/tasks", ".evil.example/"])
def test_a_path_cannot_lead_to_another_host(path: str) -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(ValueError, match="slash"):
        client.request("GET", path)
