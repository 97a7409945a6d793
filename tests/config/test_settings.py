"""Where settings come from, which one wins, and what is refused in which words."""

import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from task_queue.config.actions import KINDS, PythonSettings
from task_queue.config.layers import Loaded, effective, load
from task_queue.config.names import MAX_NAME_CHARS, NAME_RULE
from task_queue.config.problems import redacted
from task_queue.config.reference import descriptions
from task_queue.config.settings import QueueSettings, ScheduleSettings, Settings, SettingsError

CONFIG = Path(__file__).parents[2] / "config"

SCHEDULE = 'schedules.s={cron = "* * * * *", task = {action = "sum"}}'
ONE_LINE = "must have no blanks and line ends at its ends, nor control characters"
PROXY_RULE = "must be an address, a network as 10.1.0.0/16 or fd00::/8, or unix"
PREFIX_RULE = (
    "must be a path as /queue, of A-Z a-z 0-9 - . _ ~ and single slashes, without one at its end"
)
HOST_RULE = (
    "must be a name or an address without scheme and port,"
    " or a name with a dot in front for all names below it"
)
QUEUE_KEYS = (
    "driver, concurrency, prefetch, max_attempts, lease_seconds, backoff_base_seconds,"
    " backoff_factor, backoff_cap_seconds, max_length, max_bytes, rate_limit, concurrency_per_key,"
    " callback"
)


def loaded(*overrides: str, file: Path | None = None, **environ: str) -> Loaded:
    return load(file, overrides, environ)


def refusal(*overrides: str, file: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, overrides, environ)
    return str(caught.value)


def model_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        if name == "queues":
            yield from model_keys(QueueSettings, "queues.tasks.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from model_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", descriptions(model).get(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text("[http]\nport = 1\nthreads = 1\nmax_connections = 1\n")
    return path


def test_the_defaults_are_valid() -> None:
    settings = loaded().settings
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.database.url == "sqlite:///data/tasks.db"
    assert settings.database.min_free_bytes == 67_108_864
    assert set(settings.queues) == {"tasks"}
    tasks = settings.queues["tasks"]
    assert tasks.driver == "database"
    assert (tasks.max_length, tasks.max_bytes) == (0, 0)
    assert (tasks.rate_limit, tasks.concurrency_per_key) == (0, 0)
    assert settings.retention.completed_seconds == 604_800
    assert settings.retention.dead_seconds == 2_592_000
    assert settings.retention.cancelled_seconds == 604_800
    assert settings.actions == {}
    assert settings.schedules == {}


def test_every_key_is_described_and_has_a_commented_default() -> None:
    lines = (CONFIG / "default.toml").read_text().splitlines()
    table, commented = "", set()
    for before, line in pairwise(lines):
        if line.startswith("["):
            table = line.strip("[]")
        key = f"{table}.{line.split(' = ')[0]}" if " = " in line else table
        if before.startswith("# "):
            commented.add(key)
    keys = dict(model_keys(Settings))
    assert set(keys) <= commented
    assert set(keys) == set(loaded().origins)
    assert [key for key, description in keys.items() if not description] == []
    assert ScheduleSettings.model_fields.keys() <= descriptions(ScheduleSettings).keys()


def test_no_model_has_a_default_of_its_own_but_those_of_schedules_and_actions() -> None:
    annotations = [field.annotation for field in Settings.model_fields.values()]
    sections = [a for a in annotations if isinstance(a, type) and issubclass(a, BaseModel)]
    models: list[type[BaseModel]] = [Settings, QueueSettings, *sections]
    optional = [
        f"{model.__name__}.{name}"
        for model in models
        for name, field in model.model_fields.items()
        if not field.is_required()
    ]
    assert len(models) == 13
    assert optional == []


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
    other = CONFIG / "tutorial.toml"
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


_NAMED = [
    'queues."{}".prefetch=1',
    'actions."{}"=package.module:function',
    'schedules."{}"={{cron = "* * * * *", task = {{}}}}',
]


@pytest.mark.parametrize("named", _NAMED)
@pytest.mark.parametrize(
    "name", ["a", "7", "Mail", "_mail", "e-mail_2", "mail.eu", "mail:send", "n" * MAX_NAME_CHARS]
)
def test_a_queue_an_action_and_a_schedule_may_be_called(named: str, name: str) -> None:
    settings = loaded(named.format(name)).settings
    assert name in {*settings.queues, *settings.actions, *settings.schedules}


@pytest.mark.parametrize("named", _NAMED)
@pytest.mark.parametrize(
    "name",
    ["-mail", ".", "..", ".mail", "m\u00e4il", "mail 2", " mail", "mail ", " ", "a/b", "a%2Fb"],
)
def test_a_queue_an_action_and_a_schedule_may_not_be_called(named: str, name: str) -> None:
    problem = refusal(named.format(name))
    assert problem.endswith(f" (from --set): the name {NAME_RULE}")


@pytest.mark.parametrize("named", _NAMED)
@pytest.mark.parametrize(
    "name", ["\\n", "a\\n", "a\\u0000", "a\\u200b", "n" * (MAX_NAME_CHARS + 1)]
)
def test_what_cannot_be_seen_or_is_too_long_is_no_name(named: str, name: str) -> None:
    assert refusal(named.format(name)).endswith(f": the name {NAME_RULE}")


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


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("queues.mail.max_attempts", 1, 1000),
        ("queues.mail.max_length", 0, 1_000_000_000),
        ("queues.mail.max_bytes", 0, 2**50),
        ("queues.mail.rate_limit", 0, 100_000),
        ("queues.mail.concurrency_per_key", 0, 10_000),
        ("retention.completed_seconds", 1, 3_155_760_000),
        ("retention.dead_seconds", 1, 3_155_760_000),
        ("retention.cancelled_seconds", 1, 3_155_760_000),
        ("database.min_free_bytes", 0, 2**50),
    ],
)
def test_a_limit_takes_its_least_and_its_most_and_nothing_beyond(
    key: str, least: int, most: int
) -> None:
    for value in (least, most):
        values = {name: shown for name, shown, _ in effective(loaded(f"{key}={value}"))}
        assert float(values[key]) == value
    for value, allowed in ((least - 1, f"at least {least}"), (most + 1, f"at most {most}")):
        problem = f"{key} = {value} (from --set): must be {allowed}"
        assert refusal(f"{key}={value}").removesuffix(".0") == problem


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


