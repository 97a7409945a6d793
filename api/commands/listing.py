"""A listing of tasks, as a table or as one document."""

from typing import Annotated, Any

import typer

from task_queue.api.commands import show
from task_queue.api.commands.filters import Query
from task_queue.api.commands.server import Server
from task_queue.api.commands.show import Column, ago

Oldest = Annotated[bool, typer.Option("--oldest", help="The oldest first.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]

COLUMNS = (
    Column("id"),
    Column("status"),
    Column("action", may_be_cut=True),
    Column("queue", may_be_cut=True, may_be_left_out=True),
    Column("published"),
    Column("attempt", may_be_left_out=True),
    Column("took", may_be_left_out=True),
    Column("error", may_be_cut=True),
)


def show_tasks(  # noqa: PLR0913 - which, how many, and how
    server: Server, path: str, query: Query, limit: int, *, oldest: bool, as_json: bool
) -> None:
    """Show the first tasks of a listing.

    Args:
        server: Whose.
        path: `/tasks` or `/dead-letters`.
        query: Which ones.
        limit: How many at most.
        oldest: Whether the oldest come first.
        as_json: Whether to show one document, as of one page.
    """
    if oldest:
        query = {**query, "order": "oldest"}
    found: list[dict[str, Any]] = []
    cursor = None
    for page in server.pages(path, query, limit):
        found += page["tasks"]
        cursor = page["next_cursor"]
    if as_json:
        show.document({"tasks": found, "count": len(found), "next_cursor": cursor})
        return
    show.table(COLUMNS, [row(task) for task in found])
    if not found:
        show.note("no task matches")
    elif cursor is not None:
        show.note(f"the first {len(found)}; --limit shows more")


def row(task: dict[str, Any]) -> tuple[show.Cell, ...]:
    """Return what a listing shows of a task."""
    return (
        task["id"],
        task["status"],
        task["payload"]["action"],
        task["queue"],
        ago(task["created_at"]),
        f"{task['attempt']}/{task['max_attempts']}",
        show.span(took(task)),
        task["error"],
    )


def took(task: dict[str, Any]) -> float | None:
    """Return how long the last attempt took; None: it did not begin, or has not ended."""
    if task["started_at"] is None or task["ended_at"] is None:
        return None
    return float(task["ended_at"] - task["started_at"])
