"""What can go wrong in a way that somebody is told about.

Every class here is *expected*: it travels to whoever asked, as the answer, and harms no actor.
Anything that is not a `TaskQueueError` is a defect: it crashes the actor, and the supervisor
restarts it. `api/errors.py` says which HTTP answer each of these becomes.
"""


class TaskQueueError(Exception):
    """The root of all expected errors; its text is a sentence fit for a user."""


class UnavailableError(TaskQueueError):
    """Something needed is not there now and may be back soon; the same request may be repeated."""


class ActorUnavailableError(UnavailableError):
    """The actor asked is not running: it died, is being restarted, or was stopped."""


class AnswerTimeoutError(UnavailableError):
    """No answer came before the deadline. The outcome is unknown, not negative."""


class StoreUnavailableError(UnavailableError):
    """The database cannot be reached or cannot write: down, full, read-only, locked."""


class QueueFullError(UnavailableError):
    """The queue holds as much as it may; nothing was accepted."""


class OverLimitError(TaskQueueError):
    """A queue's own limit is reached; nothing was accepted, and later it may be.

    Attributes:
        limit: Which limit: `length` or `bytes`.
        quota: What it allows.
    """

    def __init__(self, message: str, limit: str, quota: int) -> None:
        super().__init__(message)
        self.limit = limit
        self.quota = quota


class KeyReusedError(TaskQueueError):
    """An idempotency key came back with another request than it came with first."""


class ConflictError(TaskQueueError):
    """The task is not in a state in which this can be done to it."""


class NotFoundError(TaskQueueError):
    """There is nothing by this name."""


class BadRowError(TaskQueueError):
    """The database refuses this one row; its neighbours in the same commit are not concerned."""


class QueryFailedError(TaskQueueError):
    """The database is there but could not answer the query."""


class MigrationError(TaskQueueError):
    """The schema could not be brought to what this version of the code needs."""


class BootError(TaskQueueError):
    """The actor system could not be started; nothing of it is left running."""


class ReloadError(TaskQueueError):
    """The settings cannot be changed so while the service runs."""


class ActionLoadError(TaskQueueError):
    """A configured action cannot be imported or called."""


class InvalidDataError(TaskQueueError):
    """A task's data is not what its action takes.

    Attributes:
        member: Which part of it, as in `data.size.width`.
        problem: What is wrong with that.
    """

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(f"{member}: {problem}")
        self.member = member
        self.problem = problem


class Reject(TaskQueueError):  # noqa: N818 - what an action says, AMQP's word
    """Raised by an action: running the task again cannot help, so it is `dead` at once."""


class RetryLater(TaskQueueError):  # noqa: N818 - what an action says
    """Raised by an action: run it again after so many seconds; no attempt is counted.

    Bounded: see `actors.tasks.settlement.MAX_POSTPONEMENTS` and `MAX_POSTPONE_SECONDS`.

    Attributes:
        seconds: After how many.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        super().__init__(reason or f"to be run again in {seconds:g} s")
        self.seconds = seconds


class Cancelled(TaskQueueError):  # noqa: N818 - what an action says
    """Raised by an action that was asked to stop and does."""


class TimedOut(TaskQueueError):  # noqa: N818 - the attempt's outcome
    """The attempt took longer than it may; raised where it is ended for that."""
