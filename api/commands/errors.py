"""What ends a command: one line, and an exit code."""

from task_queue.actors.errors import TaskQueueError

FAILED = 1
"""It was not done, or the task that was waited for has failed."""
WRONG_USAGE = 2
"""The command, its values or the settings are wrong."""
NO_SERVER = 3
"""No server answers, or it cannot do it now; the same command may work later."""
NOT_ALLOWED = 4
"""It takes another key."""
INTERRUPTED = 130
"""Ctrl-C: 128 and the number of the signal, as in every shell."""


class CommandError(TaskQueueError):
    """The command ends here; the text is a sentence that says what to do.

    Attributes:
        exit_code: What the process ends with.
    """

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


class UsageError(CommandError):
    """The command line is wrong."""

    def __init__(self, text: str) -> None:
        super().__init__(text, WRONG_USAGE)
