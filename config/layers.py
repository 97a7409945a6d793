"""The layers that settings come from, and where each value came from.

Later layers win, key by key: `default.toml`, a file, the environment, `--set`.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource, InitSettingsSource, PydanticBaseSettingsSource

from task_queue.config.actions import has_processes
from task_queue.config.callbacks import CALLBACK_ATTEMPTS, CALLBACKS
from task_queue.config.problems import described, origin_of, shown
from task_queue.config.server_address import KEY_VARIABLE, URL_VARIABLE
from task_queue.config.settings import PREFIX, Settings, SettingsError
from task_queue.config.toml import read_override, read_toml

CONFIG_VARIABLE = f"{PREFIX}CONFIG"
"""The variable that names the configuration file when the command line does not."""

_NO_SETTINGS = frozenset({CONFIG_VARIABLE, URL_VARIABLE, KEY_VARIABLE})
"""What is read on its own: where the settings are, and whom commands and the client ask."""

TEST_PREFIX = f"{PREFIX}TEST_"
"""The beginning of the names that belong to the test suite; they are no settings."""


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
            and name not in _NO_SETTINGS
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
    layers.extend(
        _Layer("--set", InitSettingsSource(Settings, read_override(o))) for o in overrides
    )
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


def _in_force(settings: Settings) -> Iterator[tuple[str, Any]]:
    """Yield every setting that has a value; only options of actions may have none."""
    return _flat(settings.model_dump(exclude_none=True))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
