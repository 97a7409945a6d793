"""A worker: one process for Python actions, from outside; `main` is what runs in it."""

import contextlib
import json
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from multiprocessing import connection
from typing import Any

import orjson

from task_queue.actors.actions.action import Done, Execution
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.child import Child, Children, crashed
from task_queue.actors.actions.process.printed import Printed
from task_queue.actors.actions.process.watch import watch
from task_queue.actors.errors import Cancelled, TimedOut
from task_queue.actors.runtime.forked import kept_from_forked
from task_queue.actors.tasks.claim import Lease
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.slot import Progress
from task_queue.actors.tasks.states import Outcome
from task_queue.config.logger import get_logger

START_SECONDS = 30.0
"""How long a process may take to start."""
MESSAGE_SECONDS = 5
"""How long one may neither take the rest of a message nor send it: so is one that was stopped."""
TELL_SECONDS = 0.5
"""How long to wait until a process knows that its task was asked to stop, before it is ended."""

# Ours is imported by the path that Python starts with. What is on the path here comes after it: a
# folder that was put in front, as pytest does, may hold a `queue.py` or an `email.py`. Here that
# did no harm, because the library's had been imported before.
_BOOT = (
    "import json, sys; from task_queue.actors.actions.process.main import main;"
    " sys.path += [each for each in json.loads(sys.argv[1]) if each not in sys.path];"
    " main(int(sys.argv[2]))"
)

_log = get_logger()


class WorkerGoneError(Exception):
    """The worker had died before it took the request."""


class Worker:
    """One process, from outside.

    Attributes:
        tasks: How many tasks it has been given.
        is_clean: Whether it is as if no task had run in it, as far as that is looked at.
    """

    def __init__(self, children: Children) -> None:
        """Start it, without waiting for it."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.settimeout(None)  # an action in a thread may have set a default for all sockets
        for option in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("ll", MESSAGE_SECONDS, 0))
        self._printed = Printed()
        with theirs:
            self._line = kept_from_forked(connection.Connection(ours.detach()))
            # `-P`: nor is the current folder searched, with its `json.py`.
            command = [
                sys.executable,
                "-P",
                "-u",  # what has been printed is here even if the process is killed
                "-c",
                _BOOT,
                json.dumps([*children.path, str(children.directory)]),
                str(theirs.fileno()),
            ]
            try:
                self._child: Child = children.start(
                    command,
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    **self._printed.streams,
                )
            except BaseException:
                self._line.close()
                self._printed.close()
                raise
        self._printed.started()
        self.tasks = 0
        self.is_clean = True
        self._stopping: Lease | None = None  # the task that it knows it has to stop

    @property
    def own_mib(self) -> float:
        """The memory that it occupies."""
        return self._child.own_mib

    @property
    def is_alive(self) -> bool:
        """Whether it can be given a task."""
        return not self._child.has_ended

    def run(
        self, call: Call, request: Mapping[str, Any], execution: Execution, limit_mib: int | None
    ) -> Done:
        """Have it run the request. After any error but the action's own its process has ended.

        Raises:
            WorkerGoneError: It had died before, and the action has not begun.
            Ended: The action failed, or the process died or was ended.
        """
        if self.tasks == 0:
            self._wait_until_ready(call)
        self.tasks += 1
        self._printed.begin()
        try:
            self._line.send_bytes(orjson.dumps({"run": request}))
        except OSError as error:
            raise WorkerGoneError from error
        answer = self._answer(call, execution.kill_grace_seconds, limit_mib)
        if answer is None:
            exit_code = self._child.kill()
            self._printed.pass_on()
            raise Ended(crashed(exit_code))
        self.is_clean = answer["clean"]
        if "done" in answer:
            return Done(answer["done"])
        failed = answer["failed"]
        raise Ended(Failure(**{**failed, "outcome": Outcome(failed["outcome"])}))

    def _wait_until_ready(self, call: Call) -> None:
        """Wait until it has started, which does not count as the task's time."""
        starting = Call(call.claimed, call.slot, START_SECONDS)
        if self._answer(starting, 0.0, None) is None:
            text = f"the process for it did not start: {crashed(self._child.kill()).error}"
            raise Ended(Failure(text))
        call.restart()

    def _answer(
        self, call: Call, grace_seconds: float, limit_mib: int | None
    ) -> dict[str, Any] | None:
        """Wait for its answer and return it; None if it died.

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
        finally:
            self._printed.pass_on()
        return answers[0] if answers else None

    def close(self) -> None:
        """End the process, if it has not ended, and all that it started."""
        self._child.kill()
        self._line.close()
        self._printed.close()

    def _tell_to_stop(self, call: Call, answers: list[dict[str, Any]]) -> bool:
        """Tell it that somebody asked for it, and wait until it knows; return whether it is done.

        The signal that ends it comes next, and its action cannot see a message that comes after.
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
        """Take its next message, if one comes; return whether it is done, or dead."""
        sources: list[Any] = [self._line, *self._printed.sources]
        if (pidfd := self._child.pidfd) is not None:  # looked at once, as others may kill it
            sources.append(pidfd)
        connection.wait(sources, seconds)
        self._printed.read()
        try:
            # After that: what was logged before the last that was read is in the line by now.
            if not self._line.poll():
                self._printed.pass_on()
                return self._child.has_ended
            message = orjson.loads(self._line.recv_bytes())
        except (EOFError, OSError):  # dead, or the action has closed descriptors not its own
            return True
        if "progress" in message:
            self._note_progress(call, message["progress"])
        elif "log" in message:
            self._printed.pass_on(message["printed"])
            _pass_on(message["log"], message["fields"])
        elif "stopping" in message:
            self._stopping = Lease(*message["stopping"])
        else:
            answers.append(message)
        return bool(answers)


def _pass_on(level: str, fields: dict[str, Any]) -> None:
    """Log what the action has logged, whatever it was."""
    event = fields.pop("event", None)
    fields = {"self_" if name == "self" else name: value for name, value in fields.items()}
    getattr(_log, level, _log.info)(event, **fields)
