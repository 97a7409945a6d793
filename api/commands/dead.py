"""`task-queue dead`: list dead letters, group them by error, redrive them."""

from typing import Annotated, Any

import typer

from task_queue.actors.tasks.text import counted
from task_queue.api.commands import listing, options, show
from task_queue.api.commands.errors import UsageError
from task_queue.api.commands.filters import Query, with_filters
from task_queue.api.commands.many import ask
from task_queue.api.commands.progress import progress
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.commands.show import Column, ago
from task_queue.api.standard_streams import say

app = typer.Typer(
    help="List dead letters, group them by error, redrive them.", no_args_is_help=True
)

GROUP_COLUMNS = (
    Column("count", is_number=True),
    Column("queue", may_be_cut=True),
    Column("action", may_be_cut=True),
    Column("first"),
    Column("last"),
    Column("error group", may_be_cut=True),
)
MOST = 10_000
"""How many one request puts back at most."""
_LEFT_OUT = ("quarantined", "unknown", "unchanged")


@app.command("list")
@asks_server
@with_filters
def list_dead(
    query: Query,
    server: Server,
    *,
    oldest: listing.Oldest = False,
    limit: listing.Limit = 30,
    as_json: options.AsJson = False,
) -> None:
    """List dead tasks, the newest first."""
    if query.pop("status", "dead") != "dead":
        raise UsageError("--status can only be dead here: `task-queue tasks list` has the others")
    listing.show_tasks(server, "/dead-letters", query, limit, oldest=oldest, as_json=as_json)


@app.command()
@asks_server
def groups(
    server: Server,
    *,
    queue: options.OnQueue = None,
    action: options.WithAction = None,
    limit: Annotated[
        int, typer.Option("--limit", min=1, max=500, help="How many groups at most.")
    ] = 100,
    as_json: options.AsJson = False,
) -> None:
    """Group dead tasks by their error, apart from ids and numbers; the greatest first."""
    query = {"queue": queue, "action": action, "limit": limit}
    found = server.get("/dead-letters/groups", query)
    if as_json:
        show.document(found)
        return
    show.table(GROUP_COLUMNS, [_group(each) for each in found["groups"]])
    if not found["groups"]:
        show.note("there is no dead task")


def _group(group: dict[str, Any]) -> tuple[show.Cell, ...]:
    first, last = ago(group["first_at"]), ago(group["last_at"])
    return group["count"], group["queue"], group["action"], first, last, group["error_group"]


@app.command()
@asks_server
def redrive(  # noqa: PLR0913 - typer makes options of them
    server: Server,
    *,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Ids of dead tasks.", show_default=False),
    ] = None,
    queue: options.OnQueue = None,
    action: options.WithAction = None,
    error: options.WithError = None,
    error_group: options.OfErrorGroup = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=MOST, help="How many at most, oldest first.")
    ] = None,
    per_second: Annotated[
        float | None, typer.Option("--per-second", help="Spread them out: so many a second.")
    ] = None,
    yes: options.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Put dead tasks back on their queues, with all their attempts."""
    which: dict[str, Any] = {
        "ids": list(ids) if ids else None,
        "queue": queue,
        "action": action,
        "error_contains": error,
        "error_group": error_group,
    }
    which = {name: value for name, value in which.items() if value is not None}
    if not which:
        raise UsageError("which dead tasks? give ids, --queue, --action, --error or --error-group")
    if not ids:
        wish = {**which, "limit": limit or MOST, "preview": True}
        seen = server.post("/dead-letters/redrive", wish, repeatable=True)
        count = seen["count"]
        at_least = "at least " if limit is None and count == MOST else ""
        if not ask(f"redrive {at_least}{counted(count, 'dead task')}", count, yes=yes):
            show.document(seen) if as_json else show.note(seen.get("detail") or "no task matches")
            return
    wish = which | ({} if per_second is None else {"per_second": per_second})
    done = _redriven(server, wish, limit)
    if as_json:
        show.document(done)
    else:
        say(f"{counted(done['count'], 'task')} put back")
        if "detail" in done:
            show.note(done["detail"])
        if per_second is not None and limit is None and done["count"] == MOST:
            show.note("there may be more: say it again when these have started")


def _redriven(server: Server, wish: dict[str, Any], limit: int | None) -> dict[str, Any]:
    """Return what all steps have done; the last one says what was left out."""
    count = 0
    with progress("tasks", None) as bar:
        while True:
            step: dict[str, Any] = server.post(
                "/dead-letters/redrive", {**wish, "limit": limit or MOST}
            )
            count += step["count"]
            bar(count)
            # Spread out they have to be in one request: a second one would begin now as well.
            is_one = limit is not None or "ids" in wish or "per_second" in wish
            if is_one or step["count"] < MOST:
                return {**step, "count": count}
