"""A Python function as an action that runs in a thread."""

import sys
from contextvars import copy_context

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.python.function import PythonFunction
from task_queue.actors.actions.result import result_text


class ThreadAction:
    """A Python function that runs in its consumer's thread."""

    execution = "thread"

    def __init__(
        self,
        function: PythonFunction,
        *,
        timeout_seconds: float,
        overdue_seconds: float,
        max_result_bytes: int,
        kind: str = "python",
    ) -> None:
        """Store what is needed.

        Args:
            function: The function.
            timeout_seconds: See `Action`.
            overdue_seconds: See `Action`.
            max_result_bytes: How long the result may be, as JSON.
            kind: See `Action`.
        """
        self.kind = kind
        self.description = function.description
        self.schema = function.schema
        self.timeout_seconds = timeout_seconds
        self.overdue_seconds = overdue_seconds
        self.check = function.check
        self._call = function.call
        self._max_result_bytes = max_result_bytes

    def run(self, call: Call) -> Done:
        """Call the function, in a context of its own: see `contextvars`.

        So what it binds to the log, and its `decimal` context, end with it.
        """
        return Done(result_text(copy_context().run(self._call, call), self._max_result_bytes))


def keep_output_open() -> None:
    """Make closing a standard stream only flush it: all actions and the log write there."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.close = stream.flush  # type: ignore[method-assign]
