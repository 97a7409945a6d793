"""`/queues`, `/queues/{name}` and what can be done to a queue."""

from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, NamedTuple

import falcon
from orjson import dumps

from task_queue.actors.errors import NotFoundError, UnavailableError
from task_queue.actors.messages.changes import Purge
from task_queue.actors.messages.lessor import GetLent
from task_queue.actors.messages.queue import GetQueueState, Pause
from task_queue.actors.messages.reader import CountTasks, ListPaused, OldestReady
from task_queue.actors.tasks.states import Status
from task_queue.api.auth.caller import caller_of
from task_queue.api.edge import Edge
from task_queue.api.json_codec import refuse_members
from task_queue.config.logger import get_logger

PURGE_STEP = 500
"""How many tasks one commit cancels; a publish waits for no more than that."""
PURGE_SECONDS = 30.0
"""How long one request purges at most; its answer then says that there is more."""

_log = get_logger()


class _LookedUp(NamedTuple):
    """What is known of all queues together.

    Attributes:
        counts: How many tasks each has, by state.
        paused: Which are paused.
        lent: What workers over HTTP have done per second, by queue.
    """

    counts: Mapping[str, Mapping[Status, int]]
    paused: set[str]
    lent: Mapping[str, Mapping[str, float]]


class QueuesResource:
    """`GET /queues` shows all queues, `GET /queues/{name}` one; a `POST` below it acts on it."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Show all queues of the settings that the caller sees, in their order."""
        looked_up = self._looked_up()
        documents = []
        for name in self._edge.queues_of(caller_of(req)):
            with suppress(NotFoundError):  # a reload has removed it meanwhile
                documents.append(self._document(name, looked_up))
        resp.data = dumps({"queues": documents})

    on_head = on_get

    def on_get_one(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Show the queue, or `404`."""
        self._find(req, name)
        resp.data = dumps(self._document(name, self._looked_up()))

    on_head_one = on_get_one

    def on_post_pause(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Pause the queue: running tasks go on, publishes are still accepted."""
        self._set_paused(req, resp, name, paused=True)

    def on_post_resume(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Resume the queue."""
        self._set_paused(req, resp, name, paused=False)

    def on_post_purge(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Cancel the tasks that wait on the queue now, in steps that block no publish for long."""
        refuse_members(req)
        self._find(req, name)
        self._edge.check_has_rows(name)
        purged = self._purge(name)
        _log.info("queue purged", queue=name, **purged)
        resp.data = dumps({"name": name, **purged})

    def _set_paused(
        self, req: falcon.Request, resp: falcon.Response, name: str, *, paused: bool
    ) -> None:
        refuse_members(req)
        self._find(req, name)
        self._edge.ask_queue(name, Pause(paused=paused))
        _log.info("queue paused" if paused else "queue resumed", queue=name)
        resp.data = dumps({"name": name, "paused": paused})

    def _find(self, req: falcon.Request, name: str) -> None:
        if name not in self._edge.queues or not caller_of(req).sees(name):
            message = "queue not found"
            raise NotFoundError(message)

    def _purge(self, name: str) -> dict[str, Any]:
        count, created_until, deadline = 0, int(self._edge.now()), monotonic() + PURGE_SECONDS
        while monotonic() < deadline:
            purge = Purge(name, PURGE_STEP, created_until, now=self._edge.now())
            cancelled = self._edge.ask_writer(purge)
            count += cancelled
            if cancelled < PURGE_STEP:
                return {"count": count}
        return {"count": count, "more": True}

    def _looked_up(self) -> _LookedUp:
        """Return what is known of all queues together; cheap, however many tasks there are."""
        lent: Mapping[str, Mapping[str, float]] = {}
        with suppress(UnavailableError):  # it is being restarted
            lent = self._edge.ask_lessor(GetLent())
        counts = self._edge.ask_reader(CountTasks())
        return _LookedUp(counts, self._edge.ask_reader(ListPaused()), lent)

    def _document(self, name: str, looked_up: _LookedUp) -> dict[str, Any]:
        """Return the queue as the API shows it.

        Raises:
            NotFoundError: There is none, or a reload has just removed it.
        """
        settings = self._edge.queue_settings(name).model_dump()
        state = self._edge.ask_queue(name, GetQueueState())
        oldest = self._edge.ask_reader(OldestReady(name))
        # A queue in memory belongs to one process, which alone knows whether it is paused.
        info = self._edge.queue_info(name)
        is_paused = name in looked_up.paused if info and info.durable else state.paused
        return {
            "name": name,
            "driver": settings["driver"],
            "paused": is_paused,
            "counts": _shown(looked_up.counts.get(name, {})),
            "oldest_ready_seconds": None if oldest is None else self._since(oldest),
            "rates": _together(state.rates, looked_up.lent.get(name, {})),
            "settings": settings,
        }

    def _since(self, moment: float) -> float:
        return round(max(0.0, self._edge.now() - moment), 3)


def _together(own: Mapping[str, float], theirs: Mapping[str, float]) -> dict[str, float]:
    """Return the rates of a queue on this node, with what workers over HTTP have done."""
    return {kind: round(rate + theirs.get(kind, 0.0), 3) for kind, rate in own.items()}


def _shown(counts: Mapping[Status, int]) -> dict[str, int]:
    """Return the counts by the states that users see."""
    shown = {status.shown: 0 for status in Status}
    for status, number in counts.items():
        shown[status.shown] += number
    return shown
