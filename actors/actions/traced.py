"""Actions that run in a span each. Imported only where traces are turned on."""

from collections.abc import Callable
from dataclasses import replace

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.prints import PRINTS
from task_queue.actors.actions.registry import Registry
from task_queue.actors.runtime.tracing import Tracing, end_badly, trace_in
from task_queue.actors.tasks.claim import ClaimedTask
from task_queue.actors.tasks.failures import failure_of
from task_queue.actors.tasks.slot import Slot


class TracedActions:
    """Runs actions as the registry does.

    The span of the attempt is the present one of OpenTelemetry in the action's thread, and what
    the action's context, a request or another process is told of the trace is that span.
    """

    def __init__(self, actions: Registry, tracing: Tracing, now: Callable[[], float]) -> None:
        """Keep what runs them.

        Args:
            actions: The actions by name.
            tracing: Makes the spans.
            now: The present moment, Unix seconds.
        """
        self._actions = actions
        self._tracing = tracing
        self._now = now

    def run(self, claimed: ClaimedTask, slot: Slot) -> Done:
        """Run the task's action, and return its result.

        Raises:
            BaseException: Whatever the action raises.
        """
        now = self._now()
        self._tracing.waited(claimed, slot.queue, now)
        with self._tracing.processing(claimed, slot.queue, now) as span:
            own = trace_in(span)
            if own is not None:
                claimed = claimed._replace(terms=replace(claimed.terms, **own._asdict()))
                if (prints := PRINTS.get()) is not None:
                    prints.belong_to(claimed)
            try:
                return self._actions.run(claimed, slot)
            except BaseException as error:
                stopped = slot.stop == claimed.lease
                end_badly(span, failure_of(error, None, asked_to_stop=stopped), error)
                raise
