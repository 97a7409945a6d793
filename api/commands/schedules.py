"""`task-queue schedules`: list, show, set, delete and run."""

from typing import Annotated, Any

import typer

from task_queue.api.commands import options, show
from task_queue.api.commands.many import ask
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.commands.show import Column, ago
from task_queue.api.commands.values import data_of, seconds, whole
from task_queue.api.standard_streams import say

app = typer.Typer(help="List, show, set, delete and run schedules.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name.", show_default=False)]
Text = str | None

COLUMNS = (
    Column("schedule"),
    Column("when"),
    Column("action", may_be_cut=True),
    Column("queue", may_be_cut=True, may_be_left_out=True),
    Column("next"),
    Column("last"),
    Column("set in", may_be_left_out=True),
)


@app.command("list")
@asks_server
def list_schedules(server: Server, *, as_json: options.AsJson = False) -> None:
    """List all schedules, with their next and last time."""
    found = server.get("/schedules")
    if as_json:
        show.document(found)
        return
    show.table(COLUMNS, [_row(each) for each in found["schedules"]])
    if not found["schedules"]:
        show.note("there is no schedule")


def _row(schedule: dict[str, Any]) -> tuple[show.Cell, ...]:
    task, coming = schedule["task"], schedule["next"]
    return (
        schedule["name"],
        _when(schedule),
        task["action"],
        task.get("queue") or "tasks",
        ago(show.unix(coming[0])) if coming else None,
        ago(show.unix(schedule["last"])),
        "settings" if schedule["configured"] else "API",
    )


def _when(schedule: dict[str, Any]) -> str:
    if every := schedule.get("every"):
        return f"every {every}"
    zone = schedule["timezone"]
    return f"{schedule['cron']}{'' if zone == 'UTC' else f' {zone}'}"


@app.command("show")
@asks_server
def show_schedule(server: Server, *, name: Name, as_json: options.AsJson = False) -> None:
    """Show all about a schedule, with its next times."""
    schedule = server.get(server.path("schedules", name))
    if as_json:
        show.document(schedule)
        return
    coming = schedule.pop("next")
    plain = {key: value for key, value in schedule.items() if key not in {"task", "last"}}
    show.fields(
        [
            *((key, value) for key, value in plain.items() if value is not None),
            ("task", show.compact(schedule["task"])),
            ("last", show.at(show.unix(schedule["last"]))),
            *(("next", f"{moment}  ({ago(show.unix(moment))})") for moment in coming),
        ]
    )


@app.command("set")
@asks_server
def set_schedule(  # noqa: PLR0913 - typer makes options of them
    server: Server,
    *,
    name: Name,
    action: Annotated[
        str, typer.Argument(metavar="ACTION", help="What it publishes.", show_default=False)
    ],
    members: options.Members = None,
    cron: Annotated[Text, typer.Option("--cron", help="Times: '0 9 * * 1-5'.")] = None,
    every: Annotated[Text, typer.Option("--every", help="A distance: 90m.")] = None,
    timezone: Annotated[
        Text, typer.Option("--timezone", help="Whose clock it goes by; UTC unless given.")
    ] = None,
    missed: Annotated[
        Text, typer.Option("--missed", help="Times at which no node ran: skip or once.")
    ] = None,
    clock_forward: Annotated[
        Text, typer.Option("--clock-forward", help="Times that a clock jumps over: run or skip.")
    ] = None,
    clock_back: Annotated[
        Text, typer.Option("--clock-back", help="Times that it shows twice: once or twice.")
    ] = None,
    expires_after: Annotated[
        Text,
        typer.Option("--expires-after", metavar="DURATION", help="Not started later than that."),
    ] = None,
    data: options.Data = None,
    queue: Annotated[Text, typer.Option("--queue", metavar="NAME", help="Its queue.")] = None,
    priority: Annotated[int | None, typer.Option("--priority", help="-100 to 100.")] = None,
    max_attempts: Annotated[
        int | None, typer.Option("--max-attempts", help="How often a task is tried.")
    ] = None,
    unique_key: Annotated[
        Text, typer.Option("--unique-key", metavar="TEXT", help="Only one unfinished task has it.")
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Make a schedule, or replace it."""
    task = {
        "action": action,
        "data": data_of(data, members or ()),
        "queue": queue,
        "priority": priority,
        "max_attempts": max_attempts,
        "unique_key": unique_key,
    }
    body = {
        "cron": cron,
        "every": every,
        "timezone": timezone,
        "missed": missed,
        "clock_forward": clock_forward,
        "clock_back": clock_back,
        "expires_after_seconds": whole(seconds("--expires-after", expires_after)),
        "task": {key: value for key, value in task.items() if value is not None},
    }
    given = {key: value for key, value in body.items() if value is not None}
    answer = server.client.request(
        "PUT", server.path("schedules", name), body=given, repeatable=True
    )
    if as_json:
        show.document(answer)
    else:
        say(f"{name} publishes {action} {_when(answer)}, next {ago(show.unix(answer['next'][0]))}")


@app.command()
@asks_server
def delete(server: Server, *, name: Name, yes: options.Yes = False) -> None:
    """Delete a schedule; what it has published stays."""
    path = server.path("schedules", name)
    server.get(path)  # it is there: nobody is asked about a typing error
    ask(f"delete the schedule {name}", 1, yes=yes)
    server.client.request("DELETE", path)
    say(f"{name} deleted")


@app.command()
@asks_server
def run(server: Server, *, name: Name, as_json: options.AsJson = False) -> None:
    """Publish a schedule's task now; its next time stays."""
    answer = server.post(f"{server.path('schedules', name)}/run")
    if as_json:
        show.document(answer)
    else:
        say(answer["id"])