def test_what_the_comments_of_the_defaults_show_can_be_set(tmp_path: Path) -> None:
    text = (CONFIG / "default.toml").read_text()
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(line[6:] for line in text.splitlines() if line.startswith("#     ")))
    settings = loaded(file=path).settings
    assert settings.schedules["nightly-report"].task["action"] == "uppercase"
    shown = {key for action in settings.actions.values() for key in action.model_fields_set}
    assert shown == {key for kind in KINDS.values() for key in kind.model_fields}
    assert settings.auth.keys["shop"].scopes == ("publish", "read")


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["schedules.s.cron=* * * * *"], "schedules.s.task (from --set): must be set"),
        (
            [SCHEDULE, "schedules.s.cron="],
            'schedules.s.cron = "" (from --set): must not be empty',
        ),
        ([SCHEDULE, f"schedules.s.cron={'*' * 201}"], "must have at most 200 characters"),
        (
            [SCHEDULE, "schedules.s.timezone="],
            'schedules.s.timezone = "" (from --set): must not be empty',
        ),
        ([SCHEDULE, f"schedules.s.timezone={'z' * 101}"], "must have at most 100 characters"),
        (
            ["schedules.s.cron=* * * * *", "schedules.s.task=sum"],
            "schedules.s.task = sum (from --set): must be a table of keys",
        ),
        (
            [SCHEDULE, "schedules.s.missed=twice"],
            "schedules.s.missed = twice (from --set): must be 'skip' or 'once'",
        ),
        (
            [SCHEDULE, "schedules.s.enabled=true"],
            "clock_forward, clock_back, task, missed, expires_after_seconds",
        ),
        (["schedules.s=5"], "schedules.s = 5 (from --set): must be a table of keys"),
        (["schedules=5"], "schedules = 5 (from --set): must be a table of keys"),
    ],
)
def test_a_wrong_schedule_is_refused_in_one_line(overrides: list[str], sentence: str) -> None:
    problem = refusal(*overrides)
    assert problem.endswith(sentence)
    assert "\n" not in problem


