"""`task-queue tail`: what happens, as it happens."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import typer

from task_queue.api.client.errors import NotFoundError
from task_queue.api.commands import listing, options, show
from task_queue.api.commands.filters import Query
from task_queue.api.commands.server import Server, asks_server
from task_queue.api.standard_streams import say

LOOK_SECONDS = 1.0
"""How long it waits before it looks again."""
OVERLAP_SECONDS = 2
"""How far back each look goes: what another node publishes may be seen that much later."""
MAX_PAGES = 5
"""How many pages of new tasks one look reads; what is beyond is passed over, and that is said."""
MAX_OPEN = 2_000
"""How many unfinished tasks are followed: the newest."""
MAX_CHECKS = 100
"""How many of these one look asks for, by turns."""
FINAL = frozenset({"completed", "dead", "cancelled"})

Task = dict[str, Any]


@asks_server
def tail(
    server: Server,
    *,
    queue: options.OnQueue = None,
    action: options.WithAction = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Lines of JSON: the event and the task.")
    ] = False,
) -> None:
    """Follow what happens until Ctrl-C: tasks that are published, start, fail, end."""
    query: Query = {name: value for name, value in (("queue", queue), ("action", action)) if value}
    with suppress(KeyboardInterrupt):  # that is how one leaves
        following = Following(server, query)
        while True:
            for event, task in following.look():
                if as_json:
                    show.document({"event": event, "task": task})
                else:
                    _show(event, task)
            time.sleep(LOOK_SECONDS)


@dataclass(slots=True)
class Following:
    """What is known of the tasks that are followed: those since the begin, and those that ran then.

    Attributes:
        server: Whose tasks.
        query: Which ones.
    """

    server: Server
    query: Query
    _since: int | None = None
    _last: str = ""
    """The last task before the begin; ids sort by the time of their publish."""
    _seen: dict[str, int] = field(default_factory=dict)
    """The tasks that the next look may see again, by when they were published."""
    _open: dict[str, str] = field(default_factory=dict)
    """The state in which each unfinished task was seen last; the oldest comes first."""
    _turns: deque[str] = field(default_factory=deque)

    def look(self) -> Iterator[tuple[str, Task]]:
        """Yield what has happened since the last look."""
        if self._since is None:
            self._begin()
            return
        yield from self._new()
        yield from self._ended()

    def _begin(self) -> None:
        newest = next(self.server.pages("/tasks", {**self.query, "order": "newest"}, 100))["tasks"]
        self._since = newest[0]["created_at"] if newest else 0
        self._last = max((task["id"] for task in newest), default="")
        running = {**self.query, "status": "running"}
        for task in (*next(self.server.pages("/tasks", running))["tasks"][::-1], *newest[::-1]):
            self._follow(task)

    def _new(self) -> Iterator[tuple[str, Task]]:
        assert self._since is not None  # noqa: S101 - see `look`
        since = self._since - OVERLAP_SECONDS
        query: Query = {**self.query, "order": "oldest", "created_after": max(since, 0)}
        pages = self.server.pages("/tasks", query)
        for count, page in enumerate(pages, 1):
            for task in page["tasks"]:
                self._since = max(self._since, task["created_at"])
                if task["id"] in self._open:
                    yield from self._change(task)
                elif task["id"] > self._last and task["id"] not in self._seen:
                    yield "published", task
                    self._follow(task)
                    if task["status"] in FINAL:
                        yield task["status"], task
                self._seen[task["id"]] = task["created_at"]
            if count == MAX_PAGES and page["next_cursor"] is not None:
                show.note("more happens than can be followed: some tasks are passed over")
                self._begin()
                break
        least = self._since - OVERLAP_SECONDS
        self._seen = {each: at for each, at in self._seen.items() if at >= least}

    def _follow(self, task: Task) -> None:
        if task["status"] in FINAL or task["id"] in self._open:
            return
        self._open[task["id"]] = task["status"]
        self._turns.append(task["id"])
        if len(self._open) > MAX_OPEN:
            del self._open[next(iter(self._open))]

    def _change(self, task: Task) -> Iterator[tuple[str, Task]]:
        before, now = self._open[task["id"]], task["status"]
        if now in FINAL:
            del self._open[task["id"]]
            yield now, task
        elif now != before:
            self._open[task["id"]] = now
            if now == "running":
                yield "started", task
            elif task["error"] is not None:
                yield "failed", task  # and is tried again

    def _ended(self) -> Iterator[tuple[str, Task]]:
        for _ in range(min(MAX_CHECKS, len(self._turns))):
            task_id = self._turns.popleft()
            if task_id not in self._open:
                continue
            try:
                task = self.server.get(self.server.path("tasks", task_id))
            except NotFoundError:  # deleted, or not kept
                del self._open[task_id]
                continue
            yield from self._change(task)
            if task_id in self._open:
                self._turns.append(task_id)


def _show(event: str, task: Task) -> None:
    moment = {"published": "created_at", "started": "started_at"}.get(event, "ended_at")
    at = task[moment] or task["processed_at"] or time.time()
    said: list[str] = []
    if event in {"failed", "dead"}:
        said.append(show.cell(task["error"]))
    elif event == "completed":
        said.append(show.compact(task["result"], 80))
    if event == "failed":
        said.append(f"again {show.ago(task['run_at'])}")
    if event in FINAL and (took := listing.took(task)) is not None:
        said.insert(0, f"in {show.span(took)}")
    say(
        show.styled(
            f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}  ",
            (f"{event:9}", show.COLOURS.get(event, "")),
            f"  {task['id']}  {task['payload']['action']}  {task['queue']}  {'  '.join(said)}",
        ).rstrip()
    )
