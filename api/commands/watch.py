"""`task-queue watch`: the queues, who works, and what runs, on the whole screen."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from task_queue.api.client.errors import UnavailableError
from task_queue.api.commands import queues, show
from task_queue.api.commands.errors import CommandError, UsageError
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.commands.show import Column, ago

if TYPE_CHECKING:
    from rich.console import ConsoleDimensions, RenderableType

NODE_COLUMNS = (
    Column("node or worker", may_be_cut=True),
    Column("state"),
    Column("version", may_be_left_out=True),
    Column("started", may_be_left_out=True),
    Column("seen"),
    Column("runs", is_number=True),
    Column("consumers", may_be_cut=True),
)
RUN_COLUMNS = (
    Column("running task"),
    Column("action", may_be_cut=True),
    Column("queue", may_be_cut=True),
    Column("attempt", is_number=True),
    Column("for", is_number=True),
    Column("on", may_be_cut=True),
)
LEAST_RUNS = 3
"""How many running tasks are shown however low the screen is."""
KEYS_THAT_END = frozenset({"q", "Q", "\x1b", "\x03", "\x04", ""})


@asks_server
def watch(
    server: Server,
    *,
    every: Annotated[
        float, typer.Option("--every", min=0.2, metavar="SECONDS", help="How often it looks.")
    ] = 2.0,
) -> None:
    """Watch queues, rates, nodes and running tasks, until q or Ctrl-C."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "watch needs a terminal; for programs there are `queues --json` and `tail --json`"
        )
    server.get("/queues")  # what is refused is refused before the screen is taken
    server.ask_once()
    from rich.console import Console  # noqa: PLC0415 - `--help` does without
    from rich.live import Live  # noqa: PLC0415

    console = Console()
    with (
        suppress(KeyboardInterrupt),
        _keys_are_read(),
        Live(console=console, screen=True, auto_refresh=False) as live,
    ):
        while True:
            live.update(picture(server, console.size), refresh=True)
            if _key_within(every) in KEYS_THAT_END:
                return


def picture(server: Server, screen: "ConsoleDimensions") -> "RenderableType":
    """Return what is on a screen of this size."""
    from rich.console import Group  # noqa: PLC0415 - see `watch`
    from rich.text import Text  # noqa: PLC0415

    head = Text(f"{server.address}  {datetime.now().astimezone():%H:%M:%S}", style="bold")
    head.append("  q ends", style="dim")
    try:
        health = server.client.readiness()
        found = server.get("/queues")["queues"]
        workforce = server.get("/nodes")
    except (CommandError, UnavailableError) as error:  # the next look may be answered
        return Group(head, Text(show.visible(str(error)), style="red"))
    lines: list[RenderableType] = [head]
    lines += [Text(show.visible(each), style="red") for each in health.problems]
    lines += [Text(show.visible(each), style="yellow") for each in health.warnings]
    lines = lines[: max(2, screen.height // 3)]
    nodes = [_node(each) for each in workforce["nodes"]]
    nodes += [_worker(each) for each in workforce["workers"]]
    left = screen.height - len(lines) - len(found) - len(nodes) - 6
    running = sorted(_running(workforce), key=lambda row: row[0])
    shown = [row[1] for row in running[: max(left, LEAST_RUNS)]]
    parts: list[RenderableType] = [
        *lines,
        Text(""),
        show.rich_table(queues.COLUMNS, [queues.row(each) for each in found], screen.width),
        Text(""),
        show.rich_table(NODE_COLUMNS, nodes, screen.width),
        Text(""),
        show.rich_table(RUN_COLUMNS, shown, screen.width),
    ]
    if len(running) > len(shown):
        parts.append(Text(f"and {len(running) - len(shown)} more", style="dim"))
    return Group(*parts)


def _node(node: dict[str, Any]) -> tuple[show.Cell, ...]:
    consumers = ", ".join(f"{name} {count}" for name, count in node["queues"].items())
    started, seen = ago(node["started_at"]), ago(node["seen_at"])
    runs = len(node["running"])
    return node["name"], node["status"], node["version"], started, seen, runs, consumers


def _worker(worker: dict[str, Any]) -> tuple[show.Cell, ...]:
    return worker["name"], "worker", None, None, None, len(worker["running"]), None


def _running(workforce: dict[str, Any]) -> Iterator[tuple[float, tuple[show.Cell, ...]]]:
    """Yield what runs, each with when it began."""
    now = time.time()
    for each in (*workforce["nodes"], *workforce["workers"]):
        for run in each["running"]:
            began = run["started_at"] or now
            spent = show.span(now - began)
            row = (run["id"], run["action"], run["queue"], run["attempt"], spent, each["name"])
            yield began, row


@contextmanager
def _keys_are_read() -> Iterator[None]:
    """Let each key be read at once, and not be shown."""
    import termios  # noqa: PLC0415 - only here, on a terminal
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _key_within(seconds: float) -> str | None:
    """Return the key that is pressed within this time; None: none, empty: the terminal is gone."""
    import select  # noqa: PLC0415 - see above

    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return sys.stdin.read(1) if ready else None
