"""`/dead-letters`: the dead tasks, and how to put many back at once."""

from operator import add
from typing import Annotated, Any

import falcon
from orjson import dumps
from pydantic import ConfigDict, Field

from task_queue.actors.messages.changes import Redrive
from task_queue.actors.messages.reader import (
    CountTasks,
    FindDead,
    GetTask,
    ListDeadGroups,
    ListTasks,
)
from task_queue.actors.tasks.error_group import MAX_CHARS as MAX_GROUP_CHARS
from task_queue.actors.tasks.error_group import error_group
from task_queue.actors.tasks.filters import DeadGroup, Filters, LeftOut
from task_queue.actors.tasks.states import Status
from task_queue.actors.tasks.task import Task
from task_queue.api.auth.caller import Caller, caller_of
from task_queue.api.edge import Edge
from task_queue.api.requests.catalog import unknown_action, unknown_queue
from task_queue.api.requests.listing import (
    DEFAULT_LIMIT,
    MAX_ERROR_PART_CHARS,
    DeadLetterParameters,
    Query,
    StoredName,
    page_of,
    parameters,
)
from task_queue.api.requests.selection import TaskIds
from task_queue.api.requests.validation import Body, checked_body, whole_number
from task_queue.api.responses.documents import page_document
from task_queue.api.responses.errors import InvalidRequestError
from task_queue.config.logger import get_logger

MAX_GROUPS = 500
MAX_REDRIVE = 10_000
"""How many tasks one request puts back at most."""
DEFAULT_REDRIVE = 1_000
REDRIVE_STEP = 200
"""How many tasks one commit puts back; a publish waits for no more than that."""
QUARANTINE = (
    "the service died the last time these ran, and may again: they are put back only by their ids,"
    ' or once their action has execution = "process"; /dead-letters?error_contains=lost shows them'
)
_WHY = {
    "quarantined": QUARANTINE,
    "unknown": "nothing runs these: their action is not known, or their queue is not in the"
    " settings or keeps its tasks in memory",
    "unchanged": "these are not dead any more, or their unique key has gone to another task",
}
"""Why a dead task that matches is not put back, by the member of the answer that counts it."""

_log = get_logger()
_SELECTORS = ("queue", "action", "ids", "error_contains", "error_group")
_SELECTS: list[Any] = [
    {"required": [each], "properties": {each: {"not": {"type": "null"}}}} for each in _SELECTORS
]
"""The JSON Schemas of which one holds of a body that selects something."""


class RedriveBody(Body):
    """The body of `POST /dead-letters/redrive`.

    Attributes:
        queue: Only dead tasks of this queue.
        action: Only those with this action.
        ids: Only these.
        error_contains: Only those whose error has this text in it.
        error_group: Only those whose error is of this group, as `GET /dead-letters/groups` has it.
        limit: How many at most, the oldest first.
        per_second: How many are to run in a second; all at once if not given.
        preview: Whether to count only, and to put nothing back.
    """

    model_config = ConfigDict(json_schema_extra={"anyOf": _SELECTS})

    queue: StoredName | None = None
    action: StoredName | None = None
    ids: TaskIds = None
    error_contains: Annotated[str | None, Field(min_length=1, max_length=MAX_ERROR_PART_CHARS)] = (
        None
    )
    error_group: Annotated[str | None, Field(max_length=MAX_GROUP_CHARS)] = None
    limit: Annotated[int | None, Field(ge=1, le=MAX_REDRIVE)] = None
    per_second: Annotated[float | None, Field(ge=0.001, le=100_000)] = None
    preview: bool | None = None


class DeadGroupParameters(Query):
    """The query of `GET /dead-letters/groups`.

    Attributes:
        queue: Only groups of this queue.
        action: Only groups with this action.
        limit: How many groups are shown.
    """

    queue: StoredName | None = None
    action: StoredName | None = None
    limit: Annotated[int, Field(ge=1, le=MAX_GROUPS), whole_number] = DEFAULT_LIMIT


