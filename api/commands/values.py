"""What people write on a command line: durations, times, members of data."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from task_queue.actors.tasks.text import cut
from task_queue.api.commands.errors import UsageError

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_PARTS = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,12}(?:\.\d+)?", re.ASCII)


def seconds(option: str, text: str | None) -> float | None:
    """Return a duration in seconds: `90`, `90s`, `5m`, `1h30m`, `7d`; None stays None.

    Raises:
        UsageError: It is none.
    """
    if text is None:
        return None
    if _NUMBER.fullmatch(text):
        return float(text)
    parts = _PARTS.fullmatch(text)
    if not text or parts is None or len(text) > 30:  # noqa: PLR2004 - and no endless number
        message = f"{option} = {cut(text)}: must be a duration, as in 90, 90s, 5m, 1h30m or 7d"
        raise UsageError(message)
    found = zip(parts.groups(), _UNITS.values(), strict=True)
    return sum(float(count) * unit for count, unit in found if count)


def whole(value: float | None) -> float | None:
    """Return the number without a point if it is whole, as the server takes some only so."""
    return int(value) if value is not None and value == int(value) else value


def moment(option: str, text: str | None) -> float | None:
    """Return a time that is passed in Unix seconds; a duration is so long ago.

    Raises:
        UsageError: It is none.
    """
    return _moment(option, text, -1.0)


def future(option: str, text: str | None) -> float | None:
    """Return a time to come in Unix seconds; a duration is from now on.

    Raises:
        UsageError: It is none.
    """
    return _moment(option, text, 1.0)


def _moment(option: str, text: str | None, direction: float) -> float | None:
    if text is None:
        return None
    if re.fullmatch(r"\d{9,11}(?:\.\d+)?", text, re.ASCII):
        return float(text)
    if re.fullmatch(r"(?:\d+[dhms])+", text, re.ASCII):
        return time.time() + direction * (seconds(option, text) or 0.0)
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        message = (
            f"{option} = {cut(text)}: must be a time, as in 2030-01-31T12:00, with an offset or"
            " else by this machine's clock, in Unix seconds, or as far away as 2h"
        )
        raise UsageError(message) from error
    return parsed.timestamp()  # without an offset: by the zone of this machine


def value_of(text: str) -> Any:  # noqa: ANN401 - JSON
    """Return the JSON value that the text is, else the text."""
    try:
        return json.loads(text, parse_constant=_none)
    except ValueError:
        return text


def _none(constant: str) -> None:
    raise ValueError(constant)  # NaN is text


def pairs(what: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Return names and texts of `name=text`.

    Raises:
        UsageError: There is no `=`, or nothing before it.
    """
    found = [text.partition("=") for text in texts]
    for (name, sign, _), text in zip(found, texts, strict=True):
        if not name or not sign:
            raise UsageError(f"{what} must be like name=value, not {cut(text)!r}")
    return [(name, text) for name, _, text in found]


def data_of(text: str | None, members: Sequence[str]) -> dict[str, Any]:
    """Return a task's data.

    Args:
        text: A JSON object, `@` and the name of a file with one, or `-` for standard input.
        members: `name=value` each, which win.

    Raises:
        UsageError: It is no object, or cannot be read.
    """
    data: Any = {}
    if text is not None:
        try:
            data = json.loads(_read(text), parse_constant=_none)
        except ValueError as error:
            hint = "; a file is given as @FILE" if Path(text).exists() else ""
            raise UsageError(f"--data is no JSON: {error}{hint}") from error
        if not isinstance(data, Mapping):
            raise UsageError("--data must be a JSON object, as in '{\"width\": 3}'")
    given = {name: value_of(value) for name, value in pairs("a member of the data", members)}
    return {**data, **given}


def _read(text: str) -> str:
    if text == "-":
        return sys.stdin.read()
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise UsageError(f"--data: cannot read {text[1:]}: {why}") from error


def backoff_of(text: str | None) -> dict[str, Any] | None:
    """Return how long to wait between attempts, from `base=1,factor=2,cap=60`.

    Raises:
        UsageError: It is not so.
    """
    if text is None:
        return None
    return {name: value_of(value) for name, value in pairs("--backoff", text.split(","))}
