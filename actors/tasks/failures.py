"""What an action's error says about the attempt that ended with it. Pure."""

import asyncio
import traceback
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from task_queue.actors.errors import Cancelled, Reject, RetryLater, TaskQueueError, TimedOut
from task_queue.actors.tasks.settlement import MAX_POSTPONE_SECONDS, Failure
from task_queue.actors.tasks.states import Outcome
from task_queue.actors.tasks.text import MAX_ERROR_CHARS, NO_TEXT, described, printable, titled

# Cut from the names that the modules have themselves, as frames have them: links are not resolved.
_OURS = __file__.removesuffix(str(Path("tasks", "failures.py")))
_BUILTIN = f"{_OURS}{Path('actions', 'builtin.py')}"
OWN_FOLDERS = (_OURS, asyncio.__file__.removesuffix("__init__.py"))
"""Frames of files in these, on the way to the action's own, are not shown."""
MAX_FRAMES = 8
"""How many of the action's frames are kept, the innermost."""


class Ended(TaskQueueError):  # noqa: N818 - what became of an attempt
    """An attempt outside this process ended badly.

    Attributes:
        failure: How.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def failure_of(error: BaseException, started_at: float | None, *, asked_to_stop: bool) -> Failure:
    """Return what an action's error says about its attempt.

    Whatever the error is, its texts can be sent as JSON and stored, and have a bound.

    Args:
        error: What it raised.
        started_at: When the attempt began, Unix seconds.
        asked_to_stop: Whether somebody asked to cancel it.
    """
    try:
        failure = _failure_of(error, asked_to_stop)
    except BaseException:  # noqa: BLE001 - foreign code: even its class may be computed
        failure = Failure(NO_TEXT)
    return replace(failure, started_at=started_at)


def _failure_of(error: BaseException, asked_to_stop: bool) -> Failure:  # noqa: FBT001 - as above
    match error:
        case Ended():
            return error.failure
        case Reject():
            return Failure(described(error), permanent=True, traceback=last_lines(error))
        case RetryLater(seconds=int() | float() as seconds) if seconds >= 0:
            # Bounded here: JSON has no infinity, and not every number.
            seconds = float(min(seconds, MAX_POSTPONE_SECONDS))
            return Failure(described(error), retry_after=seconds)
        case Cancelled() if asked_to_stop:
            return Failure(described(error, "cancelled"), Outcome.CANCELLED)
        case TimedOut():
            text = described(error, "timed out")
            return Failure(text, Outcome.TIMED_OUT, traceback=last_lines(error))
        case _:
            return Failure(titled(error), traceback=last_lines(error))


def last_lines(error: BaseException) -> str | None:
    """Return the last lines of the traceback, from the action's own first frame on.

    None if the traceback cannot be formatted.
    """
    where = error.__traceback__
    while where is not None and _is_ours(where):
        where = where.tb_next
    try:
        lines = traceback.format_exception(type(error), error, where, limit=-MAX_FRAMES)
    except Exception:  # noqa: BLE001 - foreign code: the error's own text
        return None
    return printable("".join(lines)[-MAX_ERROR_CHARS:])


def _is_ours(where: TracebackType) -> bool:
    """Return whether a frame is on the way to the action; the built-in actions are actions."""
    file = where.tb_frame.f_code.co_filename
    return file.startswith(OWN_FOLDERS) and file != _BUILTIN
