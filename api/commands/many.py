"""Cancels, retries and deletes tasks: each by its id, or all that match."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from task_queue.actors.tasks.text import counted
from task_queue.api.client.errors import ConflictError, NotFoundError
from task_queue.api.commands import show
from task_queue.api.commands.errors import CommandError, UsageError
from task_queue.api.commands.filters import Query
from task_queue.api.commands.progress import progress
from task_queue.api.commands.server import Server
from task_queue.api.standard_streams import say


@dataclass(frozen=True, slots=True)
class Verb:
    """What is done to tasks.

    Attributes:
        name: As in the API's paths.
        done: As in "3 tasks cancelled".
        states: Those of tasks to which it can be done.
    """

    name: str
    done: str
    states: str


CANCEL = Verb("cancel", "cancelled", "scheduled,queued,running")
RETRY = Verb("retry", "put back", "dead,cancelled")
DELETE = Verb("delete", "deleted", "completed,dead,cancelled")


def change(  # noqa: PLR0913 - what, to which, and how to say it
    server: Server,
    verb: Verb,
    ids: Sequence[str] | None,
    query: Query,
    *,
    all_tasks: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Do it to these tasks, or to all that match, after asking once.

    Raises:
        UsageError: Neither ids nor filters are given, or both.
        CommandError: A task cannot be changed so, or the answer was no.
    """
    if ids:
        if query or all_tasks:
            raise UsageError("either ids or filters, not both")
        _change_each(server, verb, ids, as_json=as_json)
        return
    if not query and not all_tasks:
        raise UsageError(f"which tasks to {verb.name}? give ids, filters, or --all")
    if not query:
        query = {"status": verb.states}
    path = f"/tasks/{verb.name}"
    seen = server.post(path, query={**query, "preview": True}, repeatable=True)
    at_least = "more than " if seen.get("more") else ""
    if not ask(f"{verb.name} {at_least}{counted(seen['count'], 'task')}", seen["count"], yes=yes):
        show.document({"count": 0, "skipped": 0}) if as_json else show.note("no task matches")
        return
    done = _change_all(server, path, query, None if at_least else seen["count"])
    if as_json:
        show.document(done)
    else:
        skipped = f", {done['skipped']} skipped" if done["skipped"] else ""
        say(f"{counted(done['count'], 'task')} {verb.done}{skipped}")


def ask(what: str, count: int, *, yes: bool) -> bool:
    """Return whether to go on: not if there is nothing to do.

    Args:
        what: What would be done, as in "cancel 3 tasks".
        count: To how many.
        yes: Whether not to ask.

    Raises:
        UsageError: Nobody can be asked.
        CommandError: The answer was no.
    """
    if count == 0 or yes:
        return count > 0
    if not sys.stdin.isatty():
        raise UsageError(f"this would {what}: --yes does it without asking")
    sys.stderr.write(f"{what}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was changed")
    return True


def _change_all(server: Server, path: str, query: Query, total: int | None) -> dict[str, int]:
    done = {"count": 0, "skipped": 0}
    cursor = None
    with progress("tasks", total) as bar:
        while True:
            # Done twice it does the same, but for the figures of the step that nobody heard of.
            step = server.post(path, query={**query, "cursor": cursor}, repeatable=True)
            done["count"] += step["count"]
            done["skipped"] += step["skipped"]
            bar(done["count"])
            cursor = step["next_cursor"]
            if cursor is None:
                return done


def _change_each(server: Server, verb: Verb, ids: Sequence[str], *, as_json: bool) -> None:
    documents: list[dict[str, Any]] = []
    refused = 0
    for task_id in ids:
        path = server.path("tasks", task_id)
        try:
            if verb is DELETE:
                server.client.request("DELETE", path)
                documents.append({"id": task_id, "status": "deleted"})
            else:
                documents.append(server.post(f"{path}/{verb.name}"))
        except (ConflictError, NotFoundError) as error:
            refused += 1
            show.note(f"{task_id}: {error}")
            continue
        if not as_json:
            asked = documents[-1].get("cancel_requested")
            say(f"{task_id}  {'asked to stop' if asked else documents[-1]['status']}")
    if as_json:
        show.document({"tasks": documents, "refused": refused})
    if refused:
        raise CommandError(f"{counted(refused, 'task')} of {len(ids)} not {verb.done}")
