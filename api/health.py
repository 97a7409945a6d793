"""`/healthz` says whether the process lives, `/readyz` whether work gets done."""

from collections.abc import Sequence
from http import HTTPStatus

import falcon
from orjson import dumps

from task_queue.actors.errors import (
    NotFoundError,
    QueryFailedError,
    StoreUnavailableError,
    TaskQueueError,
)
from task_queue.actors.messages.queue import GetQueueState
from task_queue.actors.messages.reader import FindSigns, NextReady
from task_queue.actors.messages.supervisor import CountStuck, ListChildren
from task_queue.actors.messages.writer import GetDatabaseState
from task_queue.actors.tasks.signs import in_words
from task_queue.actors.tasks.text import counted
from task_queue.api.auth.caller import caller_of
from task_queue.api.edge import Edge
from task_queue.config.logger import get_logger

STALLED_SECONDS = 10.0
"""How long ready work may wait beside an idle consumer before something is wrong."""
IN_THE_LOG = "the log of the service says what is wrong"
"""What is shown of it to those who do not see all queues."""

_log = get_logger()


class HealthResource:
    """Alive: the process answers."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer `200`, always."""
        resp.data = dumps({"status": "alive"})

    on_head = on_get


class ReadinessResource:
    """Ready: every actor is up, the database answers, and ready work is being claimed."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer `200`, or `503` with what is wrong, if the caller sees all queues.

        What is wrong names queues, and the database says what it likes.
        """
        problems, warnings = self._look()
        if caller_of(req).queues is not None:
            if problems:
                _log.warning("not ready", problems=problems)
            problems, warnings = [IN_THE_LOG] if problems else [], ()
        if problems:
            resp.status = HTTPStatus.SERVICE_UNAVAILABLE.value
            resp.set_header("Retry-After", "1")
        status = "not ready" if problems else "ready"
        resp.data = dumps({"status": status, "problems": problems, "warnings": warnings})

    on_head = on_get

    def _look(self) -> tuple[list[str], Sequence[str]]:
        """Return what is wrong, and what will be if nobody looks after it."""
        try:
            database = self._edge.ask_writer(GetDatabaseState())
        except TaskQueueError as error:
            return self._problems() or [str(error)], ()
        failed = [f"the last commit failed: {database.problem}"] if database.problem else []
        return failed or self._problems(), [*database.warnings, *self._signs()]

    def _signs(self) -> list[str]:
        """Return what whoever is on call has to know besides."""
        now, queues = self._edge.now(), tuple(self._edge.queues)
        try:
            return in_words(self._edge.ask_reader(FindSigns(now, queues)), now, queues)
        except TaskQueueError as error:
            return [f"what else needs attention cannot be looked up: {error}"]

    def _problems(self) -> list[str]:
        if self._edge.is_draining:
            return ["the server is shutting down"]
        try:
            # First, because the consumers that it keeps from being replaced are down as well.
            stuck = self._edge.ask_supervisor(CountStuck())
            if stuck > (allowed := self._edge.max_stuck_threads):
                threads = counted(stuck, "stuck thread")
                return [f"{threads} in actions beyond their deadline; {allowed} may be"]
            children = self._edge.ask_supervisor(ListChildren())
            if down := [f"the {name} is down" for name, up in children.items() if not up]:
                return down
            stalled = [(name, _stalled_seconds(self._edge, name)) for name in self._edge.queues]
        except (QueryFailedError, StoreUnavailableError) as error:
            return [f"the database cannot be read: {error}"]
        except TaskQueueError as error:
            return [str(error)]
        return [
            f"ready work of the queue {name} has been waiting for {seconds:.0f} s"
            " beside idle consumers"
            for name, seconds in stalled
            if seconds > STALLED_SECONDS
        ]


def gets_work_done(edge: Edge) -> bool:
    """Return whether work gets done, or a restart would not help.

    It would against threads that are stuck, a supervisor that does not answer, and ready work that
    nobody claims; not against a database that is away.
    """
    return edge.is_draining or not (_is_stuck(edge) or _is_stalled(edge))


def _is_stuck(edge: Edge) -> bool:
    try:
        return edge.ask_supervisor(CountStuck()) > edge.max_stuck_threads
    except TaskQueueError:
        return True


def _is_stalled(edge: Edge) -> bool:
    """Return whether ready work waits that the database would let be claimed."""
    try:
        if all(_stalled_seconds(edge, name) <= STALLED_SECONDS for name in edge.queues):
            return False
    except TaskQueueError:  # it does not even say what waits
        return False
    try:
        return edge.ask_writer(GetDatabaseState()).problem is None
    except TaskQueueError:
        return True


def _stalled_seconds(edge: Edge, name: str) -> float:
    """Return how long ready work of the queue has waited that should have been claimed.

    Work that a rate limit or a pause holds back is right to wait, and so is what workers over
    HTTP do.
    """
    try:
        queue = edge.ask_queue(name, GetQueueState())
    except NotFoundError:  # a reload has removed it meanwhile
        return 0.0
    waits_since = edge.ask_reader(NextReady(name))
    info = edge.queue_info(name)
    held_back = queue.paused or (info and info.limits.rate_limit)
    # Between two tasks a consumer is idle for a moment, also beside work that has waited for long.
    is_served = not queue.idle or queue.unfed_seconds <= STALLED_SECONDS
    return 0.0 if waits_since is None or held_back or is_served else edge.now() - waits_since
