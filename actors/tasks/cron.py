"""The lines that a schedule's `cron` may be: a small grammar, stricter than the library's. Pure.

Whatever other programs take beyond it is refused, and so is what would fire at other times than it
seems to say. docs/http.md has the grammar as a table.
"""

import re
from dataclasses import dataclass

from task_queue.actors.errors import TaskQueueError

MAX_CRON_CHARS = 200
"""The longest cron line: plenty for any that a person can read."""

SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
"""The names that stand for a whole line, as in man 5 crontab."""

_BLANKS = " \t\r\n"
_SHOWN_CHARS = 60
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_ITEM = re.compile(
    r"(?P<base>\*|(?P<low>[0-9]{1,2}|[A-Z]{3})(-(?P<high>[0-9]{1,2}|[A-Z]{3}))?)"
    r"(/(?P<step>[0-9]{1,4}))?"
)


class InvalidCronError(TaskQueueError):
    """A line that is not taken; the text says what is allowed."""


@dataclass(frozen=True, slots=True)
class _Field:
    """One of the five fields.

    Attributes:
        name: As it is called in errors.
        first: Its lowest value.
        last: Its highest value.
        size: How many values it has that differ: 0 and 7 are both Sunday.
        allowed: What it may hold besides `* , - /`, for errors.
        names: Names of values, from the lowest on.
        special: What it may hold besides numbers, names, ranges and steps.
    """

    name: str
    first: int
    last: int
    size: int
    allowed: str
    names: tuple[str, ...] = ()
    special: re.Pattern[str] | None = None

    def check(self, text: str) -> None:
        """Accept the text of the field.

        Raises:
            InvalidCronError: It is not of the grammar, or does not mean what it seems to say.
        """
        items = text.upper().split(",")
        for item in items:
            if self.special is not None and self.special.fullmatch(item):
                continue
            match = _ITEM.fullmatch(item)
            pointless = item == "*" and len(items) > 1
            if match is None or pointless or not text.isascii():
                raise self._not_allowed(text)
            self._check_item(text, match)

    def _check_item(self, text: str, match: re.Match[str]) -> None:
        low, high, step = match["low"], match["high"], match["step"]
        count = self.size
        if low is not None:
            start, end = self._value(text, low), self.last
            if high is not None:
                end = self._value(text, high)
                if end <= start:
                    raise self._not_rising(match["base"], start, end)
            count = min(end - start + 1, self.size)
        if step is not None and not 1 <= int(step) <= count:
            message = (
                f"cron must have a step from 1 to {count} after {match['base']} in its {self.name}"
                f" field, not {shown(text)}; intervals that cron cannot say are said with every"
            )
            raise InvalidCronError(message)

    def _value(self, text: str, item: str) -> int:
        if item in self.names:
            return self.names.index(item) + self.first
        if item.isdigit() and self.first <= int(item) <= self.last:
            return int(item)
        raise self._not_allowed(text)

    def _not_allowed(self, text: str) -> InvalidCronError:
        message = (
            f"cron must have {self.allowed} in its {self.name} field, also with * , - and /,"
            f" not {shown(text)}"
        )
        return InvalidCronError(message)

    def _not_rising(self, base: str, start: int, end: int) -> InvalidCronError:
        top = self.first + self.size - 1
        wrapped = [(start, top), (self.first, end)] if end < start else [(start, end)]
        parts = [f"{a}-{b}" if a < b else f"{a}" for a, b in wrapped if a <= b]
        message = (
            f"cron must have ranges that rise in its {self.name} field, not {base}, which can be"
            f" written {','.join(parts)}"
        )
        return InvalidCronError(message)


_FIELDS = (
    _Field("minute", 0, 59, 60, "0-59"),
    _Field("hour", 0, 23, 24, "0-23"),
    _Field("day-of-month", 1, 31, 31, "1-31, L or LW", special=re.compile("LW?")),
    _Field("month", 1, 12, 12, "1-12 or JAN-DEC", _MONTHS),
    _Field(
        "day-of-week",
        0,
        7,
        7,
        "0-7, SUN-SAT, 5L or 5#2",
        _DAYS,
        re.compile(rf"[0-7]L|([0-7]|{'|'.join(_DAYS)})#[1-5]"),
    ),
)


def trimmed(cron: str) -> str:
    """Return the line without blanks around it, and with one blank between its fields."""
    return " ".join(re.split(f"[{_BLANKS}]+", cron.strip(_BLANKS)))


def fields(cron: str) -> list[str]:
    """Return the fields of a trimmed line, or of the one that its name stands for."""
    return SHORTHANDS.get(cron, cron).split(" ")


def check(cron: str) -> None:
    """Accept a trimmed line that is of the grammar.

    Raises:
        InvalidCronError: It is not.
    """
    if len(cron) > MAX_CRON_CHARS:
        message = f"cron must have at most {MAX_CRON_CHARS} characters, not {len(cron)}"
        raise InvalidCronError(message)
    if cron.startswith("@") and cron not in SHORTHANDS:
        message = f"cron must have 5 fields or be one of {', '.join(SHORTHANDS)}, not {shown(cron)}"
        raise InvalidCronError(message)
    found = fields(cron)
    if len(found) != len(_FIELDS):
        names = ", ".join(field.name for field in _FIELDS)
        count = len(found) if cron else 0
        message = f"cron must have 5 fields ({names}), not {count} as {shown(cron)} has"
        raise InvalidCronError(message)
    for field, text in zip(_FIELDS, found, strict=True):
        field.check(text)


def shown(text: str) -> str:
    """Return the text as errors show it: quoted, and cut where it gets long."""
    return repr(text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…")
