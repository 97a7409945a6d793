"""The ends of tasks that answers wait for, as far as a look at the database has to find them."""

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.reader import FindEnded
from task_queue.actors.messages.writer import Watch
from task_queue.config.logger import get_logger

LOOK_SECONDS = 0.75
"""How often to look. The server does so every quarter of a second, so that the end of a task that
another node runs is seen within a second."""

_log = get_logger()


class _Open(NamedTuple):
    """A watch that is not answered yet.

    Attributes:
        watch: The watch.
        has_row: Whether its task is a row already, so that it has been deleted if there is none.
    """

    watch: Watch
    has_row: bool


class Waits:
    """All watches of this process, with one question for all of them to the database's reader.

    The writer tells of most ends at once. This finds the others: those of tasks that other nodes
    run, that expired, or that were cancelled or deleted together with many.

    There are never more than connections, since a connection waits for one thing at a time.
    """

    def __init__(self) -> None:
        self._new: deque[_Open] = deque()
        self._open: list[_Open] = []
        self._asked: FindEnded | None = None
        self._ask_at = 0.0

    def add(self, watch: Watch, *, has_row: bool) -> None:
        """Look for this end, too; for any thread.

        Args:
            watch: Answered with True when the end is found.
            has_row: Whether the task is a row, or was one.
        """
        self._new.append(_Open(watch, has_row))

    def question(self, now: float) -> FindEnded | None:
        """Return what to ask the reader, if it is time; the watches are answered by its reply.

        Args:
            now: The present moment, on the clock that is never set.
        """
        if now < self._ask_at or not (self._new or self._open):
            return None
        if self._asked is not None and not self._asked.reply_to.is_done:
            return None  # the database hangs
        self._ask_at = now + LOOK_SECONDS
        while self._new:
            self._open.append(self._new.popleft())
        self._open = [each for each in self._open if not each.watch.reply_to.is_done]
        if not self._open:
            return None
        asked = self._asked = FindEnded(tuple({each.watch.task_id for each in self._open}))
        asked.reply_to.then(partial(_answer, tuple(self._open), asked))
        return asked


def _answer(watches: Sequence[_Open], asked: FindEnded) -> None:
    """Answer the watches of the tasks that are final, or not there any more."""
    try:
        ended = asked.reply_to.outcome()
    except TaskQueueError as error:
        _log.debug("ends of tasks not looked for", error=str(error))  # the next look tries again
        return
    if not ended:  # as nearly always
        return
    for watch, has_row in watches:
        is_there = ended.get(watch.task_id)
        if is_there or (is_there is False and has_row):
            watch.reply_to.answer(True)  # noqa: FBT003 - the reply's value
