"""Answers that are ready before they may leave.

A publish is answered after its commit. If the thread that took the request waited for that, every
publish would put a thread to sleep and wake it up again: three context switches and a good third of
the time a publish took, and no commit could hold more publishes than there are threads. So the
thread prepares the answer and takes the next request; when the commit is done, any thread sends it.

What has come of one wait may be another one. So an answer that waits for a task's end is parked for
the commit, then for the end, then for the reader of the database, and no thread waits for any.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

import falcon

from task_queue.actors.errors import AnswerTimeoutError, TaskQueueError
from task_queue.actors.messages.reply import Reply
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.errors import late_refusal
from task_queue.api.responses.urls import put_back, taken_off

ENVIRON_KEY = "task_queue.late"
"""Where a server that can send answers late is told of one; other servers wait."""

HOLDS_KEY = "task_queue.holds"
"""Where a server finds a function that says whether the request's key still holds: a wait by wish
ends when it does not. Not there: the request has none."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait that takes long, or that nobody else sees to the end of.

    Our server calls `end` at its moment, when the client has gone, when the server stops, and when
    other connections need the place. It must have the reply answered if nobody has done so, so
    that whoever answers later learns by `Reply.answer` that it does not count. It is called in the
    server's own thread, maybe more than once, so it must be quick and must not raise.

    Attributes:
        until: When it ends, on the clock `time.monotonic`.
        end: Answers the reply.
        stops: Whether it ends early when the server stops, a place is needed, or the key lapses.
    """

    until: float
    end: Callable[[], object]
    stops: bool = True


@dataclass(frozen=True, slots=True)
class Late(Generic[R]):
    """What an answer waits for.

    Attributes:
        reply: The reply to what was asked of an actor.
        done: Called with the reply's value before the response leaves. What it returns, if
            anything, is the response in place of the prepared one, or the next thing to wait for.
        wait: How the wait ends, if whoever has to reply does not see to that.
        refuse: Makes the answer to an error.
        left: Called right before the answer leaves, so that who has it finds its key free, or once
            the client has gone. Of several things that an answer waits for in turn, the first says
            it.
        lost: Called if the client has gone before its answer could leave, so that what only it
            knows of can be taken back. The first says it, too.
        asked_at: When the actor was asked, by `time.perf_counter`.
        taken_off: What a proxy has taken off the path of the request.
    """

    reply: Reply[R]
    done: "Callable[[R], Answer | Late[Any] | None]"
    wait: Wait | None = None
    refuse: Callable[[TaskQueueError], Answer] = late_refusal
    left: Callable[[], None] | None = None
    lost: Callable[[], None] | None = None
    asked_at: float = field(default_factory=perf_counter)
    taken_off: str = field(default_factory=taken_off)

    def outcome(self) -> "Answer | Late[Any] | None":
        """Return what comes of the reply, which is there; None: the prepared answer."""
        put_back(self.taken_off)  # it may be another thread by now
        try:
            return self.done(self.reply.outcome())
        except TaskQueueError as error:
            return self.refuse(error)

    def wait_here(self, timeout: float) -> None:
        """Wait in this thread until the reply is there.

        Args:
            timeout: For how long, in seconds, if there is no `wait`.
        """
        seconds = timeout if self.wait is None else self.wait.until - time.monotonic()
        with suppress(TaskQueueError):  # `outcome` tells of it
            self.reply.wait(seconds)
        if self.wait is not None:
            self.wait.end()
        error = f"no answer within {seconds:g} s; whether it took effect is unknown"
        self.reply.fail(AnswerTimeoutError(error))


def leave_after(req: falcon.Request, late: Late[Any], timeout: float) -> Answer | None:
    """Let the response leave only when the reply is there.

    Args:
        req: The request. On a server other than ours this waits.
        late: What to wait for.
        timeout: How long such a server waits, in seconds; ours relies on the deadline in what was
            asked, or on `Late.wait`.

    Returns:
        What to answer, if that is known by now; None: the prepared answer, unless the reply
        changes it.
    """
    if ENVIRON_KEY in req.env:
        req.env[ENVIRON_KEY].append(late)
        return None
    outcome: Answer | Late[Any] | None = late
    while isinstance(outcome, Late):
        outcome.wait_here(timeout)
        outcome = outcome.outcome()
    if late.left is not None:
        late.left()
    return outcome
