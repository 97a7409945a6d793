"""Schedules of the settings: what may be in them, and in which words the rest is refused."""

from pathlib import Path
from typing import Any, cast

import pytest

from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.interval import Interval
from task_queue.actors.tasks.recurrence import Missed, Recurrence
from task_queue.actors.tasks.schedule import Schedule
from task_queue.api.auth.caller import EVERYBODY
from task_queue.api.edge import Edge
from task_queue.api.schedule_settings import schedules
from task_queue.config.layers import load
from task_queue.config.settings import SettingsError

NOW = 1_795_305_600.0  # 2026-11-22T00:00:00Z
SETTINGS = """
[queues.mail]

[queues.quick]
driver = "memory"

[schedules.nightly]
cron = "{cron}"
timezone = "{timezone}"
task = {task}
"""
NOT_JSON = "task must hold what JSON can say: "


def configured(
    directory: Path,
    task: str = '{action = "x"}',
    *overrides: str,
    cron: str = "30 2 * * *",
    timezone: str = "Europe/Berlin",
) -> list[Schedule]:
    file = directory / "mine.toml"
    text = SETTINGS.replace("{cron}", cron).replace("{timezone}", timezone)
    file.write_text(text.replace("{task}", task))
    loaded = load(file, overrides, environ={})
    system = ActorSystem(loaded.settings, on_too_many_restarts=lambda: None)  # never started
    return schedules(loaded, Edge(system, 1.0).catalog(EVERYBODY), NOW)


def test_a_schedule_of_the_settings_is_as_one_that_was_put(tmp_path: Path) -> None:
    task = '{action = "sum", queue = "mail", priority = 5, data = {numbers = [1, 2.5]}}'
    assert configured(tmp_path, task, "schedules.nightly.missed=once") == [
        Schedule(
            name="nightly",
            recurrence=Recurrence("30 2 * * *", "Europe/Berlin"),
            missed=Missed.ONCE,
            task='{"action":"sum","data":{"numbers":[1,2.5]},"queue":"mail","priority":5}',
            configured=True,
            next_at=NOW + 90 * 60,
            created_at=int(NOW),
        )
    ]


def test_where_there_are_none_nothing_is_looked_up() -> None:
    assert schedules(load(environ={}), cast("Any", None), NOW) == []


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        ("{}", "task.action is missing"),
        ('{action = ""}', "task.action must not be empty"),
        (
            '{action = "x", priority = 101}',
            "task.priority must be a whole number from -100 to 100, not 101",
        ),
        (
            '{action = "x", priority = "5"}',
            'task.priority must be a whole number from -100 to 100, not "5"',
        ),
        ('{action = "x", prio = 1}', "task.prio is not known; known: action, data, queue, "),
        ('{action = "x", backoff = {base = 9, cap = 1}}', "task.backoff.cap must be at least base"),
        ('{action = "x", run_at = "2099-01-01T00:00:00Z"}', "task.run_at is one moment, and a "),
        ('{action = "x", expires_at = 4000000000}', "task.expires_at is one moment, and a "),
        ('{action = "x", run_at = 2099-01-01T00:00:00Z}', NOT_JSON),
        ('{action = "x", data = {a = inf}}', NOT_JSON),
        ('{action = "x", data = {a = [nan]}}', NOT_JSON),
        ('{action = "x", data = {a = 2026-11-22}}', NOT_JSON),
        ('{action = "x", data = {a = 10:00:00}}', NOT_JSON),
        ('{action = "x", data = {a = "\\u0000"}}', NOT_JSON),
        ('{action = "x", data = {a = 9223372036854775808}}', NOT_JSON),
        ('{action = "x", queue = "quick"}', "task.queue must be one that keeps its tasks on disk"),
    ],
)
def test_a_task_that_could_not_be_published_is_named(
    tmp_path: Path, task: str, sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        configured(tmp_path, task)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"schedules.nightly (from file {tmp_path}/mine.toml): {sentence}")


@pytest.mark.parametrize(
    ("cron", "timezone", "sentence"),
    [
        ("* * * *", "UTC", "cron must have 5 fields (minute, hour, day-of-month, month, "),
        ("0 0 30 2 *", "UTC", "cron must fire within 50 years, and '0 0 30 2 *' does not"),
        ("* * * * *", "Mars", "timezone must be a name of the IANA time zone database"),
    ],
)
def test_times_that_cannot_be_followed_are_named(
    tmp_path: Path, cron: str, timezone: str, sentence: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        configured(tmp_path, cron=cron, timezone=timezone)
    origin = f"(from file {tmp_path}/mine.toml)"
    assert str(caught.value).startswith(f"schedules.nightly {origin}: {sentence}")


def test_a_schedule_without_times_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        configured(tmp_path, '{action = "x"}', "schedules.other.task.action=x")
    assert str(caught.value) == (
        "schedules.other (from --set):"
        " cron or every must be given, and only one of them; neither is"
    )


def test_a_schedule_of_the_settings_may_have_an_interval(tmp_path: Path) -> None:
    overrides = [
        f"schedules.other.{each}"
        for each in ("task.action=x", "every=90m", "expires_after_seconds=60")
    ]
    _, other = configured(tmp_path, '{action = "x"}', *overrides)
    assert (other.recurrence, other.next_at) == (Interval("90m", "UTC"), NOW + 5_400)
    assert other.expires_after_seconds == 60.0


def test_an_action_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        configured(tmp_path, '{action = "x"}', "builtin.fallback=false")
    origin = f"(from file {tmp_path}/mine.toml)"
    expected = f"schedules.nightly {origin}: task.action 'x' is not known; known: sum, uppercase"
    assert str(caught.value) == expected


def test_a_callback_without_a_secret_is_named(tmp_path: Path) -> None:
    task = '{action = "sum", callback = "http://example.com"}'
    with pytest.raises(SettingsError, match=r"task\.callback needs the setting callbacks\.secret"):
        configured(tmp_path, task)
    secret = f"callbacks.secret=whsec_{'b25l' * 8}"
    (schedule,) = configured(tmp_path, task, secret)
    assert "http://example.com" in schedule.task


def test_of_several_layers_the_one_with_the_wrong_value_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        configured(tmp_path, '{action = "x"}', "schedules.nightly.timezone=Mars")
    assert str(caught.value).startswith("schedules.nightly (from --set): timezone must be a name")
    with pytest.raises(SettingsError) as caught:
        configured(tmp_path, '{action = "x", prio = 1}', "schedules.nightly.timezone=UTC")
    assert str(caught.value).startswith(f"schedules.nightly (from file {tmp_path}/mine.toml): task")
