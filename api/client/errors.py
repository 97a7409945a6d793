"""What the client raises, in one tree: the text of each is a sentence for a person."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from task_queue.api.client.results.tasks import Task


class ClientError(Exception):
    """What a client asked for is not so; every other error of the client is one of these."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle it with all it says."""
        return type(self).__new__, (type(self), *self.args), self.__dict__


class AddressError(ClientError):
    """The URL of the server is none that a client can use."""


class UnexpectedAnswerError(ClientError):
    """What has answered is no task queue, or one of a version that this client does not know."""


class RefusedError(ClientError):
    """The server has answered, and refuses; sent again as it is, the request is refused again.

    The text is the server's sentence: it names the member, its value and what is allowed.

    Attributes:
        status: The HTTP status.
        problem: What kind of problem it is, as in `unknown-action`; `docs/http.md` lists them
            under Errors. Empty: the answer is none of this service's, but of a proxy's, say.
        error: The short text by which programs can tell errors apart, as in `unknown action`.
        request_id: By which the server's log can be searched; None: unknown.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int,
        problem: str = "",
        error: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem
        self.error = error
        self.request_id = request_id


class NotAllowedError(RefusedError):
    """It takes a key that holds and has the scope (401, 403)."""


class NotFoundError(RefusedError):
    """There is no such task, queue, schedule or path (404)."""


class ConflictError(RefusedError):
    """It does not fit the present state, as to cancel a task that is finished (409)."""


class UnavailableError(ClientError):
    """There was no answer, or no useful one, for as long as the request was repeated.

    Nothing has taken effect, unless it is an `OutcomeUnknownError`.

    Attributes:
        status: The HTTP status of the last answer; None: there was none.
        problem: As of `RefusedError`.
    """

    def __init__(self, detail: str, *, status: int | None = None, problem: str = "") -> None:
        super().__init__(detail)
        self.status = status
        self.problem = problem


class OutcomeUnknownError(UnavailableError):
    """A change was sent, and whether it took effect is not known.

    Attributes:
        idempotency_key: With it the same publish can be sent again, and takes effect once; None:
            it was no publish, so look before you send it again.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        problem: str = "",
        idempotency_key: str | None = None,
    ) -> None:
        super().__init__(detail, status=status, problem=problem)
        self.idempotency_key = idempotency_key


class NotFinishedError(ClientError, TimeoutError):
    """A task is not finished after the time that was waited for it.

    Attributes:
        task: As it was last seen; None: it could not be seen at all.
    """

    def __init__(self, detail: str, task: "Task | None" = None) -> None:
        super().__init__(detail)
        self.task = task


class TaskFailedError(ClientError):
    """A task whose result was asked for has none: it is dead or was cancelled.

    Attributes:
        task: The task, with its error and attempts.
    """

    def __init__(self, detail: str, task: "Task") -> None:
        super().__init__(detail, task)
        self.task = task

    def __str__(self) -> str:
        """Return the sentence."""
        return str(self.args[0])
