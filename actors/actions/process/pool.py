"""Warm workers, so that a Python action in a process does not wait until one has started.

A worker belongs to whoever took it until it is given back, so what one task does to its process
concerns no other: nothing is shared between workers, no lock and no pipe. That is why this is no
pool of a library. In pebble's (5.2), the design's first choice, workers share both: one that
ignored SIGTERM held up the results of the others for 3 s, one that was killed while idle broke the
whole pool, and what a task had started outlived it.
"""

import threading
from collections.abc import Mapping
from typing import Any

from task_queue.actors.actions.action import Done, Execution
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.child import Children
from task_queue.actors.actions.process.worker import Worker, WorkerGoneError
from task_queue.actors.tasks.failures import Ended
from task_queue.actors.tasks.settlement import Failure

MAX_GONE = 3
"""How many idle workers a task may find dead before it fails."""


class Workers:
    """The workers that wait for a task; as many as tasks have run in them at once."""

    def __init__(self, children: Children, execution: Execution) -> None:
        """Store what is needed; none is started before it is needed.

        Args:
            children: Starts them.
            execution: When one is replaced.
        """
        self._children = children
        self._execution = execution
        self._idle: list[Worker] = []
        self._lock = threading.Lock()
        self._retired = False

    def run(self, call: Call, request: Mapping[str, Any], limit_mib: int | None) -> Done:
        """Have one of them run the request.

        Raises:
            Ended: The action failed, or its process died or was ended.
        """
        for _ in range(MAX_GONE):
            worker = self._taken()
            try:
                done = worker.run(call, request, self._execution, limit_mib)
            except WorkerGoneError:  # while it was idle: not the task's fault, nothing has begun
                worker.close()
            except BaseException:
                self._give_back(worker)
                raise
            else:
                self._give_back(worker)
                return done
        raise Ended(Failure("no process could be started for it"))

    def retire(self) -> None:
        """End the idle workers, and each other one when its task is done."""
        with self._lock:
            self._retired = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.close()

    def _taken(self) -> Worker:
        while True:
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                return Worker(self._children)
            if worker.is_alive:
                return worker
            worker.close()

    def _give_back(self, worker: Worker) -> None:
        worn = (
            not (worker.is_alive and worker.is_clean)
            or worker.tasks >= self._execution.max_tasks_per_process
            or worker.own_mib > self._execution.max_mib_per_process
        )
        with self._lock:
            if not (worn or self._retired):
                self._idle.append(worker)
                return
        worker.close()
