"""How a task's end is waited for: in slices that servers and proxies allow."""

from collections.abc import Callable
from dataclasses import replace

from task_queue.api.client.errors import NotFinishedError, NotFoundError, UnavailableError
from task_queue.api.client.flow import Flow, Patience, Pause
from task_queue.api.client.request import Request, get, segment
from task_queue.api.client.results.tasks import Task

SLICE_SECONDS = 20
"""How long one request waits at most. Proxies give up after 60 seconds, as does the server."""
PAUSE_SECONDS = 1.0
"""How long to wait after an answer that came early, as of a server that has no more room for
requests that wait, or a proxy that takes the wish to wait away."""

Ask = Callable[[Request[Task], float], Flow[Task]]
"""Sends a request, until a deadline."""


def finished(ask: Ask, patience: Patience, task_id: str, seconds: float) -> Flow[Task]:
    """Return the task once it is finished.

    Args:
        ask: Sends a request.
        patience: Whose clock to go by.
        task_id: The task.
        seconds: How long to wait.

    Raises:
        NotFinishedError: It is not finished by then.
        NotFoundError: It is not there.
        UnavailableError: The server could not be asked at all.
    """
    until = patience.now() + seconds
    look = get(f"/tasks/{segment(task_id)}", Task.of)
    seen: Task | None = None
    while True:
        began = patience.now()
        waits = max(0, min(SLICE_SECONDS, int(until - began)))
        try:
            seen = yield from ask(replace(look, wait_seconds=waits), until)
        except NotFoundError:
            # One of a queue in memory is there once it is finished: then the answer has waited.
            if not waits or patience.now() - began < waits / 2:
                raise
        except UnavailableError:
            if seen is None:
                raise
        if seen is not None and seen.is_final:
            return seen
        left = until - patience.now()
        if left <= 0:
            status = "not to be seen" if seen is None else seen.status
            message = f"the task {task_id} is {status} after {seconds:g} seconds, and not finished"
            raise NotFinishedError(message, seen)
        if patience.now() - began < waits or not waits:
            yield Pause(min(left, PAUSE_SECONDS * (0.5 + patience.random() / 2)))
