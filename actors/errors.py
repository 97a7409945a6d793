"""The expected errors.

Each is the answer to whoever asked, and harms no actor. Anything that is not a `TaskQueueError` is
a defect: it crashes the actor, and the supervisor restarts it. `api/responses/errors.py` maps each
of these to its HTTP answer.
"""

from typing import Any


class TaskQueueError(Exception):
    """The base of all expected errors; its text is a sentence for users."""


class UnavailableError(TaskQueueError):
    """Something that is needed is away and may be back soon; the request may be repeated."""


class ActorUnavailableError(UnavailableError):
    """The actor asked is not running: it died, is being restarted, or was stopped."""


class AnswerTimeoutError(UnavailableError):
    """No answer came before the deadline. The outcome is unknown; it need not have failed."""


class StoreUnavailableError(UnavailableError):
    """The database cannot be reached or cannot write: down, full, read-only, locked."""


class DatabaseInUseError(StoreUnavailableError):
    """Another process has the SQLite file."""


class LockedError(StoreUnavailableError):
    """Another session of the database is in the way; the same may be tried again at once."""


class ConnectionLostError(StoreUnavailableError):
    """The connection broke before a commit was asked for: the same may be tried again at once."""


class QueueFullError(UnavailableError):
    """The queue holds as much as it may; nothing was accepted."""


class OverLimitError(TaskQueueError):
    """A queue's own limit is reached; nothing was accepted, but later it may be.

    Attributes:
        limit: Which limit: `length` or `bytes`.
        quota: The most that it allows.
    """

    def __init__(self, message: str, limit: str, quota: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.quota = quota


class NeverStartsError(TaskQueueError):
    """A task would expire before the time from which it may be started."""


class KeyReusedError(TaskQueueError):
    """An idempotency key was used before, with another request."""


class ConflictError(TaskQueueError):
    """The task is in a state in which this cannot be done to it."""


class LeaseLostError(TaskQueueError):
    """A lease is not held any more; nothing of what was said about its task was recorded."""


class NotFoundError(TaskQueueError):
    """Nothing has this name."""


class BadRowError(TaskQueueError):
    """The database refuses this one row; others in the same commit are not affected."""


class QueryFailedError(TaskQueueError):
    """The database can be reached but could not answer the query."""


class MigrationError(TaskQueueError):
    """The schema could not be migrated to what this version of the code needs."""


class BootError(TaskQueueError):
    """The actor system could not be started; nothing of it is left running."""


class ReloadError(TaskQueueError):
    """The settings cannot be changed in this way while the service runs."""


class ActionLoadError(TaskQueueError):
    """A configured action cannot be imported or called."""


class InvalidDataError(TaskQueueError):
    """A task's data is not what its action takes.

    Attributes:
        member: The path of the wrong member, as in `data.size.width`.
        problem: What is wrong with it.
    """

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(f"{member}: {problem}")
        self.member = member
        self.problem = problem


class Reject(TaskQueueError):  # noqa: N818 - raised by actions, AMQP's word
    """Raised by an action: running the task again cannot help, so it becomes `dead` at once."""


class RetryLater(TaskQueueError):  # noqa: N818 - raised by actions
    """Raised by an action: run it again after so many seconds; no attempt is counted.

    Bounded: see `MAX_POSTPONEMENTS` and `MAX_POSTPONE_SECONDS` in `actors.tasks.settlement`.

    Attributes:
        seconds: The delay.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        if not isinstance(seconds, int | float):
            kind = type(seconds).__name__  # type: ignore[unreachable] # an action may pass anything
            text = f"RetryLater takes seconds, a number, and not {kind}"
            raise TypeError(text)
        super().__init__(reason or f"to be run again in {seconds:g} s")
        self.seconds = seconds

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.seconds, str(self))


class Cancelled(TaskQueueError):  # noqa: N818 - raised by actions
    """Raised by an action that stops because it was asked to."""


class TimedOut(TaskQueueError):  # noqa: N818 - the attempt's outcome
    """The attempt took longer than it may, and was ended."""
