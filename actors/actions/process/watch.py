"""How a process that runs an action is watched: its task's cancel and deadline, and its memory."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from task_queue.actors.actions.call import SLICE_SECONDS, Call
from task_queue.actors.actions.process.child import Child, resident_mib
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.states import Outcome

if TYPE_CHECKING:
    import psutil

FAMILY_SECONDS = 0.5
"""How often to look which processes a process with a memory limit has started."""


def watch(
    child: Child,
    call: Call,
    step: Callable[[float], bool],
    *,
    grace_seconds: float,
    memory_limit_mib: int | None,
) -> None:
    """Go on step by step until it is done, or the child has to be ended.

    Args:
        child: Runs the action.
        call: Says when it has to stop.
        step: Waits for at most so many seconds, and returns whether it is done.
        grace_seconds: From SIGTERM to SIGKILL.
        memory_limit_mib: What it may occupy, with all that it starts; None: anything.

    Raises:
        Cancelled: Somebody asked for it; the child has ended.
        TimedOut: The deadline is over; the child has ended.
        Ended: It took too much memory; the child has ended.
    """
    memory = None if memory_limit_mib is None else _MemoryLimit(child, memory_limit_mib)
    try:
        while not step(min(SLICE_SECONDS, max(0.0, call.remaining_seconds))):
            call.interrupt()
            if memory is not None:
                memory.enforce()
    except BaseException:
        child.end(grace_seconds)
        raise


class _MemoryLimit:
    """A limit on what a child occupies, measured from outside.

    A limit that the system enforces would be one on address space, which many programs reserve
    without using it; and it would be up to the program what it does when it gets no more.
    """

    def __init__(self, child: Child, limit_mib: int) -> None:
        self._child = child
        self._limit_mib = limit_mib
        self._look_at = 0.0
        self._family: list[psutil.Process] = []
        self._family_at = 0.0

    def enforce(self) -> None:
        """Kill the child at once if it occupies more; measures ten times a second at most.

        Raises:
            Ended: It did.
        """
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + SLICE_SECONDS
        if now >= self._family_at:
            self._family, self._family_at = self._child.family(), now + FAMILY_SECONDS
        mib = sum(map(resident_mib, self._family))
        if mib > self._limit_mib:
            self._child.kill()
            text = (
                f"killed by SIGKILL: it took {mib:.0f} MiB; memory_limit_mib is {self._limit_mib}"
            )
            raise Ended(Failure(text, Outcome.CRASHED, contained=True))
