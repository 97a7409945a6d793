"""Times as clients write them: RFC 3339 with an offset, or Unix seconds."""

import re
from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from task_queue.actors.tasks.text import shown
from task_queue.api.requests.validation import rule

FIRST_MOMENT = -62_135_596_800.0
"""The beginning of the year 1, Unix seconds: the first moment of Python's calendar."""
LAST_MOMENT = 253_402_300_799.999
"""The end of the year 9999, its last one."""
MAX_TIME_CHARS = 40
"""How long a written time may be: enough for nine digits of a second's fraction."""

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"(Z|[+-][0-9]{2}:[0-5][0-9])"
)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
"""A number as JSON writes it."""
_PREDICATE = (
    "must be a time up to the year 9999, as 2026-11-22T10:00:00Z"
    " (RFC 3339, with Z or an offset) or in Unix seconds"
)


def unix_seconds(value: object) -> float:
    """Return the moment that a JSON value stands for.

    Raises:
        PydanticCustomError: It stands for none.
    """
    match value:
        case bool():
            pass
        case int() | float() if FIRST_MOMENT <= value <= LAST_MOMENT:
            return float(value)
        case str() if len(value) <= MAX_TIME_CHARS and _RFC3339.fullmatch(value.upper()):
            try:
                seconds = datetime.fromisoformat(value.upper()).timestamp()
            except ValueError:  # no such day, or no such hour
                pass
            else:
                return max(FIRST_MOMENT, min(seconds, LAST_MOMENT))
    raise rule(f"{_PREDICATE}, not {shown(value)}")


def unix_seconds_in_query(value: object) -> float:
    """Return the moment that the text of a query's parameter stands for.

    Raises:
        PydanticCustomError: It stands for none.
    """
    if isinstance(value, str) and len(value) <= MAX_TIME_CHARS and _NUMBER.fullmatch(value):
        seconds = float(value)
        if not FIRST_MOMENT <= seconds <= LAST_MOMENT:
            raise rule(f"{_PREDICATE}, not {shown(value)}")
        return seconds
    return unix_seconds(value)


_SCHEMA = WithJsonSchema(
    {
        "description": "Unix seconds, or RFC 3339 with Z or an offset.",
        "anyOf": [
            {"type": "number", "minimum": FIRST_MOMENT, "maximum": LAST_MOMENT},
            {
                "type": "string",
                "format": "date-time",
                "maxLength": MAX_TIME_CHARS,
                "pattern": "^([1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])"
                "-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
                "[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?"
                "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$",
            },
        ],
    }
)

Moment = Annotated[float, BeforeValidator(unix_seconds), _SCHEMA]
"""A time in a body, Unix seconds once it is checked."""

QueryMoment = Annotated[float, BeforeValidator(unix_seconds_in_query), _SCHEMA]
"""The same as a query's parameter; a `+` in an offset must be written %2B there."""
