"""Looking up a name, in a thread of its own: nothing can end a look-up that hangs."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from task_queue.actors.actions.call import SLICE_SECONDS, Call

MAX_HANGING = 50
"""How many look-ups that nobody waits for any more may go on; each has a thread."""

Found = TypeVar("Found")

_left: list[threading.Thread] = []
"""Those that nobody waits for any more, of all actions: they all ask the same system."""
_lock = threading.Lock()


class TooManyHangError(OSError):
    """So many look-ups hang that no more are begun."""

    def __init__(self, count: int) -> None:
        super().__init__(None, f"{count} look-ups of names hang already")


def in_time(look_up: Callable[[], Found], call: Call) -> Found:
    """Return what the look-up does; a cancel and the deadline end the wait, but not the look-up.

    Raises:
        Cancelled: Somebody asked for it.
        TimedOut: The call's deadline is over.
        TooManyHangError: The look-up was not begun.
        Exception: Whatever the look-up raises.
    """
    with _lock:
        _left[:] = [each for each in _left if each.is_alive()]
        if len(_left) >= MAX_HANGING:
            raise TooManyHangError(len(_left))
    found: Future[Found] = Future()
    thread = threading.Thread(target=_settle, args=(found, look_up), name="look-up", daemon=True)
    thread.start()
    try:
        while not wait([found], min(SLICE_SECONDS, max(0.0, call.remaining_seconds))).done:
            call.interrupt()
    except BaseException:
        with _lock:
            _left.append(thread)
        raise
    return found.result()


def _settle(found: Future[Found], look_up: Callable[[], Found]) -> None:
    try:
        found.set_result(look_up())
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        found.set_exception(error)