def test_a_schedule_for_a_queue_that_is_not_there_is_refused_with_those_that_are(
    file: Path,
) -> None:
    file.write_text(
        """
        [queues.mail]
        [schedules.good]
        cron = "* * * * *"
        task = { action = "sum", queue = "mail" }
        [schedules.typo]
        cron = "* * * * *"
        task = { action = "sum", queue = "mial" }
        [schedules.number]
        cron = "* * * * *"
        task = { action = "sum", queue = [5] }
        """
    )
    rule = f"(from file {file}): must be a queue; known are tasks, mail"
    assert refusal(file=file).splitlines() == [
        f"schedules.typo.task.queue = mial {rule}",
        f"schedules.number.task.queue = [5] {rule}",
    ]


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        (
            "queues.tasks.concurrency=0",
            "queues.tasks.concurrency = 0 (from --set): must be at least 1",
        ),
        ("http.port=65536", "http.port = 65536 (from --set): must be at most 65535"),
        ("http.port=80.5", "http.port = 80.5 (from --set): must be a whole number"),
        ("http.port=http", "http.port = http (from --set): must be a whole number"),
        ("http.port=[1]", "http.port = [1] (from --set): must be a whole number"),
        ("http.port=true", "http.port = true (from --set): must be a number"),
        ("http.host=", 'http.host = "" (from --set): must not be empty'),
        ("http.host=::1 ", f'http.host = "::1 " (from --set): {ONE_LINE}'),
        ("http.host=\udcff", 'http.host = "\\udcff" (from --set): must be UTF-8'),
        ("database.url=sqlite:///a\n", f'database.url = "sqlite:///a\\n" (from --set): {ONE_LINE}'),
        ('http={port={x="5"}}', 'http.port = {"x": "5"} (from --set): must be a whole number'),
        ("http.allowed_hosts=*", f"http.allowed_hosts.0 = * (from --set): {HOST_RULE}"),
        ("http.allowed_hosts=a:80", f"http.allowed_hosts.0 = a:80 (from --set): {HOST_RULE}"),
        ('http.allowed_hosts=["a", ""]', f'http.allowed_hosts.1 = "" (from --set): {HOST_RULE}'),
        (
            "http.allowed_hosts=http://a",
            f"http.allowed_hosts.0 = http://a (from --set): {HOST_RULE}",
        ),
        (
            "http.trusted_proxies=proxy",
            f"http.trusted_proxies.0 = proxy (from --set): {PROXY_RULE}",
        ),
        (
            "http.trusted_proxies=unix,10.0.0.1/8",
            f"http.trusted_proxies.1 = 10.0.0.1/8 (from --set): {PROXY_RULE}",
        ),
        ("http.url_prefix=queue", f"http.url_prefix = queue (from --set): {PREFIX_RULE}"),
        ("http.url_prefix=/queue/", f"http.url_prefix = /queue/ (from --set): {PREFIX_RULE}"),
        ("http.url_prefix=/a/../b", f"http.url_prefix = /a/../b (from --set): {PREFIX_RULE}"),
        ("http.socket= a", f'http.socket = " a" (from --set): {ONE_LINE}'),
        ("http.allowed_hosts=fd00::1", f"http.allowed_hosts.0 = fd00::1 (from --set): {HOST_RULE}"),
        (
            "http.allowed_hosts=5",
            'http.allowed_hosts = 5 (from --set): must be a list, as in ["one", "two"]',
        ),
        (
            "actions.x.pyton=a:b",
            "must have one of python, command, http, external; it has pyton",
        ),
        ("http.host=5", "http.host = 5 (from --set): must be a text"),
        ("http=5", "http = 5 (from --set): must be a table of keys"),
        ("queues=5", "queues = 5 (from --set): must be a table of keys"),
        ("queues.mail=5", "queues.mail = 5 (from --set): must be a table of keys"),
        ("actions=5", "actions = 5 (from --set): must be a table of keys"),
        ("queues.mail.prefetch=0", "queues.mail.prefetch = 0 (from --set): must be at least 1"),
        (
            "queues.mail.max_length=0.5",
            "queues.mail.max_length = 0.5 (from --set): must be a whole number",
        ),
        (
            "queues.mail.max_bytes=true",
            "queues.mail.max_bytes = true (from --set): must be a number",
        ),
        ("queues.mail.rate_limit=inf", "must be a number"),
        (
            "http.answer_timeout_seconds=0",
            "http.answer_timeout_seconds = 0 (from --set): must be more than 0.0",
        ),
        ("supervisor.period_seconds=nan", "must be a number"),
        (
            "shutdown.drain_seconds=soon",
            "shutdown.drain_seconds = soon (from --set): must be a number",
        ),
        (
            "builtin.fallback=maybe",
            "builtin.fallback = maybe (from --set): must be auto, true or false",
        ),
        (
            "log.level=LOUD",
            "log.level = LOUD (from --set): must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        ),
        (
            "queues.tasks.driver=redis",
            "queues.tasks.driver = redis (from --set): must be 'database' or 'memory'",
        ),
        ("actions.mail=send", "actions.mail = send (from --set): must look like module:function"),
        ("http.port", "--set http.port: must be section.key=value"),
        ("=1", "--set =…: must be section.key=value"),
        ("#http.port=1", "--set #http.port=…: must be section.key=value"),
        ("# =1", "--set # =…: must be section.key=value"),
        ("http..port=1", "--set http..port=…: must be section.key=value"),
    ],
)
def test_a_wrong_override_is_named_with_value_origin_and_what_is_allowed(
    override: str, sentence: str
) -> None:
    problem = refusal(override)
    assert problem.endswith(sentence)
    assert "\n" not in problem


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
    others = {"TASK_QUEUE_CONFIG": "", "TASK_QUEUE_TEST_POSTGRES_URL": "x"}
    found = load(environ=of_a_service | others)
    assert found.settings == loaded().settings
    assert found.unused_variables == tuple(of_a_service)
    assert loaded(TASK_QUEUE_HTTP__PORT="1").unused_variables == ()


