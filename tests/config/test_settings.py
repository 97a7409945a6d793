"""What settings there are, what they may be, and what is refused in which words."""

import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from task_queue.config.actions import KINDS
from task_queue.config.layers import effective
from task_queue.config.names import MAX_NAME_CHARS, NAME_RULE
from task_queue.config.problems import redacted
from task_queue.config.reference import descriptions
from task_queue.config.settings import QueueSettings, ScheduleSettings, Settings
from tests.config.loading import loaded, refusal

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


def model_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        if name == "queues":
            yield from model_keys(QueueSettings, "queues.tasks.")
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from model_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", descriptions(model).get(name)


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
    assert len(models) == 16
    assert optional == []


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


def test_a_level_of_the_log_may_be_written_in_small_letters() -> None:
    assert loaded("log.level=debug").settings == loaded(TASK_QUEUE_LOG__LEVEL="DEBUG").settings
    assert refusal("log.level=loud") == (
        "log.level = loud (from --set): must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"
    )


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
