"""Schedules: kept, shown, and published at their times."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.schedules import put as keep
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.recurrence import Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.api.schedules import MAX_SCHEDULES, schedule_document
from task_queue.config.names import NAME_RULE
from tests.api.answers import complaints, problem
from tests.api.servers import DATABASES, server_on
from tests.harness import ServerProcess, eventually

MEMBERS = [
    "name",
    "cron",
    "timezone",
    "clock_forward",
    "clock_back",
    "task",
    "missed",
    "expires_after_seconds",
    "next",
    "last",
    "configured",
]
EVERY_MEMBERS = [MEMBERS[0], "every", *MEMBERS[2:]]
NIGHTLY: dict[str, Any] = {"cron": "30 2 * * *", "task": {"action": "sum"}}
ZONE = "timezone must be a name of the IANA time zone database, such as Europe/Berlin or UTC, not "
FIELDS = "minute, hour, day-of-month, month, day-of-week"
IN_SETTINGS = "the schedule nightly is in the settings; change it there"
NAME = f"a schedule's name {NAME_RULE}"


@pytest.fixture(scope="module", params=DATABASES)
def calendar(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on each kind of database that knows its actions, and has a queue in memory."""
    settings = ("builtin.fallback=false", "queues.mail.concurrency=1", "queues.quick.driver=memory")
    with server_on(request, tmp_path_factory, *settings) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_is_scheduled_any_more(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "calendar" in request.fixturenames:
        server: ServerProcess = request.getfixturevalue("calendar")
        for each in server.client.get("/schedules").json()["schedules"]:
            assert server.client.delete(f"/schedules/{each['name']}").status_code == 204
        assert complaints(server) == []


def put(server: ServerProcess, name: str = "s", **members: Any) -> httpx.Response:  # noqa: ANN401
    return server.client.put(f"/schedules/{name}", json=members)


def a_moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@pytest.mark.system
def test_a_schedule_is_made_shown_changed_and_forgotten(calendar: ServerProcess) -> None:
    made = put(calendar, "nightly", **NIGHTLY)
    assert made.status_code == 201
    document = made.json()
    assert list(document) == MEMBERS
    assert {name: document[name] for name in MEMBERS if name != "next"} == {
        "name": "nightly",
        "cron": "30 2 * * *",
        "timezone": "UTC",
        "clock_forward": "run",
        "clock_back": "once",
        "task": {"action": "sum", "data": {}, "queue": "tasks"},
        "missed": "skip",
        "expires_after_seconds": None,
        "last": None,
        "configured": False,
    }
    assert calendar.client.get("/schedules/nightly").json() == document
    assert calendar.client.get("/schedules").json() == {"schedules": [document]}

    same = put(calendar, "nightly", **NIGHTLY)
    assert (same.status_code, same.json()) == (200, document)
    changed = put(calendar, "nightly", **{**NIGHTLY, "cron": "31 2 * * *", "missed": "once"})
    assert changed.status_code == 200
    assert (changed.json()["cron"], changed.json()["missed"]) == ("31 2 * * *", "once")
    assert calendar.client.get("/schedules/nightly").json() == changed.json()

    gone = calendar.client.delete("/schedules/nightly")
    assert (gone.status_code, gone.content) == (204, b"")
    for method in ("GET", "DELETE"):
        answer = calendar.client.request(method, "/schedules/nightly")
        problem(answer, 404, "schedule not found")
    assert calendar.client.get("/schedules").json() == {"schedules": []}


@pytest.mark.system
def test_a_schedule_whose_tasks_expire_before_they_may_start_is_a_problem_of_its_own(
    calendar: ServerProcess,
) -> None:
    task = {**NIGHTLY["task"], "delay_seconds": 60}
    answer = put(calendar, **{**NIGHTLY, "task": task, "expires_after_seconds": 60})
    assert answer.json()["type"].endswith("#never-starts")


@pytest.mark.system
def test_schedules_are_listed_by_name(calendar: ServerProcess) -> None:
    names = ["b", "A.z", "a-1", "0_", "x" * 100]
    for name in names:
        assert put(calendar, name, **NIGHTLY).status_code == 201
    listed = [each["name"] for each in calendar.client.get("/schedules").json()["schedules"]]
    assert sorted(listed) == sorted(names)


@pytest.mark.system
def test_the_next_five_times_are_on_the_clock_of_the_zone(calendar: ServerProcess) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    document = put(calendar, cron="*/20 * * * *", timezone=zone.key, task=NIGHTLY["task"]).json()
    moments = [a_moment(text) for text in document["next"]]
    assert len(moments) == 5
    now = datetime.now(UTC)
    assert now - timedelta(seconds=30) < moments[0] <= now + timedelta(minutes=20)
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(minutes=20)}
    assert {moment.utcoffset() for moment in moments} == {timedelta(hours=5, minutes=30)}
    assert {moment.minute % 20 for moment in moments} == {0}


