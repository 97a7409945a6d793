"""The attempts of a task as bars along its time. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH = 1000.0
"""How wide the whole time is, in the units of the picture."""
LEAST_WIDTH = 4.0
"""So wide is even the shortest attempt, to be seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One attempt.

    Attributes:
        attempt: As the API shows it.
        left: Where it begins, from 0 to `WIDTH`.
        width: How wide it is.
        seconds: How long it took, or runs so far; None: it never began.
        after_seconds: How long after the one before, or after the publish, it began.
    """

    attempt: Mapping[str, Any]
    left: float
    width: float
    seconds: float | None
    after_seconds: float | None


def bars_of(task: Mapping[str, Any], now: float) -> list[Bar]:
    """Return the attempts of a task as the API shows it, the first one first.

    Args:
        task: The document of `GET /tasks/{id}`.
        now: The present moment, Unix seconds: until then an attempt that runs is shown.
    """
    attempts: Sequence[Mapping[str, Any]] = task["attempts"]
    times = [
        moment
        for each in attempts
        for moment in (each["started"], now if _runs(each) else each["ended"])
        if moment is not None
    ]
    begin = min([float(task["created_at"]), *times])
    scale = WIDTH / max(max(times, default=begin) - begin, 0.001)
    bars, before = [], float(task["created_at"])
    for each in attempts:
        ended = now if _runs(each) else each["ended"]
        started = ended if each["started"] is None else each["started"]
        if started is None:
            continue
        ended = started if ended is None else max(started, ended)
        width = max((ended - started) * scale, LEAST_WIDTH)
        left = min((started - begin) * scale, WIDTH - width)
        bars.append(
            Bar(
                each,
                round(max(left, 0.0), 1),
                round(min(width, WIDTH), 1),
                None if each["started"] is None else ended - started,
                max(started - before, 0.0),
            )
        )
        before = ended
    return bars


def _runs(attempt: Mapping[str, Any]) -> bool:
    return attempt["started"] is not None and attempt["ended"] is None
