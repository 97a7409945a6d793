"""`/healthz` says whether the process lives, `/readyz` whether work gets done."""

import time
from collections.abc import Callable
from http import HTTPStatus

import falcon

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.queue import GetQueueState
from task_queue.actors.messages.reader import OldestReady
from task_queue.actors.messages.supervisor import CountStuck, ListChildren
from task_queue.actors.system import ActorSystem
from task_queue.api.json_codec import dumps

STALLED_SECONDS = 10.0
"""How long ready work may lie while a consumer is idle before something is wrong."""


class HealthResource:
    """Alive: the process answers."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Always `200`."""
        resp.data = dumps({"status": "alive"})

    on_head = on_get


class ReadinessResource:
    """Ready: every actor is up, the database answers, and ready work is being claimed."""

    def __init__(
        self,
        system: ActorSystem,
        answer_timeout_seconds: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._system = system
        self._timeout = answer_timeout_seconds
        self._now = now

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """`200`, or `503` with what is wrong."""
        problems = self._problems()
        if problems:
            resp.status = HTTPStatus.SERVICE_UNAVAILABLE.value
            resp.set_header("Retry-After", "1")
        resp.data = dumps({"status": "not ready" if problems else "ready", "problems": problems})

    on_head = on_get

    def _problems(self) -> list[str]:
        try:
            # First: consumers that are not replaced for it are down as well.
            stuck = self._system.supervisor.ask(CountStuck(), self._timeout)
            if stuck > (allowed := self._system.max_stuck_threads):
                return [
                    f"{stuck} threads are stuck in actions beyond their deadline; {allowed} may be"
                ]
            children = self._system.supervisor.ask(ListChildren(), self._timeout)
            if down := [f"the {name} is down" for name, up in children.items() if not up]:
                return down
            stalled = [(name, self._stalled_seconds(name)) for name in self._system.queues]
        except TaskQueueError as error:
            return [str(error)]
        return [
            f"ready work of the queue {name} has been waiting for {seconds:.0f} s"
            " beside idle consumers"
            for name, seconds in stalled
            if seconds > STALLED_SECONDS
        ]

    def _stalled_seconds(self, name: str) -> float:
        """How long ready work of the queue has been waiting that should have been claimed.

        What waits for its turn under a rate limit, or for the end of a pause, waits rightly.
        """
        queue = self._system.queues[name].ask(GetQueueState(), self._timeout)
        oldest = self._system.reader.ask(OldestReady(name), self._timeout)
        rightly = queue.paused or self._system.queue_info[name].limits.rate_limit
        if oldest is None or rightly or not queue.idle:
            return 0.0
        return self._now() - oldest