@pytest.mark.system
def test_all_that_a_publish_takes_can_be_scheduled_but_a_moment(calendar: ServerProcess) -> None:
    task = {
        "action": "sum",
        "data": {"numbers": [1, 2]},
        "queue": "mail",
        "priority": 5,
        "delay_seconds": 60.0,
        "max_attempts": 2,
        "backoff": {"base": 1.0, "cap": 9.0},
        "unique_key": "u",
        "key": "k",
        "keep_result_seconds": 60,
        "timeout_seconds": 7.5,
    }
    assert put(calendar, **{**NIGHTLY, "task": task}).json()["task"] == task
    given = {**task, "expires_at": None, "run_at": None}
    kept = put(calendar, timezone=None, missed=None, **{**NIGHTLY, "task": given})
    assert kept.status_code == 200
    assert kept.json()["task"] == task


@pytest.mark.system
@pytest.mark.parametrize(
    ("members", "error"),
    [
        ({"cron": None}, "cron or every must be given, and only one of them; neither is"),
        ({"every": "5m"}, "cron or every must be given, and only one of them; both are"),
        (
            {"cron": None, "every": "90"},
            "every must be a time from 1s to 366d in whole d, h",
        ),
        ({"cron": None, "every": 90}, "every must be a string, not 90"),
        ({"cron": None, "every": "m" * 41}, "every must have at most 40 characters, not 41"),
        (
            {"cron": None, "every": "5m", "clock_back": "once"},
            "clock_back goes with cron; every is a distance, whatever a clock shows",
        ),
        ({"clock_back": "thrice"}, "clock_back must be one of 'once' or 'twice', not \"thrice\""),
        ({"clock_forward": True}, "clock_forward must be one of 'run' or 'skip', not true"),
        (
            {"expires_after_seconds": 0.5},
            "expires_after_seconds must be a number from 1 to 31536000, not 0.5",
        ),
        (
            {"expires_after_seconds": 60, "task": {"action": "sum", "delay_seconds": 60}},
            "expires_after_seconds must be more than task.delay_seconds, which is 60, not 60",
        ),
        ({"cron": 5}, "cron must be a string, not 5"),
        ({"cron": ""}, "cron must not be empty"),
        ({"cron": "* " * 101}, "cron must have at most 200 characters, not 202"),
        ({"cron": "* * *"}, f"cron must have 5 fields ({FIELDS}), not 3 as '* * *' has"),
        (
            {"cron": "* * * * * *"},
            f"cron must have 5 fields ({FIELDS}), not 6 as '* * * * * *' has",
        ),
        (
            {"cron": "@reboot"},
            "cron must have 5 fields or be one of @hourly, @daily, @midnight, @weekly, @monthly, ",
        ),
        (
            {"cron": "*/90 * * * *"},
            "cron must have a step from 1 to 60 after * in its minute field, not '*/90'",
        ),
        (
            {"cron": "61 * * * *"},
            "cron must have 0-59 in its minute field, also with * , - and /, not '61'",
        ),
        (
            {"cron": "* * * JANUARY *"},
            "cron must have 1-12 or JAN-DEC in its month field, also with * , - and /, not 'JAN",
        ),
        (
            {"cron": "0 0 30 2 *"},
            "cron must fire within 50 years, and '0 0 30 2 *' does not: look at its day-of-month",
        ),
        ({"timezone": "Europe/Springfield"}, f"{ZONE}'Europe/Springfield'"),
        ({"timezone": "../../etc/passwd"}, f"{ZONE}'../../etc/passwd'"),
        ({"timezone": "europe/berlin"}, f"{ZONE}'europe/berlin'"),
        ({"timezone": "localtime"}, f"{ZONE}'localtime'"),
        ({"timezone": ""}, f"{ZONE}''"),
        ({"timezone": 1}, "timezone must be a string, not 1"),
        ({"timezone": "Z" * 101}, "timezone must have at most 100 characters, not 101"),
        ({"missed": "twice"}, "missed must be one of 'skip' or 'once', not \"twice\""),
        ({"missed": True}, "missed must be one of 'skip' or 'once', not true"),
        ({"task": None}, "task must be a JSON object, not null"),
        ({"task": "sum"}, 'task must be a JSON object, not "sum"'),
        ({"task": {}}, "task.action is missing"),
        ({"task": {"action": ""}}, "task.action must not be empty"),
        (
            {"task": {"action": "sum", "priority": 101}},
            "task.priority must be a whole number from -100 to 100, not 101",
        ),
        (
            {"task": {"action": "sum", "backoff": {"base": 9, "cap": 1}}},
            "task.backoff.cap must be at least base",
        ),
        (
            {"task": {"action": "sum", "run_at": "2099-01-01T00:00:00Z"}},
            "task.run_at is one moment, and a schedule publishes again and again",
        ),
        (
            {"task": {"action": "sum", "expires_at": 4_000_000_000}},
            "task.expires_at is one moment, and a schedule publishes again and again",
        ),
        ({"task": {"action": "sum", "prio": 1}}, "task.prio is not known; known: action, data"),
        (
            {"task": {"action": "sum", "queue": "quick"}},
            "task.queue must be one that keeps its tasks on disk; quick keeps them in memory",
        ),
        (
            {"tsak": {}},
            "tsak is not known; known: cron, every, timezone, clock_forward, ",
        ),
    ],
)
def test_a_wrong_member_is_named_with_its_value_and_what_is_allowed(
    calendar: ServerProcess, members: dict[str, Any], error: str
) -> None:
    answer = put(calendar, **{**NIGHTLY, **members})
    assert answer.json()["error"].startswith(error)
    problem(answer, 400, answer.json()["error"])
    assert calendar.client.get("/schedules").json() == {"schedules": []}