def test_a_level_of_the_log_may_be_written_in_small_letters() -> None:
    assert loaded("log.level=debug").settings == loaded(TASK_QUEUE_LOG__LEVEL="DEBUG").settings
    assert refusal("log.level=loud") == (
        "log.level = loud (from --set): must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"
    )


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


def test_a_backoff_cap_below_the_base_is_refused_with_both_keys_named(file: Path) -> None:
    file.write_text("[queues.mail]\nbackoff_base_seconds = 10.0\n")
    assert refusal("queues.mail.backoff_cap_seconds=5", file=file) == (
        "queues.mail.backoff_cap_seconds = 5 (from --set): must be at least"
        f" queues.mail.backoff_base_seconds = 10.0 (from file {file})"
    )
    assert refusal("queues.tasks.backoff_base_seconds=7200") == (
        "queues.tasks.backoff_cap_seconds = 3600.0 (from default): must be at least"
        " queues.tasks.backoff_base_seconds = 7200.0 (from --set)"
    )


@pytest.mark.parametrize("limit", ["max_length", "max_bytes", "rate_limit", "concurrency_per_key"])
def test_a_limit_on_a_queue_in_memory_is_refused_with_both_keys_named(limit: str) -> None:
    assert refusal(f"queues.mail.{limit}=1", TASK_QUEUE_QUEUES__MAIL__DRIVER="memory") == (
        f'queues.mail.{limit} = 1 (from --set): needs driver = "database", but'
        " queues.mail.driver = memory (from environment TASK_QUEUE_QUEUES__MAIL__DRIVER)"
    )
    for harmless in (f"queues.mail.{limit}=0", f"queues.tasks.{limit}=1"):
        found = loaded(harmless, TASK_QUEUE_QUEUES__MAIL__DRIVER="memory")
        assert found.settings.queues["mail"].driver == "memory"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_the_same_driver(scheme: str) -> None:
    url = loaded(
        f"database.url={scheme}://u:p%40ss@h:5432/db?sslmode=require"
    ).settings.database.url
    assert url == "postgresql://u:p%40ss@h:5432/db?sslmode=require"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:x?uri=true",
        "sqlite://h/x.db",
    ],
)
def test_sqlite_without_a_file_is_refused(url: str) -> None:
    assert refusal(f"database.url={url}") == (
        f"database.url = {url} (from --set): must name a file, as in sqlite:///data/tasks.db"
    )


