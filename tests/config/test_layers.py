"""Where settings come from, which one wins, and where a problem is said to come from."""

from pathlib import Path

import pytest

from task_queue.config.actions import PythonSettings
from task_queue.config.layers import effective, load
from tests.config.loading import loaded, refusal
from tests.harness import ROOT

QUEUE_KEYS = (
    "driver, concurrency, prefetch, max_attempts, lease_seconds, backoff_base_seconds,"
    " backoff_factor, backoff_cap_seconds, max_length, max_bytes, rate_limit, concurrency_per_key,"
    " callback"
)


def test_later_layers_win_key_by_key(file: Path) -> None:
    found = loaded(
        "http.port=3", file=file, TASK_QUEUE_HTTP__PORT="2", TASK_QUEUE_HTTP__THREADS="2"
    )
    http = found.settings.http
    assert (http.port, http.threads, http.max_connections, http.host) == (3, 2, 1, "127.0.0.1")
    assert found.origins["http.port"] == "--set"
    assert found.origins["http.threads"] == "environment TASK_QUEUE_HTTP__THREADS"
    assert found.origins["http.max_connections"] == f"file {file}"
    assert found.origins["http.host"] == "default"


def test_the_last_override_of_a_key_wins() -> None:
    assert loaded("http.port=3", "http.port=4").settings.http.port == 4


def test_the_environment_reaches_a_nested_key() -> None:
    settings = loaded(TASK_QUEUE_QUEUES__TASKS__CONCURRENCY="4").settings
    assert settings.queues["tasks"].concurrency == 4
    assert settings.queues["tasks"].prefetch == 5


def test_the_process_environment_is_read_when_none_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TASK_QUEUE_HTTP__PORT", "9000")
    assert load().settings.http.port == 9000


def test_the_environment_names_the_file_unless_an_argument_does(file: Path) -> None:
    assert loaded(TASK_QUEUE_CONFIG=str(file)).settings.http.port == 1
    other = ROOT / "config" / "tutorial.toml"
    assert loaded(file=other, TASK_QUEUE_CONFIG=str(file)).settings.http.port == 8080
    assert loaded(TASK_QUEUE_CONFIG="").settings == loaded().settings


def test_variables_of_the_test_suite_and_of_others_are_no_settings() -> None:
    found = loaded(TASK_QUEUE_TEST_POSTGRES_URL="postgresql://h/db", HTTP__PORT="1")
    assert found.settings == loaded().settings


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("log.level=DEBUG", "DEBUG"),
        ('log.level="DEBUG"', "DEBUG"),
        ("log.level = 'DEBUG'", "DEBUG"),
    ],
)
def test_an_override_is_toml_or_else_text(override: str, value: str) -> None:
    assert loaded(override).settings.log.level == value