@pytest.mark.system
@pytest.mark.parametrize(
    ("task", "error", "detail"),
    [
        (
            {"action": "x"},
            "unknown action",
            "task.action 'x' is not known; known: sum, uppercase",
        ),
        (
            {"action": "sum", "queue": "nope"},
            "unknown queue",
            "task.queue 'nope' is not known; known: tasks, mail, quick",
        ),
    ],
)
def test_what_could_not_be_published_cannot_be_scheduled(
    calendar: ServerProcess, task: dict[str, Any], error: str, detail: str
) -> None:
    assert problem(put(calendar, **{**NIGHTLY, "task": task}), 400, error) == detail


@pytest.mark.system
def test_what_is_missing_is_named(calendar: ServerProcess) -> None:
    problem(put(calendar, cron=NIGHTLY["cron"]), 400, "task is missing")


@pytest.mark.system
def test_a_schedule_may_have_an_interval_in_place_of_a_line(calendar: ServerProcess) -> None:
    members = {"every": " 1h30m ", "task": NIGHTLY["task"], "expires_after_seconds": 60}
    before = datetime.now(UTC)
    document = put(calendar, timezone="Asia/Kolkata", **members).json()
    assert list(document) == [name for name in EVERY_MEMBERS if name in document]
    assert set(MEMBERS) - set(document) == {"cron", "clock_forward", "clock_back"}
    assert (document["every"], document["expires_after_seconds"]) == ("1h30m", 60.0)
    moments = [a_moment(text) for text in document["next"]]
    assert timedelta(minutes=89) < moments[0] - before < timedelta(minutes=91)
    assert {later - earlier for earlier, later in pairwise(moments)} == {timedelta(minutes=90)}
    assert moments[0].utcoffset() == timedelta(hours=5, minutes=30)
    again = put(calendar, timezone="Asia/Kolkata", **members).json()
    assert again == document


