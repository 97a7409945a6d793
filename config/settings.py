"""Settings: the layers that values come from, and where each value came from.

Later layers win, key by key: `default.toml`, a file, the environment, `--set`.
"""

import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError, ValidationInfo, field_validator
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from task_queue.config.actions import (
    ActionSettings,
    AnyAction,
    ExternalSettings,
    HttpActionSettings,
    ProgramSettings,
    PythonSettings,
    has_processes,
)
from task_queue.config.callbacks import CALLBACK_ATTEMPTS, CALLBACKS, DELIVERY, callback_fault
from task_queue.config.names import Name
from task_queue.config.network import (
    AuthSettings,
    CallbackSettings,
    HttpSettings,
    KeySettings,
)
from task_queue.config.problems import described, origin_of, redacted, shown
from task_queue.config.sections import (
    BuiltinSettings,
    DatabaseSettings,
    ExecutionSettings,
    Frozen,
    LogSettings,
    ProcessSettings,
    QueueSettings,
    RetentionSettings,
    ScheduleSettings,
    ShutdownSettings,
    SupervisorSettings,
)

__all__ = [
    "ActionSettings",
    "AuthSettings",
    "BuiltinSettings",
    "CallbackSettings",
    "DatabaseSettings",
    "ExecutionSettings",
    "ExternalSettings",
    "HttpActionSettings",
    "HttpSettings",
    "KeySettings",
    "Loaded",
    "LogSettings",
    "ProcessSettings",
    "ProgramSettings",
    "PythonSettings",
    "QueueSettings",
    "RetentionSettings",
    "ScheduleSettings",
    "Settings",
    "SettingsError",
    "ShutdownSettings",
    "SupervisorSettings",
    "effective",
    "environment",
    "load",
    "read_toml",
    "redacted",
    "variables",
]

PREFIX = "TASK_QUEUE_"
"""The beginning of the names of our environment variables."""

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
"""The variable that names the configuration file when the command line does not."""

TEST_PREFIX = f"{PREFIX}TEST_"
"""The beginning of the names that belong to the test suite; they are no settings."""

_NOT_TOML = (ValueError, RecursionError)
"""What reading TOML raises; the second of too many brackets, the first of too long numbers, too."""


class SettingsError(Exception):
    """The configuration cannot be used; the message has one line per problem."""


