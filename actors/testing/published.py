"""What was published in a test, and what a publish is refused with."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from task_queue.actors.errors import TaskQueueError

QUEUE = "tasks"
"""The queue of a task that names none."""


class RefusedError(TaskQueueError):
    """A publish is refused; the service would answer 400 with this text as `detail`.

    Attributes:
        error: The answer's `error`, as in `unknown action`.
    """

    def __init__(self, error: str, detail: str | None = None) -> None:
        super().__init__(detail or error)
        self.error = error


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedTask:
    """A task that was published, and its outcome.

    Attributes:
        id: Its id, a UUID of version 7.
        action: The name of its action.
        data: Its input, as the action got it.
        members: What else the publish asked for, as in `{"queue": "mail", "delay_seconds": 60}`.
        result: What its action returned, as it comes back from JSON: a tuple is a list.
        error: Why it failed, in the words of the service; None: it did not.
        progress: What its action reported, in order, as pairs of fraction and message. Of an action
            in a process only the newest report of each tenth of a second is here.
        stderr: The last of what its program wrote to standard error; None: nothing.
    """

    id: str
    action: str
    data: dict[str, Any]
    members: Mapping[str, Any]
    result: Any = None
    error: str | None = None
    progress: list[tuple[float, str | None]] = field(default_factory=list)
    stderr: str | None = None