@pytest.mark.system
def test_an_interval_of_a_second_fires_again_and_again(calendar: ServerProcess) -> None:
    assert put(calendar, "quick", every="1s", task=NIGHTLY["task"]).status_code == 201
    eventually(lambda: len(fired(calendar, "quick")) >= 2, "it fires twice")
    document = calendar.client.get("/schedules/quick").json()
    assert a_moment(document["last"]) < a_moment(document["next"][0])


@pytest.mark.system
def test_a_line_is_shown_trimmed_with_what_it_does_when_the_clock_changes(
    calendar: ServerProcess,
) -> None:
    cron = " @hourly\t"
    document = put(calendar, cron=cron, clock_back="once", task=NIGHTLY["task"]).json()
    assert document["cron"] == "@hourly"
    assert (document["clock_forward"], document["clock_back"]) == ("skip", "once")


@pytest.mark.system
@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"null", b"{bad", b'{"cron": "\\u0000"}'])
def test_a_body_that_is_no_json_object_is_invalid_json(
    calendar: ServerProcess, content: bytes
) -> None:
    problem(calendar.client.put("/schedules/s", content=content), 400, "invalid JSON")


@pytest.mark.system
@pytest.mark.parametrize("name", ["x" * 201, "a b", "%C3%A4", "%00", ".a", "a%0A", "~"])
def test_a_name_that_is_none_is_refused(calendar: ServerProcess, name: str) -> None:
    problem(put(calendar, name, **NIGHTLY), 400, NAME)
    for method in ("GET", "DELETE"):
        answer = calendar.client.request(method, f"/schedules/{name}")
        problem(answer, 404, "schedule not found")


# --- what is published ----------------------------------------------------------------------


def set_back(directory: Path, name: str, next_at: float) -> None:
    """Let the next occurrence be this one, as if no server had run since then."""
    with sqlite3.connect(directory / "data" / "tasks.db") as database:
        database.execute("UPDATE schedules SET next_at = ? WHERE name = ?", [next_at, name])
    database.close()


def fired(server: ServerProcess, name: str) -> list[dict[str, Any]]:
    """The tasks that the schedule has published, the oldest first."""
    return [task for task in server.all_tasks()[::-1] if task["schedule"] == name]