def test_other_databases_are_refused_without_showing_the_password() -> None:
    assert refusal("database.url=mysql://u:hunter2@h/db") == (
        "database.url = mysql://u:***@h/db (from --set): must begin with sqlite:/// or postgresql://"
    )
    assert "must be sqlite:///path" in refusal("database.url=tasks.db")


def test_an_unknown_key_is_refused_without_showing_its_value() -> None:
    assert "hunter2" not in refusal(TASK_QUEUE_DATABASE__PASSWORD="hunter2")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:hunter2@h:5432/db", "postgresql://u:***@h:5432/db"),
        ("postgresql://u:hunt@/er2@h/db", "postgresql://u:***@h/db"),
        ("postgresql://h/db?password=hunter2&x=1", "postgresql://h/db?password=***&x=1"),
        ("postgresql://u@h:5432/db", "postgresql://u@h:5432/db"),
        ("sqlite:///data/tasks.db", "sqlite:///data/tasks.db"),
    ],
)
def test_a_password_is_masked_and_the_rest_is_not(url: str, shown: str) -> None:
    assert redacted(url) == shown


def test_the_settings_in_force_are_listed_with_origins_and_without_passwords() -> None:
    found = loaded("database.url=postgresql://u:hunter2@h/db")
    rows = effective(found)
    assert ("database.url", "postgresql://u:***@h/db", "--set") in rows
    assert ("builtin.fallback", "auto", "default") in rows
    assert ("http.port", "8080", "default") in rows
    assert [key for key, _, _ in rows] == [key for key, _ in model_keys(Settings)]
    assert "hunter2" not in repr(found)


def test_the_tutorials_settings_are_the_tutorials() -> None:
    settings = loaded(file=CONFIG / "tutorial.toml").settings
    assert set(settings.queues) == {"tasks"}
    tasks = settings.queues["tasks"]
    assert (tasks.driver, tasks.concurrency, tasks.prefetch) == ("memory", 2, 5)
    assert settings.database.url == "sqlite:///data/tasks.db"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.builtin.fallback is True
    assert settings.builtin.simulated_work_seconds == 0.1


def test_the_tutorial_sets_only_what_the_tutorial_names() -> None:
    overlay = tomllib.loads((CONFIG / "tutorial.toml").read_text())
    assert set(overlay) == {"http", "database", "queues", "builtin"}


def test_settings_are_frozen() -> None:
    settings = loaded().settings
    with pytest.raises(ValidationError):
        settings.http.port = 1  # type: ignore[misc]
    with pytest.raises(TypeError):
        settings.queues["mail"] = settings.queues["tasks"]  # type: ignore[index]
    with pytest.raises(TypeError):
        del settings.queues["tasks"]  # type: ignore[attr-defined]
    with pytest.raises(TypeError):
        settings.actions["mail"] = "post:send"  # type: ignore[index]
    with pytest.raises(TypeError):
        settings.schedules["s"] = ScheduleSettings(cron="* * * * *", task={})  # type: ignore[index]


def test_a_key_of_the_settings_is_never_shown() -> None:
    key = "a-key-of-the-settings-that-nobody-sees"
    found = loaded(TASK_QUEUE_AUTH__KEYS__SHOP__KEY=key, TASK_QUEUE_AUTH__KEYS__SHOP__SCOPES="read")
    assert found.settings.auth.keys["shop"].key.get_secret_value() == key
    assert key not in repr(effective(found)) + repr(found.settings)
    for wrong in (f"auth.keys.shop.key={key[:20]}", f"auth.keys.shop={key[:20]}"):
        assert key[:20] not in refusal(wrong, "auth.keys.shop.scopes=['read']")