def test_actions_come_from_every_layer(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('[actions]\nthumb = "images:thumb"\n"mail.send" = "post.office:send"\n')
    found = loaded("actions.two=b:two", file=path, TASK_QUEUE_ACTIONS__ONE="a:one")
    assert found.settings.actions == {
        "thumb": PythonSettings(python="images:thumb"),
        "mail.send": PythonSettings(python="post.office:send"),
        "one": PythonSettings(python="a:one"),
        "two": PythonSettings(python="b:two"),
    }
    assert found.origins["actions.mail.send.python"] == f"file {path}"


def test_a_queue_comes_from_any_layer(file: Path) -> None:
    file.write_text("[queues.mail]\nprefetch = 50\nconcurrency = 2\n[queues.thumbs]\n")
    found = loaded(
        "queues.video-2.max_attempts=9",
        file=file,
        TASK_QUEUE_QUEUES__MAIL__CONCURRENCY="4",
        TASK_QUEUE_QUEUES__DRIVER__PREFETCH="7",  # a name that is a key's as well
    )
    queues = found.settings.queues
    assert list(queues) == ["tasks", "mail", "thumbs", "driver", "video-2"]
    assert (queues["mail"].prefetch, queues["mail"].concurrency) == (50, 4)
    assert queues["thumbs"] == queues["tasks"]
    assert queues["driver"].prefetch == 7
    assert queues["video-2"].max_attempts == 9
    assert found.origins["queues.mail.prefetch"] == f"file {file}"
    assert found.origins["queues.mail.concurrency"] == (
        "environment TASK_QUEUE_QUEUES__MAIL__CONCURRENCY"
    )
    assert found.origins["queues.video-2.max_attempts"] == "--set"


def test_a_queue_falls_back_to_the_defaults_and_not_to_what_is_set_for_tasks() -> None:
    found = loaded("queues.tasks.prefetch=50", "queues.mail.concurrency=4")
    queues = found.settings.queues
    assert queues["tasks"].prefetch == 50
    assert queues["mail"] == loaded().settings.queues["tasks"].model_copy(update={"concurrency": 4})
    rows = effective(found)
    assert ("queues.mail.concurrency", "4", "--set") in rows
    assert ("queues.mail.prefetch", "5", "default") in rows
    assert ("queues.mail.driver", "database", "default") in rows
    assert ("queues.tasks.prefetch", "50", "--set") in rows


def test_the_queue_tasks_is_there_whatever_else_is(file: Path) -> None:
    file.write_text("queues = { mail = { prefetch = 1 } }")
    assert set(loaded(file=file).settings.queues) == {"tasks", "mail"}
    assert set(loaded("queues={}").settings.queues) == {"tasks"}


def test_what_the_environment_cannot_hold_is_told_with_where_it_goes() -> None:
    problem = refusal(TASK_QUEUE_ACTIONS__SHOUT__COMMAND='["tr", "a-z", "A-Z"]')
    assert problem.endswith("__COMMAND): must be a list, which only a file or --set can hold")
    problem = refusal("schedules.x.every=5m", TASK_QUEUE_SCHEDULES__X__TASK="sum")
    assert problem.endswith(
        "must be a table: each of its keys is a variable of its own, with __ before the key"
    )


@pytest.mark.parametrize("written", ["1_0", "1.0", "+5", " 5", "5 ", "05", "\u0665", "1e1", ""])
def test_a_whole_number_of_the_environment_is_written_as_in_json(written: str) -> None:
    problem = refusal(TASK_QUEUE_HTTP__THREADS=written)
    assert problem.endswith("(from environment TASK_QUEUE_HTTP__THREADS): must be a whole number")


@pytest.mark.parametrize(
    "written", ["1_0", "1_0.5", "+5", " 5", "5 ", "05", "5.", ".5", "\u0665", ""]
)
def test_any_other_number_of_the_environment_is_too(written: str) -> None:
    problem = refusal(TASK_QUEUE_HTTP__ANSWER_TIMEOUT_SECONDS=written)
    assert problem.endswith("_SECONDS): must be a number")


def test_a_number_with_a_fraction_is_no_whole_one_and_toml_may_group_digits() -> None:
    assert refusal("http.threads=8.0").endswith(": must be a whole number")
    assert loaded("http.max_body_bytes=1_048_576").settings.http.max_body_bytes == 2**20


def test_a_typo_in_any_queue_is_told_with_the_known_keys(file: Path) -> None:
    known = f"unknown key; known are {QUEUE_KEYS}"
    assert refusal("queues.tasks.prefetsch=1") == f"queues.tasks.prefetsch (from --set): {known}"
    assert refusal("queues.mail.prefetsch=1") == f"queues.mail.prefetsch (from --set): {known}"
    assert refusal(TASK_QUEUE_QUEUES__MAIL__PREFETSCH="1") == (
        f"queues.mail.prefetsch (from environment TASK_QUEUE_QUEUES__MAIL__PREFETSCH): {known}"
    )
    file.write_text("[queues.mail]\nprefetsch = 1\n")
    assert refusal(file=file) == f"queues.mail.prefetsch (from file {file}): {known}"


def test_a_schedule_comes_from_any_layer(file: Path) -> None:
    file.write_text(
        """
        [schedules.nightly]
        cron = "30 2 * * *"
        timezone = "Europe/Berlin"
        missed = "once"
        task = { action = "sum", priority = 5, data = { numbers = [1, 2] } }
        """
    )
    found = loaded(
        "schedules.nightly.task.priority=7",
        'schedules.hourly={cron = "0 * * * *", task = {action = "uppercase"}}',
        file=file,
        TASK_QUEUE_SCHEDULES__TASK__CRON="1 * * * *",  # a name that is a key's as well
        TASK_QUEUE_SCHEDULES__TASK__TASK__ACTION="uppercase",
    )
    schedules = found.settings.schedules
    assert set(schedules) == {"nightly", "hourly", "task"}
    nightly = schedules["nightly"]
    assert (nightly.cron, nightly.timezone, nightly.missed) == (
        "30 2 * * *",
        "Europe/Berlin",
        "once",
    )
    assert nightly.task == {"action": "sum", "priority": 7, "data": {"numbers": [1, 2]}}
    assert schedules["task"].task == {"action": "uppercase"}
    assert found.origins["schedules.nightly.cron"] == f"file {file}"
    assert found.origins["schedules.nightly.task.priority"] == "--set"
    assert found.origins["schedules.task.task.action"] == (
        "environment TASK_QUEUE_SCHEDULES__TASK__TASK__ACTION"
    )


def test_what_a_schedule_does_not_say_is_utc_and_skip_and_shown_as_default() -> None:
    found = loaded("schedules.s.cron=0 * * * *", "schedules.s.task.action=sum")
    schedule = found.settings.schedules["s"]
    assert (schedule.timezone, schedule.missed) == ("UTC", "skip")
    assert [row for row in effective(found) if row[0].startswith("schedules.")] == [
        ("schedules.s.cron", "0 * * * *", "--set"),
        ("schedules.s.timezone", "UTC", "default"),
        ("schedules.s.task.action", "sum", "--set"),
        ("schedules.s.missed", "skip", "default"),
    ]


def test_a_problem_names_the_variable_or_file_it_came_from(file: Path) -> None:
    file.write_text("[http]\nport = -1\n")
    assert refusal(file=file) == f"http.port = -1 (from file {file}): must be at least 0"
    assert refusal(TASK_QUEUE_HTTP__PORT="x") == (
        "http.port = x (from environment TASK_QUEUE_HTTP__PORT): must be a whole number"
    )


def test_all_problems_are_told_at_once() -> None:
    problems = refusal("http.port=-1", "http.prot=1", TASK_QUEUE_LOG__LEVEL="LOUD").splitlines()
    assert [problem.split(" ")[0] for problem in problems] == [
        "http.port",
        "http.prot",
        "log.level",
    ]


def test_a_typo_is_refused_in_every_layer(file: Path) -> None:
    known = "unknown key; known are max_restarts, period_seconds"
    assert refusal("supervisor.restarts=1") == f"supervisor.restarts (from --set): {known}"
    assert refusal(TASK_QUEUE_SUPERVISOR__RESTARTS="1") == (
        f"supervisor.restarts (from environment TASK_QUEUE_SUPERVISOR__RESTARTS): {known}"
    )
    file.write_text("[supervisor]\nrestarts = 1\n")
    assert refusal(file=file) == f"supervisor.restarts (from file {file}): {known}"


def test_an_unknown_section_is_refused_in_every_layer(file: Path) -> None:
    assert refusal(TASK_QUEUE_HTPP__PORT="1").startswith(
        "htpp.port (from environment TASK_QUEUE_HTPP__PORT): unknown key; known are http, auth,"
    )
    assert refusal(TASK_QUEUE__HTTP__PORT="1").startswith(
        "_http.port (from environment TASK_QUEUE__HTTP__PORT): unknown key; known are http,"
    )
    assert refusal("htpp.port=1").startswith("htpp (from --set): unknown key")
    assert refusal("HTTP.port=1").startswith("HTTP (from --set): unknown key")
    file.write_text("[_env_file]\nport = 1\n")
    assert refusal(file=file).startswith(f"_env_file (from file {file}): unknown key")


def test_what_kubernetes_sets_beside_a_service_of_our_name_stops_nothing() -> None:
    of_a_service = {
        "TASK_QUEUE_PORT": "tcp://10.96.0.12:8080",
        "TASK_QUEUE_PORT_8080_TCP": "tcp://10.96.0.12:8080",
        "TASK_QUEUE_PORT_8080_TCP_ADDR": "10.96.0.12",
        "TASK_QUEUE_SERVICE_HOST": "10.96.0.12",
        "TASK_QUEUE_SERVICE_PORT_HTTP": "8080",
        "TASK_QUEUE_HTTP_SERVICE_PORT": "8080",  # of a Service called task-queue-http
        "TASK_QUEUE_HTTP": "8080",
        "TASK_QUEUE__WEB_PORT": "tcp://10.96.0.12:8080",  # of one called task-queue--web
    }
    others = {
        "TASK_QUEUE_CONFIG": "",
        "TASK_QUEUE_URL": "http://localhost:8080",
        "TASK_QUEUE_KEY": "tq_1",
        "TASK_QUEUE_TEST_POSTGRES_URL": "x",
    }
    found = load(environ=of_a_service | others)
    assert found.settings == loaded().settings
    assert found.unused_variables == tuple(of_a_service)
    assert loaded(TASK_QUEUE_HTTP__PORT="1").unused_variables == ()


def test_a_mark_of_the_byte_order_before_a_file_is_passed_over(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf[http]\r\nport = 1\r\n")
    assert loaded(file=file).settings.http.port == 1


def test_a_file_that_is_missing_broken_or_not_text_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert refusal(file=missing) == f"config file {missing}: No such file or directory"
    assert refusal(file=tmp_path) == f"config file {tmp_path}: Is a directory"
    broken = tmp_path / "broken.toml"
    broken.write_text("[http\n")
    assert refusal(file=broken).startswith(f"config file {broken}: is not valid TOML: ")
    broken.write_bytes(b"\xff\xfe")
    sentence = f"config file {broken}: is not UTF-8: invalid start byte at byte 0"
    assert refusal(file=broken) == sentence
