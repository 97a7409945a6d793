"""A single answer: one thread gives it, another waits for it or has a function called."""

from _thread import allocate_lock
from collections.abc import Callable
from typing import Generic, TypeVar

from task_queue.actors.errors import AnswerTimeoutError, TaskQueueError

R = TypeVar("R")


class Reply(Generic[R]):
    """Where the answer to one request goes.

    Bare locks instead of a condition: every publish makes one of these, and a condition costs a
    queue of waiters besides. The first answer counts and later ones are ignored, so a message may
    be abandoned twice, even by two threads at once.
    """

    __slots__ = ("_calls", "_done", "_error", "_open", "_value", "_waiting")

    _value: R

    def __init__(self) -> None:
        self._open = allocate_lock()  # whoever takes it may answer
        self._waiting = allocate_lock()  # held until there is an answer
        self._waiting.acquire()
        self._done = False
        self._calls: list[Callable[[], None]] = []
        self._error: TaskQueueError | None = None

    def answer(self, value: R) -> None:
        """Answer with the value."""
        if self._open.acquire(blocking=False):
            self._value = value
            self._finish()

    def fail(self, error: TaskQueueError) -> None:
        """Answer with an expected error."""
        if self._open.acquire(blocking=False):
            self._error = error
            self._finish()

    @property
    def is_done(self) -> bool:
        """Whether the answer is there."""
        return self._done

    def then(self, call: Callable[[], None]) -> None:
        """Have a function called once, when the answer is there; at once if it already is there.

        Args:
            call: The function. It runs in the thread that answers, so it must be quick and must
                not raise.
        """
        self._calls.append(call)
        if self._done:
            self._call()

    def wait(self, timeout: float) -> R:
        """Return the answer, as soon as it is there.

        Args:
            timeout: Seconds to wait for it.

        Raises:
            AnswerTimeoutError: Nothing came in time; what was asked may still happen.
            TaskQueueError: The error that was the answer.
        """
        if not self._waiting.acquire(timeout=max(0.0, timeout)):
            message = f"no answer within {timeout:g} s; whether it took effect is unknown"
            raise AnswerTimeoutError(message)
        self._waiting.release()
        if self._error is not None:
            raise self._error
        return self._value

    def _finish(self) -> None:
        self._waiting.release()
        self._done = True  # last, so that no function is called before `wait` returns the answer
        self._call()

    def _call(self) -> None:
        # `answer` and `then` may get here at once; whoever pops a call makes it.
        while self._calls:
            try:
                call = self._calls.pop()
            except IndexError:
                return
            call()
