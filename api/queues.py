"""`/queues`, `/queues/{name}` and what can be done to a queue."""

import time
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any

import falcon
import structlog

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.messages.changes import Purge
from task_queue.actors.messages.queue import GetQueueState, Pause
from task_queue.actors.messages.reader import CountTasks, ListPaused, OldestReady
from task_queue.actors.system import ActorSystem
from task_queue.actors.tasks.states import Status
from task_queue.api.json_codec import dumps
from task_queue.api.requests.validation import Limits, refuse_members

PURGE_STEP = 500
"""How many tasks one commit cancels; publishes wait for no more than that."""
PURGE_SECONDS = 30.0
"""How long one request purges at most; the answer then says that there is more."""

_log = structlog.get_logger()


class QueuesResource:
    """`GET /queues` shows all queues, `GET /queues/{name}` one; a `POST` below it acts on it."""

    def __init__(
        self,
        system: ActorSystem,
        limits: Limits,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Store what is needed.

        Args:
            system: Whom to ask.
            limits: What one request may take.
            now: The present moment, Unix seconds.
        """
        self._system = system
        self._timeout = limits.answer_timeout_seconds
        self._now = now

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """All queues of the settings, in their order."""
        resp.data = dumps({"queues": self._documents(self._system.queues)})

    on_head = on_get

    def on_get_one(self, _req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """The queue, or `404`."""
        self._find(name)
        (document,) = self._documents([name])
        resp.data = dumps(document)

    on_head_one = on_get_one

    def on_post_pause(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Start nothing more; what runs goes on, and publishes are still taken."""
        self._set_paused(req, resp, name, paused=True)

    def on_post_resume(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Go on."""
        self._set_paused(req, resp, name, paused=False)

    def on_post_purge(self, req: falcon.Request, resp: falcon.Response, name: str) -> None:
        """Cancel what waits on the queue by now, in steps that hold nobody up."""
        refuse_members(req)
        self._find(name)
        refuse_memory(self._system, name)
        purged = self._purge(name)
        _log.info("queue purged", queue=name, **purged)
        resp.data = dumps({"name": name, **purged})

    def _set_paused(
        self, req: falcon.Request, resp: falcon.Response, name: str, *, paused: bool
    ) -> None:
        refuse_members(req)
        self._find(name)
        self._system.queues[name].ask(Pause(paused=paused), self._timeout)
        _log.info("queue paused" if paused else "queue resumed", queue=name)
        resp.data = dumps({"name": name, "paused": paused})

    def _find(self, name: str) -> None:
        if name not in self._system.queues:
            message = "queue not found"
            raise NotFoundError(message)

    def _purge(self, name: str) -> dict[str, Any]:
        count, created_until, deadline = 0, int(self._now()), monotonic() + PURGE_SECONDS
        while monotonic() < deadline:
            purge = Purge(name, PURGE_STEP, created_until, now=self._now())
            cancelled = self._system.writer.ask(purge, self._timeout)
            count += cancelled
            if cancelled < PURGE_STEP:
                return {"count": count}
        return {"count": count, "more": True}

    def _documents(self, names: Iterable[str]) -> list[dict[str, Any]]:
        """These queues as the API shows them: cheap, however many tasks they hold."""
        counts = self._system.reader.ask(CountTasks(), self._timeout)
        paused = self._system.reader.ask(ListPaused(), self._timeout)
        return [self._document(name, counts.get(name, {}), paused) for name in names]

    def _document(
        self, name: str, counts: Mapping[Status, int], paused: set[str]
    ) -> dict[str, Any]:
        settings = self._system.queue_settings[name].model_dump()
        state = self._system.queues[name].ask(GetQueueState(), self._timeout)
        oldest = self._system.reader.ask(OldestReady(name), self._timeout)
        # What only one process has in memory, only that one can pause.
        is_paused = name in paused if self._system.queue_info[name].durable else state.paused
        return {
            "name": name,
            "driver": settings["driver"],
            "paused": is_paused,
            "counts": _shown(counts),
            "oldest_ready_seconds": None if oldest is None else self._since(oldest),
            "rates": state.rates,
            "settings": settings,
        }

    def _since(self, moment: float) -> float:
        return round(max(0.0, self._now() - moment), 3)


def refuse_memory(system: ActorSystem, queue: str) -> None:
    """Go on, unless the queue's tasks are no rows until they are over.

    Raises:
        ConflictError: They are not.
    """
    if queue in system.queue_info and not system.queue_info[queue].durable:
        message = f"the queue {queue} keeps its tasks in memory, where this cannot be done to them"
        raise ConflictError(message)


def _shown(counts: Mapping[Status, int]) -> dict[str, int]:
    """The counts by what users see as states."""
    shown = {status.shown: 0 for status in Status}
    for status, number in counts.items():
        shown[status.shown] += number
    return shown
