"""Tables and texts for people."""

import io

import pytest
from rich.console import Console

from task_queue.api.commands import show
from task_queue.api.commands.show import Column

COLUMNS = (
    Column("id"),
    Column("queue", may_be_cut=True, may_be_left_out=True),
    Column("count", is_number=True),
    Column("error", may_be_cut=True),
)
ID = "01a220c1-662f-7219-8930-01aacccb8636"
ROWS = [(ID, "a-queue-with-a-long-name", 3, "no such city: Atlantis, which was looked for")]


def on_screen(width: int) -> list[str]:
    file = io.StringIO()
    console = Console(file=file, width=width)
    console.print(show.rich_table(COLUMNS, ROWS, width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_what_is_piped_is_whole_and_in_columns() -> None:
    assert show.plain(COLUMNS, ROWS) == [
        f"id{' ' * 34}  queue                     count  error",
        f"{ID}  a-queue-with-a-long-name      3  no such city: Atlantis, which was looked for",
    ]


@pytest.mark.parametrize("width", [60, 70, 80, 100, 200])
def test_a_table_fits_the_screen_and_ids_stay_whole(width: int) -> None:
    head, row = on_screen(width)
    assert max(len(head), len(row)) <= width
    assert row.startswith(f"{ID}  ")
    assert "count" in head
    assert ("queue" in head) is (width >= 80)
    assert ("…" in row) is (width < 120)


def test_text_of_others_commands_no_terminal() -> None:
    assert show.cell("red\x1b[31m\nnext\x07") == "red\\x1b[31m next\\x07"
    assert show.visible("a\tb\nc\x9b") == "a    b\nc\\x9b"
    assert "[bold]" in show.coloured("[bold]").plain


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (0.004, "4 ms"), (59, "59 s"), (300, "5 min"), (10_800, "3 h"), (864_000, "10 d")],
)
def test_a_duration_is_in_its_greatest_unit(seconds: float, expected: str) -> None:
    assert show.span(seconds) == expected
    assert show.ago(1_000.0, 1_000.0 + seconds) == f"{expected} ago"


def test_a_time_to_come_is_shown_as_such() -> None:
    assert show.ago(1_300.0, 1_000.0) == "in 5 min"
    assert show.ago(None) is None
    assert show.cell(None) == "-"
