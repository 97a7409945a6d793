"""A Python function as an action that runs in a process of its own."""

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.pool import Workers
from task_queue.actors.actions.python.function import PythonFunction


class ProcessAction:
    """A Python function that runs in a process of its own."""

    kind = "python"
    execution = "process"

    def __init__(  # noqa: PLR0913 - what the settings say of it
        self,
        function: PythonFunction,
        target: str,
        *,
        workers: Workers,
        timeout_seconds: float,
        overdue_seconds: float,
        max_result_bytes: int,
        memory_limit_mib: int | None,
    ) -> None:
        """Store what is needed.

        Args:
            function: The function; here it only checks the data.
            target: Where it is, as `module:function`.
            workers: The processes that run it.
            timeout_seconds: See `Action`.
            overdue_seconds: See `Action`.
            max_result_bytes: How long the result may be, as JSON.
            memory_limit_mib: What its process may occupy, with all that it starts; None: anything.
        """
        self.description = function.description
        self.schema = function.schema
        self.timeout_seconds = timeout_seconds
        self.overdue_seconds = overdue_seconds
        self.check = function.check
        self._target = target
        self._workers = workers
        self._max_result_bytes = max_result_bytes
        self._memory_limit_mib = memory_limit_mib

    def run(self, call: Call) -> Done:
        """Have a worker call the function."""
        claimed = call.claimed
        request = {
            "target": self._target,
            "lease": list(claimed.lease),
            "task": [claimed.action, claimed.data, claimed.attempt, claimed.max_attempts],
            "trace": [claimed.terms.traceparent, claimed.terms.tracestate],
            "queue": call.slot.queue,
            "timeout_seconds": max(0.001, call.remaining_seconds) if call.timeout_seconds else 0,
            "max_result_bytes": self._max_result_bytes,
        }
        return self._workers.run(call, request, self._memory_limit_mib)
