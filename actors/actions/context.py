"""What an action can ask about its task, and report."""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from math import isinf
from typing import Any

from task_queue.actors.actions.call import Call
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.text import printable
from task_queue.config.logger import get_logger

MAX_MESSAGE_CHARS = 500


class Context:
    """The second argument of an action that takes two.

    Attributes:
        id: The task's id.
        queue: The name of its queue.
        action: The name that the task calls the action by.
        attempt: Which attempt this is, from 1.
        max_attempts: How many there may be.
        traceparent: The trace that the task was published in, for whatever the action calls (W3C
            Trace Context); None: in none.
        tracestate: What goes with it; None: nothing.
    """

    def __init__(self, call: Call, now: Callable[[], float] = time.time) -> None:
        self.id = call.claimed.lease.task_id
        self.queue = call.slot.queue
        self.action = call.claimed.action
        self.attempt = call.claimed.attempt
        self.max_attempts = call.claimed.max_attempts
        self.traceparent = call.claimed.terms.traceparent
        self.tracestate = call.claimed.terms.tracestate
        self._call = call
        self._now = now

    @cached_property
    def deadline(self) -> float | None:
        """When the attempt has to be over, Unix seconds; None: no limit."""
        left = self._call.remaining_seconds
        return None if isinf(left) else self._now() + left

    @cached_property
    def log(self) -> Any:  # noqa: ANN401 - a structlog logger, whose type depends on its set-up
        """A logger whose lines carry the task's id, queue, action and attempt.

        Of structlog: `task.log.info("resized", width=640)`.
        """
        return get_logger().bind(
            id=self.id, queue=self.queue, action=self.action, attempt=self.attempt
        )

    def progress(
        self, fraction: float, message: str | None = None, *, stop_if_cancelled: bool = False
    ) -> None:
        """Report how far the task is; `GET /tasks/{id}` shows it.

        Call it as often as you like: the newest report is stored, a few times a second at most.

        Args:
            fraction: From 0 to 1.
            message: A text beside it, cut at `MAX_MESSAGE_CHARS`.
            stop_if_cancelled: Whether to call `stop_if_cancelled` afterwards.

        Raises:
            ValueError: The fraction is not a number from 0 to 1.
            Cancelled: See `stop_if_cancelled`.
            TimedOut: See `stop_if_cancelled`.
        """
        within = False
        with suppress(TypeError):  # an action may pass anything
            within = 0 <= fraction <= 1
        if not within:
            complaint = f"progress must be a number from 0 to 1, not {fraction!r}"
            raise ValueError(complaint)
        text = None if message is None else printable(str(message))[:MAX_MESSAGE_CHARS]
        call = self._call
        call.slot.progress = Progress(call.claimed.lease, float(fraction), text)
        if stop_if_cancelled:
            self.stop_if_cancelled()

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel the task."""
        return self._call.cancelled

    def stop_if_cancelled(self) -> None:
        """Raise if somebody asked to cancel the task, or its deadline is over.

        Raises:
            Cancelled: Somebody asked; do not catch it, and the task is `cancelled`.
            TimedOut: It took too long; do not catch it, and this thread is not left behind.
        """
        self._call.interrupt()
