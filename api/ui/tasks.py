"""`/ui/tasks`: the tasks, by filters that stand in the address."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import falcon

from task_queue.api.requests.listing import STATES
from task_queue.api.ui import search, task_query
from task_queue.api.ui.frame import Frame
from task_queue.api.ui.inside import RefusedError
from task_queue.api.ui.visit import SAID, Visit

TASKS = "/ui/tasks"
SEARCH = "search"
"""The parameter of what somebody looks for."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter in use.

    Attributes:
        name: Its parameter.
        value: Its value.
        without: The query of the same list without it.
    """

    name: str
    value: str
    without: str


class TasksPage:
    """`GET /ui/tasks` shows a page of tasks."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show the tasks that the address asks for; lead from what a form asks to its address."""
        visit = Visit(self._frame, req, resp)
        given = {name: value for name, value in req.params.items() if name not in {SAID, SEARCH}}
        if text := visit.field(SEARCH).strip():
            visit.lead(_found(visit, text))
            return
        query = task_query.canonical(given)
        if query != given:
            visit.lead(f"{TASKS}?{urlencode(query)}")
            return
        asked, problem = task_query.asked_of(query), None
        page: Mapping[str, Any] = {"tasks": [], "count": 0, "next_cursor": None}
        try:
            page = visit.get("/tasks", **asked)
        except RefusedError as error:
            resp.status, problem = error.status, str(error)
        filters = task_query.filters_of(query)
        visit.show(
            "tasks.html",
            "Tasks",
            problem=problem,
            tasks=page["tasks"],
            summary=_summary(page, int(asked["limit"])) if problem is None else "",
            filters=filters,
            filter_query=urlencode(filters),
            chips=[*_chips(query, filters)],
            chosen=filters.get("status", "").split(","),
            states=STATES,
            queues=names(visit, "queues"),
            actions=names(visit, "actions"),
            sizes=task_query.PAGE_SIZES,
            size=asked["limit"],
            order=query.get("order"),
            local=task_query.local,
            newest=task_query.newest(query) if "cursor" in query else None,
            before=task_query.page_before(query),
            next=page["next_cursor"] and task_query.next_page(query, page["next_cursor"]),
        )


def names(visit: Visit, kind: str) -> list[str]:
    """Return the names of all queues or actions, to be offered in a form."""
    return [each["name"] for each in visit.get(f"/{kind}")[kind]]


def is_in_memory(visit: Visit, queue: object) -> bool:
    """Return whether the tasks of this queue are in memory: then none has a page."""
    found = visit.look(f"/queues/{queue}")
    return found is not None and found["driver"] == "memory"


def _found(visit: Visit, text: str) -> str:
    """Return the page with what somebody has searched for."""
    if (task_id := search.id_in(text)) is not None:
        return f"{TASKS}/{task_id}"
    filters = search.filters_in(text)
    for name in search.PLAIN if not filters else ():
        try:
            if visit.get("/tasks", **{name: text}, limit=1)["tasks"]:
                filters = {name: text}
                break
        except RefusedError:  # there has been no such action or queue
            continue
    return f"{TASKS}?{urlencode(filters or {'error_contains': text})}"


def _chips(query: Mapping[str, str], filters: Mapping[str, str]) -> Iterator[Chip]:
    for name, value in filters.items():
        rest = {other: query[other] for other in query if other != name}
        yield Chip(name, value, task_query.newest(rest))


def _summary(page: Mapping[str, Any], limit: int) -> str:
    """Return in words how many tasks there are, and whether they are all."""
    count, goes_on = page["count"], page["next_cursor"] is not None
    number = {0: "No task", 1: "1 task"}.get(count, f"{count} tasks")
    if goes_on and count < limit:
        return (
            f"{number} so far: this page ends early, as very many tasks had to be looked at. The"
            " next page goes on from there."
        )
    return f"{number} on this page." if count else "No tasks match."
