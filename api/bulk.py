"""`POST /tasks/cancel`, `/tasks/retry` and `/tasks/delete`: changes of many tasks.

The tasks are found first, and then changed in steps, each in one commit that looks at their states
again. So a request that was cut off, or came twice, is simply sent once more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import falcon
from orjson import dumps

from task_queue.actors.messages.base import Request
from task_queue.actors.messages.changes import CancelTasks, DeleteTasks, Redrive
from task_queue.actors.messages.reader import FindNamed, FindTasks
from task_queue.actors.tasks.filters import Filters
from task_queue.actors.tasks.states import FINAL, Status
from task_queue.actors.tasks.text import counted
from task_queue.api.auth.caller import Caller, caller_of
from task_queue.api.edge import Edge
from task_queue.api.requests.listing import parameters
from task_queue.api.requests.selection import SelectionBody, SelectionParameters
from task_queue.api.requests.validation import checked_body
from task_queue.api.responses import problems
from task_queue.api.responses.cursor import cursor_of, place_of
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.logger import get_logger

STEP = 200
"""How many tasks one commit changes; a publish waits for no more than that."""
MAX_PREVIEW = 10_000
"""How many tasks a preview counts at most."""
PREVIEW_SECONDS = 2.0
"""After how long a preview stops looking."""

_log = get_logger()


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of change.

    Attributes:
        verb: What it is called.
        statuses: The states of the tasks that it changes.
        change: Returns the message that changes these tasks, which are in one of these states.
        runs: Whether they are to run then.
        in_memory: Whether it can be done to tasks of a queue in memory.
    """

    verb: str
    statuses: tuple[Status, ...]
    change: Callable[[Sequence[str], Filters, float], Request[int]]
    runs: bool = False
    in_memory: bool = False


_CANCEL = _Kind(
    "cancel",
    tuple(status for status in Status if status not in FINAL),
    lambda ids, filters, now: CancelTasks(tuple(ids), filters.statuses, now, filters.queues),
)
_RETRY = _Kind(
    "retry",
    (Status.DEAD, Status.CANCELLED),
    lambda ids, filters, now: Redrive(
        dict.fromkeys(ids, now), now, filters.statuses, filters.queues
    ),
    runs=True,
)
_DELETE = _Kind(
    "delete",
    FINAL,
    lambda ids, filters, _: DeleteTasks(tuple(ids), filters.statuses, filters.queues),
    in_memory=True,
)


class BulkResource:
    """Changes many tasks: those with given ids, those that match filters, or both."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_post_cancel(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Cancel tasks that wait, and ask those that run to stop."""
        self._respond(req, resp, _CANCEL)

    def on_post_retry(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put dead and cancelled tasks back on their queues."""
        self._respond(req, resp, _RETRY)

    def on_post_delete(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Delete tasks that are final."""
        self._respond(req, resp, _DELETE)

    def _respond(self, req: falcon.Request, resp: falcon.Response, kind: _Kind) -> None:
        asked = parameters(SelectionParameters, req)
        ids = checked_body(req, SelectionBody).ids
        _check_selects(asked, ids)
        if ids is not None:
            req.context.selected = counted(len(ids), "id")  # for the audit log
        caller = caller_of(req)
        given = Filters(**asked.filters(), queues=caller.queues)
        self._edge.check_names(given)
        filters = self._narrowed(given, kind, caller)
        if asked.preview:
            resp.data = dumps(self._preview(filters, ids))
            return
        if ids is not None:
            after = None
            found = self._edge.ask_reader(FindNamed(filters, tuple(ids)))
        else:
            begin = None if asked.cursor is None else place_of(asked.cursor, given)
            found, after = self._edge.ask_reader(FindTasks(filters, asked.limit, begin))
        count = self._change(kind, filters, found)
        skipped = len(found if ids is None else ids) - count
        _log.info("tasks changed", change=kind.verb, count=count, skipped=skipped)
        cursor = None if after is None else cursor_of(after, given)
        resp.data = dumps({"count": count, "skipped": skipped, "next_cursor": cursor})

    def _narrowed(self, given: Filters, kind: _Kind, caller: Caller) -> Filters:
        """Return the filters of those tasks alone that can be changed.

        Raises:
            InvalidRequestError: None can, by the states that are asked for.
            ConflictError: None can, by the queue or the action.
        """
        asked = (
            {Status.BLOCKED, *given.statuses}
            if Status.QUEUED in given.statuses
            else {*given.statuses}
        )
        statuses = tuple(each for each in kind.statuses if not asked or each in asked)
        if not statuses:
            allowed = ", ".join(dict.fromkeys(each.shown for each in kind.statuses))
            message = f"status must be one of those that {kind.verb} changes: {allowed}"
            raise InvalidRequestError(message, problem=problems.CONTRADICTION)
        narrowed = replace(given, statuses=statuses)
        if given.queue is not None and not kind.in_memory:
            self._edge.check_has_rows(given.queue)
        if not kind.runs:
            return narrowed
        self._edge.check_would_run(given.queue, given.action)
        served = [name for name in self._edge.queues_of(caller) if self._edge.has_rows(name)]
        return replace(narrowed, queues=frozenset(served), actions=self._edge.actions.known)

    def _preview(self, filters: Filters, ids: Sequence[str] | None) -> dict[str, Any]:
        """Count the tasks that would be changed, until there are many or time is over."""
        if ids is not None:
            return {"count": len(self._edge.ask_reader(FindNamed(filters, tuple(ids))))}
        count, after = 0, None
        until = self._edge.monotonic() + PREVIEW_SECONDS
        while True:
            find = FindTasks(filters, MAX_PREVIEW - count, after)
            found, after = self._edge.ask_reader(find)
            count += len(found)
            if after is None:
                return {"count": count}
            if count == MAX_PREVIEW or self._edge.monotonic() >= until:
                return {"count": count, "more": True}

    def _change(self, kind: _Kind, filters: Filters, ids: Sequence[str]) -> int:
        """Change the tasks in steps that block no publish for long; return how many it were."""
        now = self._edge.now()
        return sum(
            self._edge.ask_writer(kind.change(ids[start : start + STEP], filters, now))
            for start in range(0, len(ids), STEP)
        )


def _check_selects(asked: SelectionParameters, ids: Sequence[str] | None) -> None:
    """Accept a request that says which tasks.

    Raises:
        InvalidRequestError: It does not, or it has a cursor, which ids have no use for.
    """
    if ids is None and not asked.selects:
        message = f"give ids in the body or at least one of {', '.join(asked.names())}: which tasks"
        raise InvalidRequestError(message, problem=problems.CONTRADICTION)
    if ids is not None and asked.cursor is not None:
        message = "cursor goes with filters alone; ids are all looked at in one request"
        raise InvalidRequestError(message, problem=problems.CONTRADICTION)
