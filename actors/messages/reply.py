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
        self._waiting = allocate_lock()  # held until there is an answer and its calls are made
        self._waiting.acquire()
        self._done = False
        self._calls: list[Callable[[], None]] = []
        self._error: TaskQueueError | None = None

    def answer(self, value: R) -> bool:
        """Answer with the value; return whether it counts, as it is the first answer."""
        if not self._open.acquire(blocking=False):
            return False
        self._value = value
        self._finish()
        return True

    def fail(self, error: TaskQueueError) -> bool:
        """Answer with an expected error; return whether it counts, as it is the first answer."""
        if not self._open.acquire(blocking=False):
            return False
        self._error = error
        self._finish()
        return True

    @property
    def is_done(self) -> bool:
        """Whether the answer is there."""
        return self._done

    def then(self, call: Callable[[], None]) -> None:
        """Have a function called once, when the answer is there; at once if it already is there.

        Functions are called in the order in which they came, and all that came before the answer
        before `wait` returns: what is to be undone before somebody hears of the answer, is.

        Args:
            call: The function. It runs in the thread that answers or in this one, so it must be
                quick and must not raise, nor wait for this reply or have another one called; it
                takes the answer from `outcome`.
        """
        self._calls.append(call)
        if self._done:
            with self._waiting:  # the calls before it have been made
                pass
            self._call()

    def outcome(self) -> R:
        """Return the answer, which is there.

        Raises:
            TaskQueueError: The error that was the answer.
        """
        if self._error is not None:
            raise self._error
        return self._value

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
        return self.outcome()

    def _finish(self) -> None:
        self._done = True
        try:
            self._call()
        finally:
            self._waiting.release()

    def _call(self) -> None:
        # Two threads in `then` may get here at once; whoever pops a call makes it.
        while self._calls:
            try:
                call = self._calls.pop(0)
            except IndexError:
                return
            call()
