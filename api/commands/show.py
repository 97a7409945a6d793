"""What people see: tables, times, colours; on a terminal as wide as it is, else plain columns."""

import json
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from task_queue.api.standard_streams import say

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

COLOURS = {
    "completed": "green",
    "running": "cyan",
    "queued": "yellow",
    "scheduled": "blue",
    "dead": "red",
    "cancelled": "bright_black",
    "alive": "green",
    "draining": "yellow",
    "silent": "red",
    "paused": "yellow",
    "failed": "red",
    "published": "yellow",
    "started": "cyan",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
}
_SPANS = ((86_400.0 * 2, 86_400.0, "d"), (7_200.0, 3_600.0, "h"), (120.0, 60.0, "min"))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its head.
        is_number: Whether it is set to the right.
        may_be_cut: Whether a narrow screen may show less of it.
        may_be_left_out: Whether a narrow screen may do without, the last of these first.
    """

    title: str
    is_number: bool = False
    may_be_cut: bool = False
    may_be_left_out: bool = False


LEAST_WIDTH = 12
"""What is shown of a cell that may be cut, before other columns are left out."""
Cell = str | int | float | None


def document(value: object) -> None:
    """Show a document as JSON, in one line."""
    say(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> None:
    """Show a table; nothing but its head if it has no rows."""
    if not sys.stdout.isatty():
        for line in plain(columns, rows):
            say(line)
        return
    from rich.console import Console  # noqa: PLC0415 - what is piped does without

    console = Console()
    console.print(rich_table(columns, rows, console.width))


def plain(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> list[str]:
    """Return the lines of a table: columns side by side, whole, without colour."""
    lines = [[column.title for column in columns], *([cell(each) for each in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return [
        "  ".join(
            f"{text:>{width}}" if column.is_number else f"{text:{width}}"
            for text, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]


def rich_table(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], screen_width: int
) -> "Table":
    """Return the table for a terminal, which cuts and leaves out what may be, if it is narrow."""
    from rich.table import Table  # noqa: PLC0415 - see `table`

    widths = [
        max([len(column.title), *(len(cell(row[at])) for row in rows)])
        for at, column in enumerate(columns)
    ]
    widths = _fitting(columns, widths, screen_width)
    made = Table(box=None, pad_edge=False, header_style="bold")
    shown = [at for at, width in enumerate(widths) if width]
    for at in shown:
        made.add_column(
            columns[at].title,
            justify="right" if columns[at].is_number else "left",
            no_wrap=True,
            overflow="ellipsis" if columns[at].may_be_cut else "fold",
            width=widths[at],
        )
    for row in rows:
        made.add_row(*(coloured(row[at]) for at in shown))
    return made


def _fitting(columns: Sequence[Column], wanted: Sequence[int], screen_width: int) -> list[int]:
    """Return the widths that the columns have on the screen; 0: left out."""
    widths = list(wanted)
    least = [
        min(width, LEAST_WIDTH) if column.may_be_cut else width
        for width, column in zip(widths, columns, strict=True)
    ]
    for at in reversed(range(len(columns))):
        if _excess(least, screen_width) <= 0:
            break
        if columns[at].may_be_left_out:
            widths[at] = least[at] = 0
    while (excess := _excess(widths, screen_width)) > 0 and widths != least:
        cut = max(range(len(widths)), key=lambda at: widths[at] - least[at])
        widths[cut] = max(widths[cut] - excess, least[cut])
    return widths


def _excess(widths: Sequence[int], screen_width: int) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + 2 * (len(shown) - 1) - screen_width


def coloured(value: Cell) -> "Text":
    """Return a cell as it is, in the colour of the state that it names."""
    from rich.text import Text  # noqa: PLC0415 - see `table`

    text = cell(value)
    return Text(text, style=COLOURS.get(text, ""))


def cell(value: Cell) -> str:
    """Return a value in one line, without what would command a terminal."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return visible(" ".join(str(value).split()))


def visible(text: str) -> str:
    """Return the text with its control characters spelt out, but for the ends of its lines."""
    return "".join(
        each if each.isprintable() or each == "\n" else ("    " if each == "\t" else escaped(each))
        for each in text
    )


def escaped(char: str) -> str:
    """Return the character as Python spells it."""
    return char.encode("unicode_escape").decode()


def styled(*parts: str | tuple[str, str]) -> str:
    """Return a line; where a terminal shows it, with its parts in their colours.

    Args:
        parts: Texts, and texts with a colour.
    """
    plain_parts = [part if isinstance(part, str) else part[0] for part in parts]
    if not sys.stdout.isatty():
        return visible("".join(plain_parts))
    from rich.console import Console  # noqa: PLC0415 - see `table`
    from rich.text import Text  # noqa: PLC0415

    console = Console()
    with console.capture() as captured:
        text = Text.assemble(*(p if isinstance(p, str) else (visible(p[0]), p[1]) for p in parts))
        console.print(text, end="", soft_wrap=True)
    return captured.get()


def fields(pairs: Iterable[tuple[str, Cell]]) -> None:
    """Show names and values, one in a line."""
    found = [(name, cell(value)) for name, value in pairs]
    width = max(len(name) for name, _ in found)
    for name, text in found:
        say(f"{name:{width}}  {text}".rstrip())


def ago(moment: float | None, now: float | None = None) -> str | None:
    """Return how long ago that was, or when it will be: `5 s ago`, `in 3 h`."""
    if moment is None:
        return None
    distance = (time.time() if now is None else now) - moment
    return f"{span(distance)} ago" if distance > -0.5 else f"in {span(-distance)}"  # noqa: PLR2004


def unix(text: str | None) -> float | None:
    """Return a time of RFC 3339 in Unix seconds."""
    return None if text is None else datetime.fromisoformat(text).timestamp()


def span(seconds: float | None) -> str | None:
    """Return a duration in its greatest unit: `45 s`, `5 min`, `3 h`, `2 d`."""
    if seconds is None:
        return None
    for least, unit, name in _SPANS:
        if seconds >= least:
            return f"{seconds / unit:.0f} {name}"
    if 0 < seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{max(seconds, 0):.0f} s"


def at(moment: float | None) -> str | None:
    """Return a time in full, with how long ago that was."""
    if moment is None:
        return None
    text = datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return f"{text}  ({ago(moment)})"


def compact(value: Any, longest: int | None = None) -> str:  # noqa: ANN401 - JSON
    """Return a value as JSON in one line, cut if it is longer."""
    text = json.dumps(value, ensure_ascii=False)
    return text if longest is None or len(text) <= longest else f"{text[: longest - 1]}…"


def note(text: str) -> None:
    """Say something besides the result, on standard error."""
    sys.stderr.write(f"{visible(text)}\n")
    sys.stderr.flush()
