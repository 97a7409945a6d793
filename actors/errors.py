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


class BadRowError(TaskQueueError):
    """The database refuses this one row; its neighbours in the same commit are not concerned."""


class QueryFailedError(TaskQueueError):
    """The database is there but could not answer the query."""


class MigrationError(TaskQueueError):
    """The schema could not be brought to what this version of the code needs."""


class BootError(TaskQueueError):
    """The actor system could not be started; nothing of it is left running."""


class ActionLoadError(TaskQueueError):
    """A configured action cannot be imported or called."""


class PermanentError(TaskQueueError):
    """Raised by an action: running the task again cannot help, so it is `dead` at once."""
