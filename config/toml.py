"""TOML, as files hold it and as `--set` has it."""

import json
import tomllib
from pathlib import Path
from typing import Any

from task_queue.config.problems import redacted
from task_queue.config.settings import SettingsError

_NOT_TOML = (ValueError, RecursionError)
"""What reading TOML raises; the second of too many brackets, the first of too long numbers, too."""


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


def read_override(override: str) -> dict[str, Any]:
    """Return what `section.key=value` sets; a value that is no TOML is text.

    Raises:
        SettingsError: It cannot be parsed.
    """
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
