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

from task_queue.actors.messages.reply import Reply
from task_queue.api.responses.answer import Answer

ENVIRON_KEY = "task_queue.late"
"""Where a server that can send answers late is told of one; other servers wait."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Late(Generic[R]):
    """What an answer waits for.

    Attributes:
        reply: Its answer, or why there is none, which is then the response.
        done: Called with it when it is good, before the response leaves. What it returns, if
            anything, is the response in place of the prepared one.
        asked_at: Since when it is waited for, by `time.perf_counter`.
    """

    reply: Reply[R]
    done: Callable[[R], Answer | None]
    asked_at: float = field(default_factory=perf_counter)


def leave_after(req: falcon.Request, late: Late[Any], timeout: float) -> Answer | None:
    """Let the response leave only when the reply is there.

    Args:
        req: The request. On a server other than ours this waits.
        late: What to wait for.
        timeout: How long such a server waits, in seconds; ours relies on the deadline in what was
            asked.

    Returns:
        What to answer, if that is known by now; None: what is answered unless the reply changes it.

    Raises:
        TaskQueueError: The reply is an error. On our server it becomes the response later.
    """
    if ENVIRON_KEY in req.env:
        req.env[ENVIRON_KEY].append(late)
        return None
    return late.done(late.reply.wait(timeout))
