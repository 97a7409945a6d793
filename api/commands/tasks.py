"""`task-queue tasks`: list, show, cancel, retry and delete."""

from typing import Annotated, Any

import typer

from task_queue.api.commands import listing, many, options, show
from task_queue.api.commands.filters import Query, with_filters
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.commands.values import seconds
from task_queue.api.standard_streams import say

app = typer.Typer(help="List, show, cancel, retry and delete tasks.", no_args_is_help=True)

Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids of tasks; or else filters.", show_default=False),
]
All = Annotated[bool, typer.Option("--all", help="All that can be, whatever they are.")]


@app.command("list")
@asks_server
@with_filters
def list_tasks(
    query: Query,
    server: Server,
    *,
    oldest: listing.Oldest = False,
    limit: listing.Limit = 30,
    as_json: options.AsJson = False,
) -> None:
    """List tasks that match all that is asked for, the newest first."""
    listing.show_tasks(server, "/tasks", query, limit, oldest=oldest, as_json=as_json)


@app.command("show")
@asks_server
def show_task(
    server: Server,
    *,
    task_id: Annotated[str, typer.Argument(metavar="ID", help="Its id.", show_default=False)],
    wait: Annotated[
        str | None,
        typer.Option("--wait", metavar="DURATION", help="Wait until it is finished first."),
    ] = None,
    as_json: options.AsJson = False,
) -> None:
    """Show all about a task: its data, result, error and attempts."""
    if (wait_seconds := seconds("--wait", wait)) is not None:
        task: dict[str, Any] = dict(server.client.wait(task_id, wait_seconds).document)
    else:
        task = server.get(server.path("tasks", task_id))
    if as_json:
        show.document(task)
    else:
        _show(task)


def _add(verb: many.Verb, words: str) -> None:
    """Add the command that does this to tasks."""

    @app.command(verb.name, help=words)
    @asks_server
    @with_filters
    def change(  # noqa: PLR0913 - typer makes options of them
        query: Query,
        server: Server,
        *,
        ids: Ids = None,
        all_tasks: All = False,
        yes: options.Yes = False,
        as_json: options.AsJson = False,
    ) -> None:
        many.change(server, verb, ids, query, all_tasks=all_tasks, yes=yes, as_json=as_json)


_add(many.CANCEL, "Cancel tasks, by ids or by filters; those that run are asked to stop.")
_add(many.RETRY, "Put dead or cancelled tasks back on their queues, by ids or by filters.")
_add(many.DELETE, "Delete finished tasks, by ids or by filters.")


_PLAIN = (
    *("queue", "priority", "unique_key", "key", "schedule", "worker", "callback"),
    *("timeout_seconds", "keep_result_seconds", "postponed", "traceparent"),
)
_MOMENTS = ("created_at", "run_at", "started_at", "ended_at", "expires_at")
_BLOCKS = ("traceback", "stderr")


def _show(task: dict[str, Any]) -> None:
    pairs: list[tuple[str, show.Cell]] = [
        ("id", task["id"]),
        ("action", task["payload"]["action"]),
        ("status", task["status"]),
        ("attempt", f"{task['attempt']} of {task['max_attempts']}"),
    ]
    pairs += [(name, task[name]) for name in _PLAIN if task.get(name) not in {None, ""}]
    pairs += [(name, show.at(task[name])) for name in _MOMENTS if task.get(name) is not None]
    if task.get("cancel_requested"):
        pairs.append(("cancel_requested", "yes"))
    if progress := task.get("progress"):
        said = progress.get("message") or ""
        pairs.append(("progress", f"{progress['fraction']:.0%}  {said}"))
    pairs.append(("data", show.compact(task["payload"]["data"])))
    pairs += [("result", show.compact(task["result"]))] if task["status"] == "completed" else []
    pairs += [("error", task["error"])] if task["error"] else []
    show.fields(pairs)
    for attempt in task.get("attempts", ()):
        _show_attempt(attempt)


def _show_attempt(attempt: dict[str, Any]) -> None:
    begin, end = attempt["started"], attempt["ended"]
    spent = f" after {show.span(end - begin)}" if begin and end else ""
    say(
        f"\nattempt {attempt['number']}  {attempt['outcome'] or 'running'}{spent}"
        f"  {show.at(begin) or ''}  on {show.cell(attempt['worker'])}".rstrip()
    )
    if attempt["error"]:
        say(f"  {show.cell(attempt['error'])}")
    for name in _BLOCKS:
        if text := (attempt.get(name) or "").rstrip():
            say(f"  {name}:")
            for line in show.visible(text).split("\n"):
                say(f"    {line}")
