"""A program as an action: data on standard input, the result on standard output."""

import os
import selectors
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.process.child import Child, Children, crashed, watch
from task_queue.actors.actions.result import foreign_text, too_long
from task_queue.actors.errors import ActionLoadError, RetryLater, TaskQueueError
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.text import MAX_STDERR_CHARS, printable

EX_TEMPFAIL = 75
"""The exit code of a program that shall be run again later, as in `sysexits.h`."""
TEMPFAIL_BACKOFF = Backoff(base_seconds=1.0, factor=2.0, cap_seconds=300.0)
"""How much later."""
PLAIN_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""The environment variables that every program gets."""
CHUNK_BYTES = 65_536
FULL_PIPE_CHUNKS = 16
"""What a pipe can hold at most: Linux allows a MiB."""


class Program:
    """Starts a program for each task; no shell has a part in it."""

    kind = "command"
    execution = "process"
    schema = None

    def __init__(  # noqa: PLR0913 - what the settings say of it
        self,
        command: Sequence[str],
        *,
        directory: str | None,
        environment: Mapping[str, str],
        children: Children,
        timeout_seconds: float,
        overdue_seconds: float,
        kill_grace_seconds: float,
        max_result_bytes: int,
        memory_limit_mib: int | None,
        random: Callable[[], float],
    ) -> None:
        """Store what is needed, and look whether there is such a program.

        Args:
            command: The program and its arguments.
            directory: Where it runs; None: where this process does.
            environment: All of its environment, but for what is said of the task.
            children: Starts it.
            timeout_seconds: See `Action`.
            overdue_seconds: See `Action`.
            kill_grace_seconds: From SIGTERM to SIGKILL.
            max_result_bytes: How long the result may be.
            memory_limit_mib: What it may occupy, with all that it starts; None: anything.
            random: Gives a number in [0, 1), for the jitter.

        Raises:
            ActionLoadError: There is no such program or directory.
        """
        _check(command[0], directory, environment.get("PATH"))
        self.description = f"Runs {Path(command[0]).name}"
        self.timeout_seconds = timeout_seconds
        self.overdue_seconds = overdue_seconds
        self._command = tuple(command)
        self._directory = directory
        self._environment = dict(environment)
        self._children = children
        self._kill_grace_seconds = kill_grace_seconds
        self._max_result_bytes = max_result_bytes
        self._memory_limit_mib = memory_limit_mib
        self._random = random

    def check(self, data: str) -> None:
        """Accept any data."""

    def run(self, call: Call) -> Done:
        """Run it, with all that it starts gone at the end.

        Raises:
            RetryLater: It ended with exit code 75.
            Reject: What it wrote at the end is too long.
            Ended: It failed, died, was ended, or could not be started.
        """
        child = self._started(call)
        try:
            pipes = _Pipes(child, call.claimed.data.encode(), self._max_result_bytes)
        except BaseException:  # no descriptor is left for it
            child.kill()
            raise
        try:
            watch(
                child,
                call,
                pipes.step,
                grace_seconds=self._kill_grace_seconds,
                memory_limit_mib=self._memory_limit_mib,
            )
            exit_code = child.kill()  # what it has left behind, too
            pipes.read_rest()
        except TaskQueueError as error:
            pipes.read_last_words()
            failure = failure_of(error, None, asked_to_stop=call.cancelled)
            raise Ended(replace(failure, traceback=None, stderr=pipes.stderr)) from error
        finally:
            child.kill()
            pipes.close()
        return self._outcome(call, exit_code, pipes)

    def _started(self, call: Call) -> Child:
        try:
            return self._children.start(
                self._command,
                cwd=self._directory,
                env=self._environment | _told(call),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
            )
        except OSError as error:
            text = f"{self._command[0]!r} cannot be started: {error.strerror}"
            raise Ended(Failure(text)) from error

    def _outcome(self, call: Call, exit_code: int, pipes: "_Pipes") -> Done:
        match exit_code:
            case 0:
                return Done(foreign_text(pipes.stdout, self._max_result_bytes), pipes.stderr)
            case _ if exit_code == EX_TEMPFAIL:
                postponed = call.claimed.terms.postponed + 1
                seconds = TEMPFAIL_BACKOFF.delay_seconds(postponed, self._random)
                raise RetryLater(seconds, f"exit code {EX_TEMPFAIL}{_because(pipes.stderr)}")
            case _ if exit_code < 0:
                raise Ended(replace(crashed(exit_code), stderr=pipes.stderr))
            case _:
                text = f"exit code {exit_code}{_because(pipes.stderr)}"
                raise Ended(Failure(text, stderr=pipes.stderr))


class _Pipes:
    """What goes into a program and what comes out of it, as much of it as is kept."""

    def __init__(self, child: Child, data: bytes, max_bytes: int) -> None:
        self._child = child
        self._max_bytes = max_bytes
        self._stdin, self._out, self._err = (
            child.process.stdin,
            child.process.stdout,
            child.process.stderr,
        )
        self._left = memoryview(data)
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._selector = selectors.DefaultSelector()
        for stream, event in (
            (self._stdin, selectors.EVENT_WRITE),
            (self._out, selectors.EVENT_READ),
            (self._err, selectors.EVENT_READ),
        ):
            assert stream is not None  # noqa: S101 - asked for
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, event)
        if child.pidfd is not None:
            self._selector.register(child.pidfd, selectors.EVENT_READ)

    @property
    def stdout(self) -> bytes:
        """All of its standard output."""
        return bytes(self._stdout)

    @property
    def stderr(self) -> str | None:
        """The last of its standard error; None: nothing."""
        text = self._stderr.decode("utf-8", "replace")[-MAX_STDERR_CHARS:]
        return printable(text, MAX_STDERR_CHARS) or None

    def step(self, seconds: float) -> bool:
        """Move what can be moved now; whether the program is over.

        Not when its streams are: something it has started may hold them.

        Raises:
            Reject: There is too much output.
        """
        for key, _ in self._selector.select(seconds):
            stream: Any = key.fileobj
            if self._stdin is not None and stream is self._stdin:
                self._write(self._stdin)
            elif stream in {self._out, self._err}:
                self._read(stream)
        return self._child.has_ended

    def read_rest(self) -> None:
        """Take what is left in the pipes, once the program and its group are gone."""
        self._read_all(self._out)
        self.read_last_words()

    def read_last_words(self) -> None:
        """Take what is left of its standard error: what it said when it was asked to end, too."""
        self._read_all(self._err)

    def close(self) -> None:
        """Let go of all of them."""
        self._selector.close()
        for stream in (self._stdin, self._out, self._err):
            if stream is not None:
                stream.close()

    def _read_all(self, stream: "IO[bytes] | None") -> None:
        for _ in range(FULL_PIPE_CHUNKS):  # whoever left the group may go on for ever
            if stream is None or stream.closed or not self._read(stream):
                break

    def _write(self, stream: "IO[bytes]") -> None:
        try:
            written = os.write(stream.fileno(), self._left[:CHUNK_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:  # it does not want to know
            written = len(self._left)
        self._left = self._left[written:]
        if not self._left:
            self._done_with(stream)

    def _read(self, stream: Any) -> bool:  # noqa: ANN401 - one of the two
        """Take what there is; whether there was anything."""
        try:
            chunk = os.read(stream.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return False
        if not chunk:
            self._done_with(stream)
            return False
        if stream is self._out:
            self._stdout += chunk
            if len(self._stdout) > self._max_bytes:
                raise too_long(None, self._max_bytes)
        else:
            self._stderr += chunk
            del self._stderr[: -4 * MAX_STDERR_CHARS]  # a character has four bytes at most
        return True

    def _done_with(self, stream: "IO[bytes]") -> None:
        self._selector.unregister(stream)
        stream.close()


def _check(program: str, directory: str | None, path: str | None) -> None:
    where = Path(directory or ".")
    if not where.is_dir():
        message = f"the directory {directory!r} is not there"
        raise ActionLoadError(message)
    if os.sep in program:
        found = shutil.which(str(where / program))
    else:
        found = shutil.which(program, path=path)
    if found is None:
        message = f"the program {program!r} is not there, or cannot be executed"
        raise ActionLoadError(message)


def _told(call: Call) -> dict[str, str]:
    """What the program is told of the task, besides its data."""
    claimed = call.claimed
    return {
        "TASK_ID": claimed.lease.task_id,
        "TASK_ACTION": claimed.action,
        "TASK_ATTEMPT": str(claimed.attempt),
        "TASK_MAX_ATTEMPTS": str(claimed.max_attempts),
        "TASK_QUEUE_NAME": call.slot.queue,
    }


def _because(stderr: str | None) -> str:
    """The last line of standard error, as the reason it most likely is."""
    lines = (stderr or "").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
