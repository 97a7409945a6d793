"""How numbers, times and values are shown."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
from markupsafe import Markup

MAX_SHOWN_CHARS = 200_000
"""How much of a JSON value a page shows: more than anybody reads, and shown without a delay."""
MAX_INDENTED_BYTES = 20_000
"""How long a JSON value may be to be written on several lines: 100 levels deep, that is 2 MB."""
LEFT_OUT = "… the rest is left out here; the HTTP API has all of it."
_INDENTED = json.JSONEncoder(ensure_ascii=False, indent=2)
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def duration(seconds: float | None) -> str:
    """Return a time span in its two greatest units, as in "2 h 5 min"."""
    if seconds is None:
        return "—"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - below that a tenth matters
        return f"{seconds:.1f} s"
    left, parts = round(seconds), []
    for size, unit in _UNITS:
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
        elif parts:
            break
    return " ".join(parts[:2])


def ago(moment: float | str | None, now: float) -> Markup:
    """Return a moment as people say it, with the exact one behind it.

    Args:
        moment: Unix seconds, or RFC 3339; None: never.
        now: The present moment, Unix seconds.
    """
    if moment is None:
        return Markup('<span class="quiet">never</span>')
    if isinstance(moment, str):
        when = datetime.fromisoformat(moment)
    else:
        when = datetime.fromtimestamp(moment, UTC)
    distance = now - when.timestamp()
    if abs(distance) < 1:
        words = "now"
    else:
        words = f"{duration(distance)} ago" if distance > 0 else f"in {duration(-distance)}"
    exact = when.isoformat(timespec="milliseconds" if when.microsecond else "seconds")
    shown = when.strftime("%Y-%m-%d %H:%M:%S %Z")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact, shown, words)


def number(value: float) -> str:
    """Return a number with its thousands apart."""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def clock(moment: float) -> str:
    """Return the time of day, in UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%H:%M")


def counted(value: int, word: str) -> str:
    """Return how many there are of something, as in "1 task", "2,000 tasks"."""
    return f"{value:,} {word if value == 1 else f'{word}s'}"


def pretty(value: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return a JSON value for people to read, at most `MAX_SHOWN_CHARS` of it.

    It is written part by part and no further than that: with a line for each number of a long list,
    100 levels deep, a megabyte would be a hundred.
    """
    parts, left = [], MAX_SHOWN_CHARS
    for part in _INDENTED.iterencode(value):
        parts.append(part[:left])
        left -= len(part)
        if left < 0:
            return f"{''.join(parts)}\n{LEFT_OUT}"
    return "".join(parts)


def editable(value: object) -> str:
    """Return a JSON value for people to change: all of it, on several lines if it is not long."""
    text = orjson.dumps(value)
    if len(text) <= MAX_INDENTED_BYTES:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return text.decode()
