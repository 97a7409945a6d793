"""`task-queue queues`, `pause`, `resume` and `purge`."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from task_queue.actors.tasks.text import counted
from task_queue.api.commands import options, show
from task_queue.api.commands.many import ask
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.commands.show import Column
from task_queue.api.standard_streams import say

app = typer.Typer(help="Show the queues: what waits, runs and has ended.")

Name = Annotated[str, typer.Argument(metavar="QUEUE", help="Its name.", show_default=False)]

STATES = ("scheduled", "queued", "running", "completed", "dead", "cancelled")
FINISHED = frozenset({"completed", "cancelled"})
"""What has ended well: a narrow screen does without."""
RATES = ("published", "completed", "failed")
COLUMNS = (
    Column("queue", may_be_cut=True),
    Column("state"),
    *(Column(state, is_number=True, may_be_left_out=state in FINISHED) for state in STATES),
    Column("oldest ready", is_number=True),
    *(Column(f"{rate}/s", is_number=True, may_be_left_out=True) for rate in RATES),
)


def row(queue: Mapping[str, Any]) -> tuple[show.Cell, ...]:
    """Return what a table shows of a queue."""
    return (
        queue["name"],
        "paused" if queue["paused"] else "open",
        *(queue["counts"][state] for state in STATES),
        show.span(queue["oldest_ready_seconds"]),
        *(float(queue["rates"][rate]) for rate in RATES),
    )


@app.callback(invoke_without_command=True)
@asks_server
def queues(server: Server, *, context: typer.Context, as_json: options.AsJson = False) -> None:
    """Show the queues: what waits, runs and has ended."""
    if context.invoked_subcommand is not None:
        return
    found = server.get("/queues")
    if as_json:
        show.document(found)
    else:
        show.table(COLUMNS, [row(queue) for queue in found["queues"]])


@app.command("show")
@asks_server
def show_queue(server: Server, *, name: Name, as_json: options.AsJson = False) -> None:
    """Show all about a queue, with its settings."""
    queue = server.get(server.path("queues", name))
    if as_json:
        show.document(queue)
        return
    pairs = list(zip((column.title for column in COLUMNS), row(queue), strict=True))
    settings = queue.get("settings") or {}
    show.fields(
        [
            *pairs,
            *(
                (key, show.compact(value) if isinstance(value, Mapping) else value)
                for key, value in settings.items()
            ),
        ]
    )


@asks_server
def pause(server: Server, *, name: Name, as_json: options.AsJson = False) -> None:
    """Let a queue start nothing more; publishes are taken, and what runs goes on."""
    _switch(server, name, "pause", as_json=as_json)


@asks_server
def resume(server: Server, *, name: Name, as_json: options.AsJson = False) -> None:
    """Let a paused queue start tasks again."""
    _switch(server, name, "resume", as_json=as_json)


def _switch(server: Server, name: str, verb: str, *, as_json: bool) -> None:
    answer = server.post(f"{server.path('queues', name)}/{verb}", repeatable=True)
    if as_json:
        show.document(answer)
    else:
        say(f"{answer['name']} is {'paused' if answer['paused'] else 'open'}")


@asks_server
def purge(
    server: Server, *, name: Name, yes: options.Yes = False, as_json: options.AsJson = False
) -> None:
    """Cancel all tasks that wait on a queue, scheduled or queued."""
    path = server.path("queues", name)
    counts = server.get(path)["counts"]
    waiting = counts["scheduled"] + counts["queued"]
    if not ask(f"cancel {counted(waiting, 'task')} on the queue {name}", waiting, yes=yes):
        show.document({"name": name, "count": 0}) if as_json else show.note("nothing waits there")
        return
    purged = 0
    while True:
        answer = server.post(f"{path}/purge", repeatable=True)
        purged += answer["count"]
        if not answer.get("more"):
            break
    if as_json:
        show.document({**answer, "count": purged})
    else:
        say(f"{counted(purged, 'task')} cancelled")