class DeadLettersResource:
    """`GET /dead-letters` shows dead tasks, `POST /dead-letters/redrive` puts some back."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show a page of dead tasks, the newest first unless asked otherwise."""
        filters, limit, after = page_of(DeadLetterParameters, req)
        self._edge.check_names(filters)
        page = ListTasks(limit=limit, filters=filters, after=after)
        tasks, last = self._edge.ask_reader(page)
        resp.data = dumps(page_document(filters, tasks, last))

    on_head = on_get

    def on_get_groups(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the dead tasks by their errors, the greatest group first."""
        asked = parameters(DeadGroupParameters, req)
        filters = Filters(queue=asked.queue, action=asked.action, queues=caller_of(req).queues)
        self._edge.check_names(filters)
        groups = self._edge.ask_reader(ListDeadGroups(filters, asked.limit))
        shown = [_group_document(each) for each in groups]
        resp.data = dumps({"groups": shown, "count": len(shown)})

    on_head_groups = on_get_groups

    def on_post_redrive(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Put dead tasks back on their queues, with all their attempts; show how many."""
        body = checked_body(req, RedriveBody)
        if all(getattr(body, name) is None for name in _SELECTORS):
            message = f"give at least one of {', '.join(_SELECTORS)}: which dead tasks"
            raise InvalidRequestError(message)
        caller = caller_of(req)
        self._check_would_run(body, caller)
        limit = DEFAULT_REDRIVE if body.limit is None else body.limit
        find = self._named if body.ids else self._search
        found, left_out = find(body, limit, caller)
        count = len(found) if body.preview else self._redrive(found, body.per_second)
        numbers = left_out._asdict() | {"unchanged": len(found) - count}
        left = {name: number for name, number in numbers.items() if number}
        if not body.preview:
            _log.info("dead tasks redriven", count=count, **left)
        detail = {"detail": "; ".join(_WHY[name] for name in left)} if left else {}
        resp.data = dumps({"count": count, **left, **detail})

    def _check_would_run(self, body: RedriveBody, caller: Caller) -> None:
        """Accept a queue and an action that would run what is put back.

        Raises:
            InvalidRequestError: It is not in the settings, or the caller does not see it.
            ConflictError: The queue keeps its tasks in memory.
        """
        if body.queue is not None:
            queues = self._edge.queues_of(caller)
            if body.queue not in queues:
                raise unknown_queue(queues, body.queue)
            self._edge.check_has_rows(body.queue)
        if body.action is not None and not self._edge.actions.knows(body.action):
            raise unknown_action(self._edge.actions.names, body.action)

    def _search(self, body: RedriveBody, limit: int, caller: Caller) -> tuple[list[str], LeftOut]:
        """Find dead tasks, the oldest of each queue first; count those left out on the way."""
        ids: list[str] = []
        left_out = LeftOut()
        for queue in [body.queue] if body.queue else self._queues_with_dead(caller):
            if len(ids) == limit:
                break
            filters = Filters(
                queue=queue,
                action=body.action,
                actions=self._edge.actions.known if self._edge.has_rows(queue) else (),
                error_contains=body.error_contains,
                error_group=body.error_group,
            )
            find = FindDead(filters, limit - len(ids), self._edge.actions.isolated)
            found, left = self._edge.ask_reader(find)
            ids += found
            left_out = LeftOut(*map(add, left_out, left))
        return ids, left_out

    def _named(self, body: RedriveBody, limit: int, caller: Caller) -> tuple[list[str], LeftOut]:
        """Find those of the given ids that are dead and match; count those that nothing runs."""
        ids: list[str] = []
        unknown = 0
        for task_id in body.ids or ():
            if len(ids) == limit:
                break
            found = self._edge.ask_reader(GetTask(task_id, caller.queues))
            if found is None or not _matches(found[0], body):
                continue
            if self._edge.has_rows(found[0].queue) and self._edge.actions.knows(found[0].action):
                ids.append(task_id)
            else:
                unknown += 1
        return ids, LeftOut(unknown=unknown)

    def _queues_with_dead(self, caller: Caller) -> list[str]:
        """Return the queues with dead tasks that the caller sees, first those of the settings."""
        counted = self._edge.ask_reader(CountTasks())
        queues = filter(caller.sees, dict.fromkeys((*self._edge.queues, *counted)))
        return [name for name in queues if counted.get(name, {}).get(Status.DEAD)]

    def _redrive(self, ids: list[str], per_second: float | None) -> int:
        """Put the tasks back in steps that block no publish for long; return how many were dead."""
        now, count = self._edge.now(), 0
        gap = 0.0 if per_second is None else 1 / per_second
        run_at = {task_id: now + number * gap for number, task_id in enumerate(ids)}
        for start in range(0, len(ids), REDRIVE_STEP):
            step = {task_id: run_at[task_id] for task_id in ids[start : start + REDRIVE_STEP]}
            count += self._edge.ask_writer(Redrive(step, self._edge.now()))
        return count


def _group_document(group: DeadGroup) -> dict[str, Any]:
    return {
        "queue": group.queue,
        "action": group.action,
        "error_group": group.error_group,
        "count": group.number,
        "first_at": group.first_at,
        "last_at": group.last_at,
    }


def _matches(task: Task, body: RedriveBody) -> bool:
    return (
        task.status is Status.DEAD
        and task.queue == (body.queue or task.queue)
        and task.action == (body.action or task.action)
        and (body.error_contains or "") in (task.error or "")
        and body.error_group in {None, error_group(task.error)}
    )