@pytest.mark.system
def test_an_occurrence_is_published_once_in_its_time(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve().start()
    task = {"action": "uppercase", "data": {"text": "tick"}, "priority": 3}
    # Later than this test takes, so that only the occurrence that is set fires.
    later = datetime.now(UTC) + timedelta(minutes=20)
    cron = f"{later.minute} * * * *"
    assert put(server, "tick", cron=cron, task=task).status_code == 201
    assert server.terminate() == 0
    due_at = float(int(time.time()))
    set_back(tmp_path, "tick", due_at)
    server.start()
    eventually(lambda: fired(server, "tick"), "it fires")
    (published,) = fired(server, "tick")
    done = server.wait_for_status(published["id"], "completed")
    assert (done["result"], done["priority"]) == ({"output": "TICK"}, 3)
    document = server.client.get("/schedules/tick").json()
    assert a_moment(document["last"]).timestamp() == due_at
    assert a_moment(document["next"][0]) > datetime.now(UTC)
    # Not even when it comes to be due again does it come twice.
    server.kill()
    set_back(tmp_path, "tick", due_at)
    server.start()
    server.wait_for_log("occurrence has its task, or another one its unique key", schedule="tick")
    assert [task["id"] for task in fired(server, "tick")] == [published["id"]]


@pytest.mark.system
@pytest.mark.parametrize(("missed", "number"), [("skip", 0), ("once", 1)])
def test_what_was_missed_is_passed_over_or_made_up_for_once(
    serve: Callable[..., ServerProcess], tmp_path: Path, missed: str, number: int
) -> None:
    server = serve().start()
    cron = f"{(datetime.now(UTC) - timedelta(minutes=20)).minute} * * * *"
    assert put(server, cron=cron, missed=missed, task={"action": "x"}).status_code == 201
    assert server.terminate() == 0
    days_ago = datetime.now(UTC) - timedelta(days=3, minutes=20)
    set_back(tmp_path, "s", days_ago.replace(second=0, microsecond=0).timestamp())
    server.start()
    server.wait_for_log("schedule fired" if number else "occurrence missed", schedule="s")
    assert len(fired(server, "s")) == number
    document = server.client.get("/schedules/s").json()
    last = document["last"]
    assert (last is None) == (number == 0)
    assert last is None or datetime.now(UTC) - a_moment(last) < timedelta(minutes=30)
    assert a_moment(document["next"][0]) > datetime.now(UTC)


@pytest.mark.system
def test_what_a_schedule_published_stays_when_it_is_gone(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = serve().start()
    later = datetime.now(UTC) + timedelta(minutes=20)
    task = {"action": "x", "delay_seconds": 1_000}
    put(server, cron=f"{later.minute} * * * *", task=task)
    server.terminate()
    set_back(tmp_path, "s", time.time() - 1)
    server.start()
    (published,) = eventually(lambda: fired(server, "s"), "it fires")
    assert server.client.delete("/schedules/s").status_code == 204
    assert server.task(published["id"])["status"] == "scheduled"


# --- of the settings ------------------------------------------------------------------------

CONFIGURED = """
[schedules.nightly]
cron = "30 2 * * *"
timezone = "Europe/Berlin"
missed = "once"
task = { action = "sum", queue = "mail", data = { numbers = [1, 2] } }

[queues.mail]
"""


@pytest.mark.system
def test_schedules_of_the_settings_are_there_as_long_as_the_settings_name_them(
    tmp_path: Path,
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(CONFIGURED)
    server = ServerProcess(tmp_path, environ={"TASK_QUEUE_CONFIG": str(file)})
    try:
        server.start()
        put(server, "other", **NIGHTLY)
        nightly, other = server.client.get("/schedules").json()["schedules"]
        assert (nightly["name"], nightly["configured"]) == ("nightly", True)
        assert (nightly["timezone"], nightly["missed"]) == ("Europe/Berlin", "once")
        assert nightly["task"] == {"action": "sum", "data": {"numbers": [1, 2]}, "queue": "mail"}
        assert (other["name"], other["configured"]) == ("other", False)
        problem(put(server, "nightly", **NIGHTLY), 409, IN_SETTINGS)
        problem(server.client.delete("/schedules/nightly"), 409, IN_SETTINGS)
        assert server.client.get("/schedules/nightly").json() == nightly

        server.terminate()
        file.write_text(CONFIGURED.replace("30 2", "45 2"))
        server.start()
        assert server.client.get("/schedules/nightly").json()["cron"] == "45 2 * * *"

        server.terminate()
        file.write_text("")
        server.start()
        eventually(
            lambda: server.client.get("/schedules").json()["schedules"] == [other],
            "only the other one is left",
        )
    finally:
        server.close()


@pytest.mark.system
def test_one_schedule_too_many_is_refused_and_those_that_are_there_can_be_changed(
    serve: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{tmp_path}/tasks.db")
    migrate(database)
    store = Session(database)
    one = a_schedule("0 0 1 1 *", "UTC", "2099-01-01T00:00:00Z")
    with store.transaction():
        for number in range(MAX_SCHEDULES):
            keep(store.connection, replace(one, name=f"s{number:03}"))
    store.close()
    server = serve(f"database.url={database.url}").start()
    full = "there are 1000 schedules, and 1000 at most are allowed"
    problem(put(server, "new", **NIGHTLY), 409, full)
    assert put(server, "s000", **NIGHTLY).status_code == 200
    assert len(server.client.get("/schedules").json()["schedules"]) == MAX_SCHEDULES
    assert server.client.delete("/schedules/s001").status_code == 204
    assert put(server, "new", **NIGHTLY).status_code == 201


# --- as shown -------------------------------------------------------------------------------


def a_schedule(cron: str, timezone: str, next_at: str, last_at: str | None = None) -> Schedule:
    return Schedule(
        name="s",
        recurrence=Recurrence(cron, timezone),
        missed=Missed.SKIP,
        task='{"action":"x"}',
        next_at=a_moment(next_at).timestamp(),
        last_at=None if last_at is None else a_moment(last_at).timestamp(),
        created_at=0,
    )


def test_times_are_shown_with_the_offset_of_their_day() -> None:
    schedule = a_schedule(
        "30 12 * * *", "Europe/Berlin", "2026-10-24T10:30:00Z", "2026-10-23T10:30:00Z"
    )
    document = schedule_document(schedule)
    assert document["last"] == "2026-10-23T12:30:00+02:00"
    assert document["next"] == [
        "2026-10-24T12:30:00+02:00",
        "2026-10-25T12:30:00+01:00",
        "2026-10-26T12:30:00+01:00",
        "2026-10-27T12:30:00+01:00",
        "2026-10-28T12:30:00+01:00",
    ]


def test_a_zone_that_this_machine_does_not_know_hides_no_schedule() -> None:
    schedule = a_schedule("30 12 * * *", "Mars/Olympus", "2026-10-24T10:30:00Z")
    assert schedule_document(schedule)["next"] == ["2026-10-24T10:30:00+00:00"]


# --- run --------------------------------------------------------------------------------------


def run(server: ServerProcess, name: str) -> httpx.Response:
    return server.client.post(f"/schedules/{name}/run")


def test_a_schedule_is_run_at_once_and_its_times_stay(calendar: ServerProcess) -> None:
    task = {"action": "sum", "data": {"numbers": [1, 2]}, "priority": 3}
    body = {**NIGHTLY, "task": task, "expires_after_seconds": 60}
    assert calendar.client.put("/schedules/nightly", json=body).status_code == 201
    before = calendar.client.get("/schedules/nightly").json()
    ids = []
    for _ in range(2):
        answer = run(calendar, "nightly")
        assert answer.status_code == 202
        assert list(answer.json()) == ["id", "status"]
        assert answer.headers["Location"] == f"/tasks/{answer.json()['id']}"
        ids.append(answer.json()["id"])
    for each in ids:
        shown = calendar.wait_for_status(each, "completed")
        assert (shown["schedule"], shown["result"], shown["priority"]) == (
            "nightly",
            {"output": 3},
            3,
        )
        assert 59 < shown["expires_at"] - shown["run_at"] < 61
    assert ids[0] != ids[1]
    assert calendar.client.get("/schedules/nightly").json() == before


def test_a_schedule_that_is_run_again_with_the_same_idempotency_key_publishes_once(
    calendar: ServerProcess,
) -> None:
    again = {"Idempotency-Key": "nightly-1"}
    for name in ("nightly", "other"):
        calendar.client.put(f"/schedules/{name}", json={**NIGHTLY, "task": {"action": "sum"}})
    first, second, third = (
        calendar.client.post(f"/schedules/{name}/run", headers=again)
        for name in ("nightly", "nightly", "other")
    )
    assert (first.status_code, second.status_code) == (202, 202)
    assert second.json() == first.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    problem(third, 422, "this Idempotency-Key was sent before with another request")


def test_a_schedule_that_is_run_respects_its_unique_key(calendar: ServerProcess) -> None:
    task = {"action": "sum", "delay_seconds": 1_000, "unique_key": "only", "key": "k"}
    calendar.client.put("/schedules/nightly", json={**NIGHTLY, "task": task})
    first, second = run(calendar, "nightly"), run(calendar, "nightly")
    assert (first.status_code, first.json()["status"]) == (202, "scheduled")
    assert (second.status_code, second.json()) == (200, {**first.json(), "duplicate": True})
    calendar.client.post(f"/tasks/{first.json()['id']}/cancel")


def test_a_schedule_that_there_is_not_cannot_be_run(calendar: ServerProcess) -> None:
    problem(run(calendar, "nope"), 404, "schedule not found")