def test_what_is_wrong_with_a_key_is_one_sentence() -> None:
    key = "a-key-of-the-settings-that-nobody-sees"
    missing = refusal(TASK_QUEUE_AUTH__KEYS__SHOP__KEY=key)
    variable = "TASK_QUEUE_AUTH__KEYS__SHOP__SCOPES"
    assert missing == f"auth.keys.shop.scopes (from environment {variable}): must be set"
    for wrong in ("'fly'", "[]"):
        said = refusal(f"auth.keys.shop={{key='{key}', scopes={wrong}}}")
        assert said.count("auth.keys.shop.scopes") == 1, said
        assert "\n" not in said


def test_a_secret_of_callbacks_is_never_shown() -> None:
    assert "whsec_abc" not in refusal("callbacks.secret=whsec_abc")
    assert "whsec_abc" not in refusal('callbacks=[{secret = "whsec_abc"}]')


@pytest.mark.parametrize(
    "override",
    [
        'auth=[{keys = {shop = {key = "s3cret"}}}]',
        "auth.keys=s3cret",
        "auth.keys.shop=s3cret",
        "auth.keys.shop.key=s3cret",
        "auth.keys.shop.kye=s3cret",
        "auth.keys.my shop.key=s3cret",
    ],
)
def test_a_key_that_is_set_wrongly_is_not_shown(override: str) -> None:
    assert "s3cret" not in refusal(override)


SECRET = f"callbacks.secret=whsec_{'b25l' * 8}"


def test_with_a_secret_there_is_a_queue_of_callbacks_that_is_patient() -> None:
    assert "callbacks" not in loaded().settings.queues
    queues = loaded(SECRET).settings.queues
    assert queues["callbacks"] == queues["tasks"].model_copy(update={"max_attempts": 20})
    own = loaded(SECRET, "queues.callbacks.max_attempts=3").settings.queues["callbacks"]
    assert own.max_attempts == 3
    secret = SECRET.partition("=")[2]
    assert "callbacks" in loaded(TASK_QUEUE_CALLBACKS__SECRET=secret).settings.queues
    none = loaded("callbacks.secret=[]", TASK_QUEUE_CALLBACKS__SECRET=secret)
    assert "callbacks" not in none.settings.queues


def test_without_a_secret_the_names_of_callbacks_are_anybodys() -> None:
    settings = loaded("queues.callbacks.concurrency=1", "actions.callback=a:b").settings
    assert settings.queues["callbacks"].max_attempts == settings.queues["tasks"].max_attempts


@pytest.mark.parametrize(
    ("overrides", "problem"),
    [
        (["queues.a.callback=http://h/"], "needs callbacks.secret, which is not set"),
        (
            [SECRET, "queues.a.callback=ftp://h/"],
            "must be an address that begins with http:// or https://",
        ),
        ([SECRET, "queues.a.callback=http://u:p@h/"], "must not hold a user or a password"),
        (
            [SECRET, f"queues.a.callback=http://h/{'x' * 2_048}"],
            "must have at most 2048 characters",
        ),
        (
            [SECRET, "queues.a.callback=http://h/", "queues.a.driver=memory"],
            'needs driver = "database"',
        ),
        (
            [SECRET, "queues.callbacks.callback=http://h/"],
            "must be empty: what this queue tells is not told of",
        ),
        (
            [SECRET, "queues.callbacks.driver=memory"],
            "must be database: what is told must not be lost",
        ),
        (
            [SECRET, "actions.callback=a:b"],
            "belongs to what tells callbacks; without callbacks.secret it is free",
        ),
    ],
)
def test_callbacks_that_could_not_be_told_are_refused(overrides: list[str], problem: str) -> None:
    refused = refusal(*overrides)
    assert refused.endswith(problem)
    assert "\n" not in refused
    assert "u:p" not in refused
