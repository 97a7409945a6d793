"""Where settings come from, which one wins, and what is refused in which words."""

import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from config.settings import Loaded, Settings, SettingsError, effective, load, redacted

CONFIG = Path(__file__).parents[2] / "config"


def loaded(*overrides: str, file: Path | None = None, **environ: str) -> Loaded:
    return load(file, overrides, environ)


def refusal(*overrides: str, file: Path | None = None, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(file, overrides, environ)
    return str(caught.value)


def model_keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str | None]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from model_keys(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field.description


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text("[http]\nport = 1\nthreads = 1\nmax_connections = 1\n")
    return path


def test_the_defaults_are_valid() -> None:
    settings = loaded().settings
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.database.url == "sqlite:///data/tasks.db"
    assert settings.queues.tasks.driver == "database"
    assert settings.actions == {}


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


def test_no_model_has_a_default_of_its_own() -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({})


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
    assert settings.queues.tasks.concurrency == 4
    assert settings.queues.tasks.prefetch == 5


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
        "thumb": "images:thumb",
        "mail.send": "post.office:send",
        "one": "a:one",
        "two": "b:two",
    }
    assert found.origins["actions.mail.send"] == f"file {path}"


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
        ("http.host=5", "http.host = 5 (from --set): must be a text"),
        ("http=5", "http = 5 (from --set): must be a table of keys"),
        ("actions=5", "actions = 5 (from --set): must be a table of keys"),
        (
            "http.answer_timeout_seconds=0",
            "http.answer_timeout_seconds = 0 (from --set): must be more than 0.0",
        ),
        ("supervisor.period_seconds=nan", "must be a number"),
        (
            "shutdown.drain_seconds=soon",
            "shutdown.drain_seconds = soon (from --set): must be a number",
        ),
        ("builtin.fallback=maybe", "builtin.fallback = maybe (from --set): must be true or false"),
        (
            "log.level=LOUD",
            "log.level = LOUD (from --set): must be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'",
        ),
        (
            "queues.tasks.driver=redis",
            "queues.tasks.driver = redis (from --set): must be 'database' or 'memory'",
        ),
        ("actions.mail=send", "actions.mail = send (from --set): must look like module:function"),
        (f"actions.{'a' * 201}=m:f", "must have at most 200 characters"),
        ("http.port", "--set http.port: must be section.key=value"),
        ("=1", "--set =1: must be section.key=value"),
        ("http..port=1", "--set http..port=1: must be section.key=value"),
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


def test_an_unknown_section_or_queue_is_refused_in_every_layer(file: Path) -> None:
    assert refusal(TASK_QUEUE_HTPP__PORT="1").startswith(
        "htpp.port (from environment TASK_QUEUE_HTPP__PORT): unknown key; known are http, database,"
    )
    assert refusal(TASK_QUEUE_PORT="1").startswith(
        "port (from environment TASK_QUEUE_PORT): unknown"
    )
    assert refusal("htpp.port=1").startswith("htpp (from --set): unknown key")
    assert refusal("HTTP.port=1").startswith("HTTP (from --set): unknown key")
    assert refusal("queues.other.prefetch=1") == (
        "queues.other (from --set): unknown key; known are tasks"
    )
    file.write_text("[_env_file]\nport = 1\n")
    assert refusal(file=file).startswith(f"_env_file (from file {file}): unknown key")


def test_the_environment_takes_no_json_for_a_section() -> None:
    assert refusal(TASK_QUEUE_HTTP='{"port": 1}').endswith("must be a table of keys")


def test_a_file_that_is_missing_broken_or_not_text_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert refusal(file=missing) == f"config file {missing}: No such file or directory"
    assert refusal(file=tmp_path) == f"config file {tmp_path}: Is a directory"
    broken = tmp_path / "broken.toml"
    broken.write_text("[http\n")
    assert refusal(file=broken).startswith(f"config file {broken}: is not valid TOML: ")
    broken.write_bytes(b"\xff\xfe")
    assert refusal(file=broken).startswith(f"config file {broken}: is not valid TOML: ")


def test_a_backoff_cap_below_the_base_names_both_keys() -> None:
    problem = refusal("queues.tasks.backoff_base_seconds=10", "queues.tasks.backoff_cap_seconds=5")
    assert problem == (
        "queues.tasks.backoff_cap_seconds = 5 (from --set): "
        "must be at least backoff_base_seconds, which is 10.0"
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_the_same_driver(scheme: str) -> None:
    url = loaded(
        f"database.url={scheme}://u:p%40ss@h:5432/db?sslmode=require"
    ).settings.database.url
    assert url == "postgresql+psycopg://u:p%40ss@h:5432/db?sslmode=require"


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
    assert ("database.url", "postgresql+psycopg://u:***@h/db", "--set") in rows
    assert ("builtin.fallback", "true", "default") in rows
    assert ("http.port", "8080", "default") in rows
    assert [key for key, _, _ in rows] == [key for key, _ in model_keys(Settings)]
    assert "hunter2" not in repr(found)


def test_the_tutorials_settings_are_the_tutorials() -> None:
    settings = loaded(file=CONFIG / "tutorial.toml").settings
    assert settings.queues.tasks.driver == "memory"
    assert (settings.queues.tasks.concurrency, settings.queues.tasks.prefetch) == (2, 5)
    assert settings.database.url == "sqlite:///data/tasks.db"
    assert (settings.http.host, settings.http.port) == ("127.0.0.1", 8080)
    assert settings.builtin.fallback
    assert settings.builtin.simulated_work_seconds == 0.1


def test_the_tutorial_sets_only_what_the_tutorial_names() -> None:
    overlay = tomllib.loads((CONFIG / "tutorial.toml").read_text())
    assert set(overlay) == {"http", "database", "queues", "builtin"}


def test_settings_are_frozen() -> None:
    settings = loaded().settings
    with pytest.raises(ValidationError):
        settings.http.port = 1  # type: ignore[misc]