class Settings(BaseSettings):
    """All settings of one process, loaded once and validated together; see `load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        case_sensitive=True,
        env_prefix=PREFIX.lower(),
        env_nested_delimiter="__",
        enable_decoding=False,  # A variable sets one key; JSON for a whole section is refused.
    )

    http: HttpSettings
    auth: AuthSettings
    callbacks: CallbackSettings
    database: DatabaseSettings
    queues: Frozen[Name, QueueSettings]
    """The queues by name; `tasks` is always there and the one of a task that names none. With
    `callbacks.secret` there is `callbacks`, too, the queue of what is told."""
    retention: RetentionSettings
    builtin: BuiltinSettings
    actions: Frozen[Name, AnyAction]
    """The user's own actions by name."""
    execution: ExecutionSettings
    schedules: Frozen[Name, ScheduleSettings]
    """What is published at set times, by name."""
    process: ProcessSettings
    supervisor: SupervisorSettings
    shutdown: ShutdownSettings
    log: LogSettings

    @field_validator("queues")
    @classmethod
    def _can_tell(
        cls, queues: Mapping[str, QueueSettings], info: ValidationInfo
    ) -> Mapping[str, QueueSettings]:
        if "callbacks" not in info.data:  # it is wrong, which is an error of its own
            return queues
        secret = info.data["callbacks"].secret
        problems = [
            InitErrorDetails(type=_fault(fault), loc=(name, key), input=getattr(queue, key))
            for name, queue in queues.items()
            for key, fault in _faults(name, queue, tells=bool(secret))
        ]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return queues

    @field_validator("actions")
    @classmethod
    def _leave_the_delivery_alone(
        cls, actions: Mapping[str, ActionSettings], info: ValidationInfo
    ) -> Mapping[str, ActionSettings]:
        if DELIVERY in actions and "callbacks" in info.data and info.data["callbacks"].secret:
            fault = _fault("belongs to what tells callbacks; without callbacks.secret it is free")
            problem = InitErrorDetails(type=fault, loc=(DELIVERY, "[key]"), input=DELIVERY)
            raise ValidationError.from_exception_data(cls.__name__, [problem])
        return actions

    @field_validator("schedules")
    @classmethod
    def _publish_to_queues_there_are(
        cls, schedules: Mapping[str, ScheduleSettings], info: ValidationInfo
    ) -> Mapping[str, ScheduleSettings]:
        queues = list(info.data.get("queues", ()))  # A list, as a value may be unhashable.
        error = PydanticCustomError(
            "unknown_queue", "must be a queue; known are {queues}", {"queues": ", ".join(queues)}
        )
        problems = [
            InitErrorDetails(type=error, loc=(name, "task", "queue"), input=schedule.task["queue"])
            for name, schedule in schedules.items()
            if queues and "queue" in schedule.task and schedule.task["queue"] not in queues
        ]
        if problems:
            raise ValidationError.from_exception_data(cls.__name__, problems)
        return schedules


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and which layer each value came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted key to `default`, `file <path>`, `environment TASK_QUEUE_...` or `--set`."""
    unused_variables: tuple[str, ...] = ()
    """Environment variables that begin as ours do and name no key of a section."""

    def origin_of(self, *path: str) -> str:
        """Return where this key comes from, else what is in it, or what it would be in."""
        return origin_of(path, self.origins)


class _EnvironmentSource(EnvSettingsSource):
    """The environment's layer, with the variables that belong to no section.

    The library ignores those silently; here they surface as unknown keys, so that
    `TASK_QUEUE_HTPP__PORT` is an error and not a port that stays 8080.

    A name without `__` sets nothing and is let pass: Kubernetes gives every container near a
    Service called `task-queue` a `TASK_QUEUE_PORT=tcp://…` and a dozen others.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__(Settings)
        ours = {
            name: text
            for name, text in environ.items()
            if name.startswith(PREFIX)
            and name != CONFIG_VARIABLE
            and not name.startswith(TEST_PREFIX)
        }
        # Of a Service called `task-queue--web` it is the prefix that ends in the second `_`.
        of_keys = [name for name in ours if "__" in name.removeprefix(PREFIX)]
        self.unused = tuple(name for name in ours if name not in of_keys)
        self.env_vars = {name.lower(): ours[name] for name in of_keys}

    def __call__(self) -> dict[str, Any]:
        """Return the nested values, and strays under their dotted names."""
        names = (name.removeprefix(self.env_prefix) for name in self.env_vars)
        strays = {
            name.replace("__", "."): None
            for name in names
            if name.partition("__")[0] not in Settings.model_fields
        }
        return super().__call__() | strays


@dataclass(frozen=True, slots=True)
class _Layer:
    origin: str
    """As in `Loaded.origins`; the environment's lacks the variable's name."""
    source: PydanticBaseSettingsSource

    def origin_of(self, key: str) -> str:
        if isinstance(self.source, _EnvironmentSource):
            return f"{self.origin} {PREFIX}{key.replace('.', '__').upper()}"
        return self.origin


