"""What an action may know and say about the task it runs for."""

import inspect
from collections.abc import Callable
from typing import Any

from actors.errors import Cancelled
from actors.task import ClaimedTask, printable
from actors.wire import Progress, Wire

MAX_MESSAGE_CHARS = 500


class Context:
    """The second argument of an action that takes two.

    Attributes:
        task_id: The task's id.
        attempt: Which attempt this is, from 1.
        max_attempts: How many there may be.
    """

    def __init__(self, claimed: ClaimedTask, wire: Wire) -> None:
        self.task_id = claimed.lease.task_id
        self.attempt = claimed.attempt
        self.max_attempts = claimed.max_attempts
        self._lease = claimed.lease
        self._wire = wire

    def progress(self, fraction: float, message: str | None = None) -> None:
        """Report how far the task is; `GET /tasks/{id}` shows it.

        As often as you like: the newest report is written down, a few times a second at most.

        Args:
            fraction: From 0 to 1.
            message: What to say about it, cut at `MAX_MESSAGE_CHARS`.

        Raises:
            ValueError: The fraction is none.
        """
        if not 0 <= fraction <= 1:
            complaint = f"progress must be from 0 to 1, not {fraction!r}"
            raise ValueError(complaint)
        text = None if message is None else printable(str(message))[:MAX_MESSAGE_CHARS]
        self._wire.progress = Progress(self._lease, float(fraction), text)

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked to cancel the task."""
        return self._wire.stop == self._lease

    def stop_if_cancelled(self) -> None:
        """Go on, unless somebody asked to cancel the task.

        Raises:
            Cancelled: Somebody did; let it pass, and the task is `cancelled`.
        """
        if self.cancelled:
            text = "cancelled"
            raise Cancelled(text)


def takes_context(function: Callable[..., Any]) -> bool:
    """Whether the function wants a `Context` besides the data."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions in C have no signature
        return False
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    required = [
        each for each in parameters if each.kind in positional and each.default is each.empty
    ]
    return len(required) > 1
