"""Answers that are ready before they may leave.

A publish is answered after its commit. If the thread that took the request waited for that, every
publish would put a thread to sleep and wake it up again: three context switches and a good third of
the time a publish took, and no commit could hold more publishes than there are threads. So the
thread prepares the answer and takes the next request; when the commit is done, any thread sends it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

import falcon

from task_queue.actors.errors import TaskQueueError
from task_queue.actors.messages.reply import Reply
from task_queue.api.responses.answer import Answer
from task_queue.api.responses.errors import late_refusal

ENVIRON_KEY = "task_queue.late"
"""Where a server that can send answers late is told of one; other servers wait."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Late(Generic[R]):
    """What the answer to a publish waits for.

    Attributes:
        reply: The queue's reply.
        done: Called with the reply's value before the response leaves. What it returns, if
            anything, is the response in place of the prepared one.
        asked_at: When the queue was asked, by `time.perf_counter`.
    """

    reply: Reply[R]
    done: Callable[[R], Answer | None]
    asked_at: float = field(default_factory=perf_counter)

    def outcome(self, timeout: float | None = None) -> Answer | None:
        """Return what to answer, None if that is the prepared answer.

        Args:
            timeout: How long to wait for the reply, in seconds; None: it is there.
        """
        try:
            value = self.reply.outcome() if timeout is None else self.reply.wait(timeout)
            return self.done(value)
        except TaskQueueError as error:
            return late_refusal(error)


def leave_after(req: falcon.Request, late: Late[Any], timeout: float) -> Answer | None:
    """Let the response leave only when the reply is there.

    Args:
        req: The request. On a server other than ours this waits.
        late: What to wait for.
        timeout: How long such a server waits, in seconds; ours relies on the deadline in what was
            asked.

    Returns:
        What to answer, if that is known by now; None: the prepared answer, unless the reply
        changes it.
    """
    if ENVIRON_KEY in req.env:
        req.env[ENVIRON_KEY].append(late)
        return None
    return late.outcome(timeout)