def load(
    config_file: Path | None = None,
    overrides: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the settings in force: defaults < file < environment < overrides.

    Args:
        config_file: A TOML file with any of the keys of `default.toml`. Without it, the file that
            `TASK_QUEUE_CONFIG` names, if any.
        overrides: `section.key=value` texts, the last one winning. A value is TOML if it parses as
            such (`4`, `0.5`, `true`, `"text"`), else text.
        environ: The environment; the process's own by default.

    Raises:
        SettingsError: One line for each value that is wrong, key that is unknown, file that cannot
            be read or override that cannot be parsed.
    """
    environ = os.environ if environ is None else environ
    if config_file is None and environ.get(CONFIG_VARIABLE):
        config_file = Path(environ[CONFIG_VARIABLE])

    layers = []
    if config_file is not None:
        values = read_toml(config_file, "config file")
        layers.append(_Layer(f"file {config_file}", InitSettingsSource(Settings, values)))
    environment = _EnvironmentSource(environ)
    layers.append(_Layer("environment", environment))
    layers.extend(_Layer("--set", InitSettingsSource(Settings, _parse(o))) for o in overrides)
    defaults = _defaults(layer.source() for layer in layers)
    layers.insert(0, _Layer("default", InitSettingsSource(Settings, defaults)))

    origins = {key: layer.origin_of(key) for layer in layers for key, _ in _flat(layer.source())}
    try:
        settings = _merge([layer.source for layer in layers])
    except ValidationError as error:
        problems = [described(details, Settings, origins) for details in error.errors()]
        raise SettingsError("\n".join(problems)) from None
    # Some defaults are in no layer, and what a layer abbreviates may have more keys here.
    in_force = {
        key: origins.get(key) or origins.get(key.removesuffix(".python"), "default")
        for key, _ in _in_force(settings)
    }
    return Loaded(settings, MappingProxyType(in_force), environment.unused)


def effective(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Return key, value and origin of every setting in force, passwords masked."""
    values = _in_force(loaded.settings)
    return [(key, shown(value), loaded.origins[key]) for key, value in values]


def environment() -> dict[str, str]:
    """Return the environment as it is now: an action may change it later."""
    return dict(os.environ)


def variables(names: Iterable[str], environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return those of these environment variables that are set."""
    environ = os.environ if environ is None else environ
    return {name: environ[name] for name in names if name in environ}


def _merge(sources: Sequence[PydanticBaseSettingsSource]) -> Settings:
    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls, *_: object, **__: object
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(reversed(sources))  # The library wants the strongest first.

    # A plain Settings again, so that equal values compare equal.
    return Settings.model_construct(**dict(Layered()))


def _defaults(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the values of `default.toml`, those of its queue for each queue in the layers.

    So what a layer sets for one queue, `tasks` too, never changes another one. Where actions run in
    processes, a queue has a consumer for each core.
    """
    defaults = tomllib.loads(
        resources.files("task_queue.config").joinpath("default.toml").read_text("utf-8")
    )
    queues = defaults["queues"]
    layers = [*layers]
    named_actions = [values.get("actions") for values in layers]
    if any(isinstance(actions, dict) and has_processes(actions) for actions in named_actions):
        plain = queues["tasks"]
        plain["concurrency"] = max(plain["concurrency"], os.cpu_count() or 1)
    for values in layers:
        named = values.get("queues")
        if isinstance(named, dict):  # If not, its error comes later, with all others.
            queues |= dict.fromkeys(named, queues["tasks"])
    if _tells(layers):
        queues[CALLBACKS] = queues["tasks"] | {"max_attempts": CALLBACK_ATTEMPTS}
    return defaults


def _tells(layers: Iterable[Mapping[str, Any]]) -> bool:
    """Return whether it can be told how tasks end, by the layer that says so last."""
    sections = [values.get("callbacks") for values in layers]
    secrets = [each["secret"] for each in sections if isinstance(each, dict) and "secret" in each]
    return bool(secrets and secrets[-1])


def _faults(name: str, queue: QueueSettings, *, tells: bool) -> Iterator[tuple[str, str]]:
    """Yield keys of a queue by which it could not tell how tasks end, and what is wrong."""
    if name == CALLBACKS and tells and queue.driver == "memory":
        yield "driver", "must be database: what is told must not be lost"
    if not queue.callback:
        return
    if not tells:
        yield "callback", "needs callbacks.secret, which is not set"
    elif name == CALLBACKS:
        yield "callback", "must be empty: what this queue tells is not told of"
    elif queue.driver == "memory":
        yield "callback", 'needs driver = "database"'
    elif (fault := callback_fault(queue.callback)) is not None:
        yield "callback", fault


def _fault(predicate: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{predicate}", {"predicate": predicate})


def read_toml(path: Path, name: str) -> dict[str, Any]:
    """Return what is in a TOML file.

    Args:
        path: Where it is.
        name: What it is called in errors.

    Raises:
        SettingsError: It cannot be read.
    """
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Some editors put a mark in front.
    except OSError as error:
        message = f"{name} {path}: {error.strerror}"
        raise SettingsError(message) from None
    except UnicodeDecodeError as error:
        message = f"{name} {path}: is not UTF-8: {error.reason} at byte {error.start}"
        raise SettingsError(message) from None
    except _NOT_TOML as error:
        message = f"{name} {path}: is not valid TOML: {error}"
        raise SettingsError(message) from None


def _parse(override: str) -> dict[str, Any]:
    key, equals, value = override.partition("=")
    for text in (value, json.dumps(value, ensure_ascii=False)):
        try:
            values = tomllib.loads(f"{key} = {text}")
        except _NOT_TOML:
            continue
        if equals and values:  # none: it begins with a `#`, and all of it is a comment
            return values
    # Without the value: under a key that cannot be read it could be anything, a password too.
    message = f"--set {redacted(key)}{equals and '=…'}: must be section.key=value"
    raise SettingsError(message)


def _in_force(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield every setting that has a value; only options of actions may have none."""
    return _flat(settings.model_dump(exclude_none=True))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
