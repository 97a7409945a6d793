"""What happened on a queue, as a small chart: made here, as a picture that needs no script."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from task_queue.api.ui.render import counted, duration

WIDTH = 240
HEIGHT = 40
"""The coordinates of a chart; how large it is shown is for the style to say."""
_NICE = (1, 2, 3, 4, 5, 6, 8, 10)
_LEAST_TOP = 5
"""So that a single failure does not look like many."""
_TABLE_ROWS = 12


@dataclass(frozen=True, slots=True)
class Row:
    """Some steps together, for whoever reads the chart as a table.

    Attributes:
        begin: When they begin, Unix seconds.
        published: Tasks that came.
        completed: Tasks that were done.
        failed: Attempts that failed.
    """

    begin: float
    published: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars for what was done, and on top of them for what failed.

    Attributes:
        words: What the chart shows, for whoever does not see it.
        span: How long it is, in words.
        done: The bars of tasks that were done, as the data of a path.
        failed: The bars of attempts that failed, likewise.
        top: The number at the upper edge.
        completed_sum: How many tasks were done.
        failed_sum: How many attempts failed.
        published_sum: How many tasks came.
        wait_seconds: How long tasks waited on the average; None: none was started.
        run_seconds: How long attempts ran on the average; None: none has ended.
        begin: When it begins, Unix seconds.
        rows: The same as numbers, the newest first.
    """

    words: str
    span: str
    done: str
    failed: str
    top: int
    completed_sum: int
    failed_sum: int
    published_sum: int
    wait_seconds: float | None
    run_seconds: float | None
    begin: float
    rows: Sequence[Row]

    @property
    def width(self) -> int:
        """How wide it is."""
        return WIDTH

    @property
    def height(self) -> int:
        """How high it is."""
        return HEIGHT


def chart(figures: Mapping[str, Any] | None, queue: str, span: str) -> Chart | None:
    """Return the chart of a queue; None: there are no figures of it.

    Args:
        figures: As `GET /queues/figures` answers; None: it does not.
        queue: The queue's name.
        span: How long it is, in words, as in "hour".
    """
    if figures is None or (of_queue := figures["queues"].get(queue)) is None:
        return None
    completed, failed = of_queue["completed"], of_queue["failed"]
    step = figures["step_seconds"]
    most = max((a + b for a, b in zip(completed, failed, strict=True)), default=0)
    top = _nice(max(most, _LEAST_TOP))
    words = (
        f"Last {span}: {counted(sum(completed), 'task')} completed,"
        f" {counted(sum(failed), 'attempt')} failed, at most {most:,} in {duration(step)}"
    )
    ended = sum(completed) + sum(failed)
    return Chart(
        words=words,
        span=span,
        done=_bars(completed, [0] * len(completed), top),
        failed=_bars(failed, completed, top),
        top=top,
        completed_sum=sum(completed),
        failed_sum=sum(failed),
        published_sum=sum(of_queue["published"]),
        wait_seconds=_average(sum(of_queue["wait_seconds"]), sum(of_queue["started"])),
        run_seconds=_average(sum(of_queue["run_seconds"]), ended),
        begin=figures["begin"],
        rows=list(_rows(of_queue, figures["begin"], step))[::-1],
    )


def _average(total: float, count: int) -> float | None:
    return total / count if count else None


def _nice(most: int) -> int:
    """Return a round number that is not below this one."""
    size = 1
    while True:
        for each in _NICE:
            if each * size >= most:
                return each * size
        size *= 10


def _bars(values: Sequence[int], below: Sequence[int], top: int) -> str:
    """Return the bars as the data of a path; what is not nothing is at least a line."""
    width = WIDTH / max(1, len(values))
    gap = width / 5
    parts = []
    for place, (value, base) in enumerate(zip(values, below, strict=True)):
        if value:
            height = max(1.0, value * HEIGHT / top)
            foot = HEIGHT - base * HEIGHT / top
            parts.append(
                f"M{place * width + gap / 2:.1f} {foot:.1f}v-{height:.1f}h{width - gap:.1f}"
                f"v{height:.1f}z"
            )
    return "".join(parts)


def _rows(of_queue: Mapping[str, Sequence[int]], begin: float, step: int) -> Iterator[Row]:
    count = len(of_queue["completed"])
    size = ceil(count / _TABLE_ROWS)
    for first in range(0, count, size):
        part = slice(first, first + size)
        yield Row(
            begin + first * step,
            sum(of_queue["published"][part]),
            sum(of_queue["completed"][part]),
            sum(of_queue["failed"][part]),
        )
