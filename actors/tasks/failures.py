"""What an error says about the attempt that ended with it. Pure."""

import asyncio
import os
import traceback
from dataclasses import replace
from pathlib import Path

from task_queue import actors
from task_queue.actors.errors import Cancelled, Reject, RetryLater, TaskQueueError, TimedOut
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.text import MAX_ERROR_CHARS

OWN_FOLDERS = tuple(
    f"{Path(module).parent}{os.sep}" for module in (asyncio.__file__, actors.__file__)
)
"""Frames of files in these, on the way to the action's own, say nothing."""
MAX_FRAMES = 8
"""How many of the action's frames are kept, the innermost."""


class Ended(TaskQueueError):  # noqa: N818 - what became of an attempt
    """An attempt in another process ended badly.

    Attributes:
        failure: How.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def failure_of(error: BaseException, started_at: float | None, *, asked_to_stop: bool) -> Failure:
    """What an action's error says about its attempt.

    Args:
        error: What it raised.
        started_at: When the attempt began, Unix seconds.
        asked_to_stop: Whether somebody asked to cancel it.
    """
    match error:
        case Ended():
            failure = error.failure
        case Reject():
            failure = Failure(described(error), permanent=True, traceback=last_lines(error))
        case RetryLater(seconds=int() | float() as seconds) if seconds >= 0:
            failure = Failure(described(error), retry_after=seconds)
        case Cancelled() if asked_to_stop:
            failure = Failure(described(error) or "cancelled", Outcome.CANCELLED)
        case TimedOut():
            failure = Failure(described(error), Outcome.TIMED_OUT, traceback=last_lines(error))
        case _:
            text = f"{type(error).__name__}: {described(error)}"
            failure = Failure(text, traceback=last_lines(error))
    return replace(failure, started_at=started_at)


def last_lines(error: BaseException) -> str | None:
    """Where the action failed: the last lines of the traceback, from its own first frame on."""
    where = error.__traceback__
    while where is not None and where.tb_frame.f_code.co_filename.startswith(OWN_FOLDERS):
        where = where.tb_next
    try:
        lines = traceback.format_exception(type(error), error, where, limit=-MAX_FRAMES)
    except Exception:  # noqa: BLE001 - foreign code: the error's own text
        return None
    return "".join(lines)[-MAX_ERROR_CHARS:]


def described(error: BaseException) -> str:
    """The error's text, even if the error cannot say it."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - foreign code
        return "an error whose text cannot be shown"
