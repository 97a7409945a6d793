"""Python functions that run in processes of their own, and the warm processes for them.

A worker belongs to whoever took it until it is given back, so what one task does to its process
concerns no other: nothing is shared between workers, no lock and no pipe. That is why this is no
pool of a library. In pebble's (5.2), the design's first choice, workers share both: one that
ignored SIGTERM held up the results of the others for 3 s, one that was killed while idle broke the
whole pool, and what a task had started outlived it.
"""

import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing import connection
from typing import Any

import orjson
import structlog

from task_queue.actors.actions.action import Done, Execution
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.child import Child, Children, crashed, watch
from task_queue.actors.errors import Cancelled, TimedOut
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Outcome

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from task_queue.actors.actions.process.main import main; main(int(sys.argv[2]))"
)
START_SECONDS = 30.0
"""How long a process may take to start."""
TELL_SECONDS = 0.5
"""How long to wait until a process knows that its task was asked to stop, before it is ended."""
MAX_GONE = 3
"""How many processes may have died while they waited for a task, until something is wrong."""

_log = structlog.get_logger()


class _Gone(Exception):  # noqa: N818 - it was there
    """The worker was gone before it took the request."""


class Worker:
    """One process, from outside.

    Attributes:
        tasks: How many tasks it has been given.
        is_clean: Whether no task has left processes behind in it.
    """

    def __init__(self, children: Children) -> None:
        """Start it; it is not waited for."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._line = connection.Connection(ours.detach())
            # The same modules are found as here: what was added to the path counts, too.
            command = [
                sys.executable,
                "-P",
                "-c",
                _BOOT,
                json.dumps(sys.path),
                str(theirs.fileno()),
            ]
            try:
                self._child: Child = children.start(
                    command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
                )
            except BaseException:
                self._line.close()
                raise
        self.tasks = 0
        self.is_clean = True
        self._stopping: Lease | None = None  # what it knows that it has to stop

    @property
    def own_mib(self) -> float:
        """What it occupies."""
        return self._child.own_mib

    @property
    def is_alive(self) -> bool:
        """Whether it can be given a task."""
        return not self._child.has_ended

    def run(
        self, call: Call, request: Mapping[str, Any], execution: Execution, limit_mib: int | None
    ) -> Done:
        """Have the request run. Whatever is raised but `Ended` by the action itself, it is gone.

        Raises:
            _Gone: It had died before, and has not begun.
            Ended: The action failed, or the process died or was ended.
        """
        if self.tasks == 0:
            self._wait_until_ready(call)
        self.tasks += 1
        try:
            self._line.send_bytes(orjson.dumps({"run": request}))
        except OSError as error:
            raise _Gone from error
        answer = self._answer(call, execution.kill_grace_seconds, limit_mib)
        if answer is None:
            raise Ended(crashed(self._child.kill()))
        self.is_clean = not answer["left"]
        if "done" in answer:
            return Done(answer["done"])
        failed = answer["failed"]
        raise Ended(Failure(**{**failed, "outcome": Outcome(failed["outcome"])}))

    def _wait_until_ready(self, call: Call) -> None:
        """Wait until it has started, which is not the task's time."""
        starting = Call(call.claimed, call.slot, START_SECONDS)
        if self._answer(starting, 0.0, None) is None:
            text = f"the process for it did not start: {crashed(self._child.kill()).error}"
            raise Ended(Failure(text))
        call.restart()

    def _answer(
        self, call: Call, grace_seconds: float, limit_mib: int | None
    ) -> dict[str, Any] | None:
        """What it says at last; None if it died.

        Raises:
            Ended: It was ended for the time or the memory it took, or because somebody asked.
        """
        answers: list[dict[str, Any]] = []

        def step(seconds: float) -> bool:
            done = self._listen(call, seconds, answers)
            if call.cancelled and not done:  # it is ended right after this, but shall know why
                return self._tell_to_stop(call, answers)
            return done

        try:
            watch(
                self._child,
                call,
                step,
                grace_seconds=grace_seconds,
                memory_limit_mib=limit_mib,
            )
        except (TimedOut, Cancelled) as error:
            failure = failure_of(error, None, asked_to_stop=call.cancelled)
            raise Ended(replace(failure, traceback=None)) from error
        return answers[0] if answers else None

    def close(self) -> None:
        """End the process, if it has not ended, and all that it started."""
        self._child.kill()
        self._line.close()

    def _tell_to_stop(self, call: Call, answers: list[dict[str, Any]]) -> bool:
        """Tell it that somebody asked for it, and wait until it knows; whether it is done.

        Its action sees the signal that comes then, and cannot see a message that comes after it.
        """
        with contextlib.suppress(OSError):
            self._line.send_bytes(b'{"stop":true}')
        deadline = time.monotonic() + TELL_SECONDS
        while self._stopping != call.claimed.lease and (left := deadline - time.monotonic()) > 0:
            if self._listen(call, left, answers):
                return True
        return False

    @staticmethod
    def _note_progress(call: Call, progress: list[Any]) -> None:
        lease, fraction, message = progress
        if tuple(lease) == call.claimed.lease:  # a former task's may come late
            call.slot.progress = Progress(call.claimed.lease, fraction, message)

    def _listen(self, call: Call, seconds: float, answers: list[dict[str, Any]]) -> bool:
        """Take what it says; whether it is done, or dead."""
        sources: list[Any] = [self._line]
        if self._child.pidfd is not None:
            sources.append(self._child.pidfd)
        ready = connection.wait(sources, seconds)
        if self._line not in ready:
            return self._child.has_ended
        try:
            message = orjson.loads(self._line.recv_bytes())
        except (EOFError, OSError):  # dead, or the action has closed what it does not know
            return True
        if "progress" in message:
            self._note_progress(call, message["progress"])
        elif "log" in message:
            getattr(_log, message["log"], _log.info)(**message["fields"])
        elif "stopping" in message:
            self._stopping = Lease(*message["stopping"])
        else:
            answers.append(message)
        return bool(answers)


class Workers:
    """Warm processes that wait for a task; as many as tasks have run in them at once."""

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
        """Have the request run in one of them.

        Raises:
            Ended: The action failed, or its process died or was ended.
        """
        for _ in range(MAX_GONE):
            worker = self._taken()
            try:
                done = worker.run(call, request, self._execution, limit_mib)
            except _Gone:  # while it waited: nobody's fault, and nothing has begun
                worker.close()
            except BaseException:
                self._give_back(worker)
                raise
            else:
                self._give_back(worker)
                return done
        raise Ended(Failure("no process could be started for it"))

    def retire(self) -> None:
        """Keep none warm any more; those at work go when they are done."""
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
