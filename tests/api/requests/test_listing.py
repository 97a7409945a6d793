"""Which tasks a listing shows, in which order, and what it says to a query that is wrong."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from tests.api.answers import problem
from tests.api.servers import DATABASES, server_on
from tests.harness import ServerProcess

pytestmark = pytest.mark.system

STATES = "'scheduled', 'queued', 'running', 'completed', 'dead' or 'cancelled'"
NAMES = (
    "queue, action, created_after, created_before, key, error_contains, error_group, data, order,"
    " limit, cursor"
)
FORGED = "cursor is not one that this service gave; use a next_cursor, or leave it out"
A_TIME = (
    "must be a time up to the year 9999, as 2026-11-22T10:00:00Z"
    " (RFC 3339, with Z or an offset) or in Unix seconds"
)
PLACE_ONLY = "MTc5NTMxNzkxMi45"
"""As former versions gave them, without the filters."""
A_MEMBER = (
    "data names a member by names with dots between, without quotes, in 200 characters at most"
)
NUL = "must not hold the NUL character, as"


@dataclass(frozen=True)
class Listed:
    """A server with some tasks, and their ids, by a name for each, in order of creation."""

    server: ServerProcess
    ids: dict[str, str]

    def names(self, path: str = "/tasks", **query: Any) -> list[str]:  # noqa: ANN401 - any text
        """The names of the tasks that this query lists."""
        page = self.server.client.get(path, params=query)
        assert page.status_code == 200, page.text
        assert page.json()["count"] == len(page.json()["tasks"])
        named = {task_id: name for name, task_id in self.ids.items()}
        return [named[task["id"]] for task in page.json()["tasks"]]


@pytest.fixture(scope="module", params=DATABASES)
def listed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Listed]:
    """A server on each kind of database with a task of each kind; its queue `mail` is paused."""
    members: dict[str, dict[str, Any]] = {
        "completed": {"action": "x"},
        "dead": {"action": "sum", "data": {"numbers": "none"}},
        "scheduled": {"action": "y", "delay_seconds": 1_000, "unique_key": "one"},
        "queued": {"action": "x", "queue": "mail", "unique_key": "one"},
        "cancelled": {"action": "y", "queue": "mail"},
    }
    with server_on(request, tmp_path_factory, "queues.mail.concurrency=1") as server:
        server.client.post("/queues/mail/pause")
        ids = {
            name: server.client.post("/tasks", json=each).json()["id"]
            for name, each in members.items()
        }
        server.client.post(f"/tasks/{ids['cancelled']}/cancel")
        for name, task_id in ids.items():
            server.wait_for_status(task_id, name)
        yield Listed(server, ids)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["cancelled", "queued", "scheduled", "dead", "completed"]),
        ({"order": "newest"}, ["cancelled", "queued", "scheduled", "dead", "completed"]),
        ({"order": "oldest"}, ["completed", "dead", "scheduled", "queued", "cancelled"]),
        ({"status": "dead"}, ["dead"]),
        ({"status": "dead,queued"}, ["queued", "dead"]),
        ({"status": ["queued", "dead"]}, ["queued", "dead"]),
        ({"status": ["queued,dead", "dead,completed"]}, ["queued", "dead", "completed"]),
        ({"status": "running"}, []),
        ({"queue": "mail"}, ["cancelled", "queued"]),
        (
            {"queue": "mail", "order": "oldest", "status": "queued,cancelled"},
            ["queued", "cancelled"],
        ),
        ({"action": "x"}, ["queued", "completed"]),
        ({"action": "x", "queue": "tasks"}, ["completed"]),
        ({"action": "x", "status": "dead"}, []),
        ({"unique_key": "one"}, ["queued", "scheduled"]),
        ({"unique_key": "one", "queue": "mail"}, ["queued"]),
        ({"unique_key": "two"}, []),
        ({"action": "' OR 1=1 --"}, []),
        ({"limit": "2", "order": "oldest"}, ["completed", "dead"]),
    ],
)
def test_a_listing_shows_the_tasks_asked_for(
    listed: Listed, query: dict[str, Any], names: list[str]
) -> None:
    assert listed.names(**query) == names


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("limit", [1, 2, 4, 5])
def test_pages_hold_every_task_once_in_either_order(listed: Listed, order: str, limit: int) -> None:
    found: list[str] = []
    query: dict[str, Any] = {"order": order, "limit": limit}
    while True:
        page = listed.server.client.get("/tasks", params=query).json()
        found += [task["id"] for task in page["tasks"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == list(listed.ids.values())[:: 1 if order == "oldest" else -1]


def test_bounds_of_creation_take_in_the_first_and_leave_out_the_second(listed: Listed) -> None:
    first = listed.server.task(listed.ids["completed"])["created_at"]
    last = listed.server.task(listed.ids["cancelled"])["created_at"]
    everything = listed.names()
    assert listed.names(created_after=first, created_before=last + 1) == everything
    assert "completed" not in listed.names(created_after=first + 1)
    assert "cancelled" not in listed.names(created_before=last)
    assert "completed" not in listed.names(created_after=first + 0.5)
    assert listed.names(created_before=first) == []
    assert listed.names(created_after=last + 1) == []


def test_bounds_of_creation_may_be_written_out(listed: Listed) -> None:
    now = datetime.fromtimestamp(time.time(), UTC).replace(microsecond=0)
    everything = listed.names()
    for zone in (UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))):
        hour_ago = (now - timedelta(hours=1)).astimezone(zone).isoformat()
        in_an_hour = (now + timedelta(hours=1)).astimezone(zone).isoformat()
        assert listed.names(created_after=hour_ago, created_before=in_an_hour) == everything
        assert listed.names(created_after=in_an_hour) == []
        assert listed.names(created_before=hour_ago) == []
    assert listed.names(created_after="2020-01-01T00:00:00Z") == everything


def test_the_plus_of_an_offset_need_not_be_escaped(listed: Listed) -> None:
    # As it stands, a + in a query means a space.
    page = listed.server.client.get("/tasks?created_after=2020-01-01T00:00:00+01:00")
    assert page.json()["count"] == 5


def test_every_status_may_be_asked_for_at_once(listed: Listed) -> None:
    every = "scheduled,queued,running,completed,dead,cancelled"
    assert listed.names(status=every) == listed.names()


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("status=bogus", f'status must be one of {STATES}, not "bogus"'),
        ("status=", f'status must be one of {STATES}, not ""'),
        ("status=Dead", f'status must be one of {STATES}, not "Dead"'),
        ("status=dead,", f'status must be one of {STATES}, not ""'),
        (
            "status=blocked",
            f'status must be one of {STATES}, not "blocked"',
        ),
        (
            "status=dead&status=x",
            f'status must be one of {STATES}, not "x"',
        ),
        ("queue=", "queue must not be empty"),
        (f"queue={'q' * 201}", "queue must have at most 200 characters, not 201"),
        ("queue=a&queue=b", "queue is given 2 times; once is allowed"),
        ("queue=a%00", f'queue {NUL} "a\\u0000" does'),
        ("action=", "action must not be empty"),
        (f"action={'x' * 201}", "action must have at most 200 characters, not 201"),
        ("action=%00", f'action {NUL} "\\u0000" does'),
        ("unique_key=", "unique_key must not be empty"),
        (f"unique_key={'k' * 10_000}", "unique_key must have at most 200 characters, not 10000"),
        ("unique_key=%00", f'unique_key {NUL} "\\u0000" does'),
        ("created_after=yesterday", f'created_after {A_TIME}, not "yesterday"'),
        ("created_after=", f'created_after {A_TIME}, not ""'),
        ("created_after=05", f'created_after {A_TIME}, not "05"'),
        ("=5", '"" is not known; known: '),
        ("created_before=2026-02-30T00:00:00Z", f'created_before {A_TIME}, not "2026-02-30T00'),
        ("created_before=2026-11-22T10:00:00", f'created_before {A_TIME}, not "2026-11-22T10'),
        ("created_before=99999999999999", f'created_before {A_TIME}, not "99999999999999"'),
        ("created_before=nan", f'created_before {A_TIME}, not "nan"'),
        ("created_before=%00", f'created_before {NUL} "\\u0000" does'),
        ("order=up", "order must be one of 'newest' or 'oldest', not \"up\""),
        ("limit=0", 'limit must be a whole number from 1 to 1000, not "0"'),
        ("limit=-1", 'limit must be a whole number from 1 to 1000, not "-1"'),
        ("limit=1001", 'limit must be a whole number from 1 to 1000, not "1001"'),
        (f"limit={10**30}", f'limit must be a whole number from 1 to 1000, not "{10**30}"'),
        ("limit=x", 'limit must be a whole number from 1 to 1000, not "x"'),
        ("limit=", 'limit must be a whole number from 1 to 1000, not ""'),
        ("limit=1_0", 'limit must be a whole number from 1 to 1000, not "1_0"'),
        ("limit=1.0", 'limit must be a whole number from 1 to 1000, not "1.0"'),
        ("limit=%2B5", 'limit must be a whole number from 1 to 1000, not "+5"'),
        ("limit=+5", 'limit must be a whole number from 1 to 1000, not " 5"'),
        ("limit=5%20", 'limit must be a whole number from 1 to 1000, not "5 "'),
        ("limit=05", 'limit must be a whole number from 1 to 1000, not "05"'),
        ("limit=%D9%A5", 'limit must be a whole number from 1 to 1000, not "\u0665"'),
        ("limit=1e9", 'limit must be a whole number from 1 to 1000, not "1e9"'),
        ("limit=1.5", 'limit must be a whole number from 1 to 1000, not "1.5"'),
        ("limit=1&limit=2&limit=3", "limit is given 3 times; once is allowed"),
        ("cursor=", FORGED),
        ("cursor=abc", FORGED),
        ("cursor=MQ", FORGED),  # "1"
        ("cursor=MS4x==", FORGED),  # "1.1", but padded
        ("cursor=MDEuMQ", FORGED),  # "01.1"
        ("cursor=MS4w", FORGED),  # "1.0"
        ("cursor=LTEuMQ", FORGED),  # "-1.1"
        ("cursor=MS45MjIzMzcyMDM2ODU0Nzc1ODA4", FORGED),  # 1.(2 ** 63)
        ("cursor=%00", f'cursor {NUL} "\\u0000" does'),
        ("cursor=%F0%9F%98%80", FORGED),
        ("cursor=1'%20OR%201=1", FORGED),
        (f"cursor={'x' * 10_000}", FORGED),
        (f"cursor={PLACE_ONLY}", FORGED),
        ("created_after=5&created_before=5", "created_before must be later than created_after"),
        ("action=%FF", "the query is not UTF-8: invalid start byte"),
        ("action=%ED%A0%80", "the query is not UTF-8: invalid continuation byte"),
        ("action=5%", 'the query has a % at "%" that begins no byte as %2B'),
        ("action=%zz", 'the query has a % at "%zz" that begins no byte as %2B'),
        ("page=2", f"page is not known; known: {NAMES}, status, unique_key"),
        ("%7Bvalue%7D=2", f"{{value}} is not known; known: {NAMES}, status, unique_key"),
        (
            "data=x",
            "data is given with the name of a member, as in data.user=17 or data.user.name=ada",
        ),
        ("data.=x", f'{A_MEMBER}, not by ""'),
        ("data..a=x", f'{A_MEMBER}, not by ".a"'),
        ("data.a.=x", f'{A_MEMBER}, not by "a."'),
        ("data.a%22=x", f'{A_MEMBER}, not by "a\\""'),
        ("data.a%00=x", f'{A_MEMBER}, not by "a\\u0000"'),
        (f"data.{'a' * 201}=x", f"{A_MEMBER}, not by "),
        ("data.a=%00", "data has values of 200 characters at most, without the NUL character;"),
        (f"data.a={'x' * 201}", "data has values of 200 characters at most"),
        ("data.a=1&data.a=2", "data.a is given 2 times; once is allowed"),
        (
            "&".join(f"data.a{number}=1" for number in range(6)),
            "data may be given of 5 members at most, not of 6",
        ),
        ("key=", "key must not be empty"),
        ("error_contains=", "error_contains must not be empty"),
        (f"error_group={'x' * 201}", "error_group must have at most 200 characters, not 201"),
    ],
)
def test_a_wrong_query_is_named_with_its_value_and_what_is_allowed(
    listed: Listed, query: str, error: str
) -> None:
    answer = listed.server.client.get(f"/tasks?{query}")
    assert answer.json()["error"].startswith(error)
    problem(answer, 400, answer.json()["error"])


@pytest.mark.parametrize(
    ("made_for", "used_with"),
    [
        ({}, {"order": "oldest"}),
        ({}, {"status": "queued,cancelled"}),
        ({"status": "queued,cancelled"}, {}),
        ({"queue": "mail"}, {"queue": "tasks"}),
        ({"queue": "mail"}, {"queue": "mail", "action": "x"}),
        ({"created_after": "1"}, {"created_after": "2"}),
        ({"unique_key": "one"}, {"unique_key": "two"}),
    ],
)
def test_a_cursor_is_refused_with_other_filters_than_it_was_made_for(
    listed: Listed, made_for: dict[str, str], used_with: dict[str, str]
) -> None:
    client = listed.server.client
    cursor = client.get("/tasks", params={**made_for, "limit": "1"}).json()["next_cursor"]
    answer = client.get("/tasks", params={**used_with, "cursor": cursor})
    error = (
        "cursor is of a listing with other filters or in another order; ask with those, or leave it"
        " out"
    )
    problem(answer, 400, error)
    assert client.get("/tasks", params={**made_for, "cursor": cursor}).status_code == 200


def test_a_cursor_goes_on_however_its_filters_are_written_and_with_any_limit(
    listed: Listed,
) -> None:
    query: dict[str, Any] = {"status": "queued,cancelled", "created_after": "1", "limit": "1"}
    cursor = listed.server.client.get("/tasks", params=query).json()["next_cursor"]
    again = {
        "status": ["cancelled", "queued"],
        "created_after": "1970-01-01T00:00:01Z",
        "cursor": cursor,
        "limit": "7",
    }
    assert listed.names(**again) == ["queued"]


@pytest.mark.parametrize("path", ["/tasks", "/dead-letters"])
def test_a_queue_that_is_none_and_never_had_a_task_is_told_so(listed: Listed, path: str) -> None:
    answer = listed.server.client.get(f"{path}?queue=nope")
    detail = "queue 'nope' is not known; known: tasks, mail"
    assert problem(answer, 400, "unknown queue") == detail


@pytest.mark.parametrize("bytes_", ["%F0%9F%98%80", "%EF%BF%BF", "a%0Ab"])
def test_characters_that_no_task_has_find_none(listed: Listed, bytes_: str) -> None:
    for name in ("action", "unique_key"):
        answer = listed.server.client.get(f"/tasks?{name}={bytes_}")
        assert (answer.status_code, answer.json()["count"]) == (200, 0)


def test_what_is_blocked_by_its_key_is_listed_as_queued(
    serve: Callable[..., ServerProcess],
) -> None:
    server = serve("queues.tasks.concurrency_per_key=1").start()
    server.client.post("/queues/tasks/pause")
    tasks = [{"action": "x", "key": "tenant"} for _ in range(3)]
    ids = server.client.post("/tasks/batch", json={"tasks": tasks}).json()["ids"]
    page = server.client.get("/tasks?status=queued").json()
    assert [task["id"] for task in page["tasks"]] == ids[::-1]
    assert {task["status"] for task in page["tasks"]} == {"queued"}
    assert server.client.get("/queues/tasks").json()["counts"]["queued"] == 3
    server.client.post("/queues/tasks/resume")
    for task_id in ids:
        server.wait_for_status(task_id, "completed")
