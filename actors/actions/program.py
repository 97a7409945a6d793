"""A program as an action: data on standard input, the result on standard output."""

import errno
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from task_queue.actors.actions.action import Done
from task_queue.actors.actions.call import Call
from task_queue.actors.actions.pipes import Pipes
from task_queue.actors.actions.process.child import Child, Children, crashed
from task_queue.actors.actions.process.watch import watch
from task_queue.actors.actions.result import Form, program_text
from task_queue.actors.errors import ActionLoadError, Reject, RetryLater, TaskQueueError
from task_queue.actors.tasks.backoff import Backoff
from task_queue.actors.tasks.failures import Ended, failure_of
from task_queue.actors.tasks.settlement import Failure

EX_TEMPFAIL = 75
"""The exit code of a program that asks to be run again later, as in `sysexits.h`."""
TEMPFAIL_BACKOFF = Backoff(base_seconds=1.0, factor=2.0, cap_seconds=300.0)
"""How much later."""
PLAIN_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""The environment variables that every program gets."""

_HINTS = {
    errno.ENOEXEC: " (a script begins with a line such as #!/bin/sh)",
    errno.ENOENT: " (itself, its folder, or what a script's first line names)",
}
"""What the system's words for why a program cannot be started leave out."""


class Program:
    """Starts a program for each task, without a shell."""

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
        form: Form,
        max_result_bytes: int,
        memory_limit_mib: int | None,
        random: Callable[[], float],
    ) -> None:
        """Store what is needed, and check that there is such a program.

        Args:
            command: The program and its arguments.
            directory: Where it runs; None: where this process does.
            environment: Its environment, to which the task's variables are added.
            children: Starts it.
            timeout_seconds: See `Action`.
            overdue_seconds: See `Action`.
            kill_grace_seconds: From SIGTERM to SIGKILL.
            form: What it writes to standard output.
            max_result_bytes: How long the result may be.
            memory_limit_mib: What it may occupy, with all that it starts; None: anything.
            random: Returns a number in [0, 1), for the jitter.

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
        self._form = form
        self._max_result_bytes = max_result_bytes
        self._memory_limit_mib = memory_limit_mib
        self._random = random

    def check(self, data: str) -> None:
        """Accept any data."""

    def run(self, call: Call) -> Done:
        """Run it; at the end all that it has started has ended, too.

        Raises:
            RetryLater: It ended with exit code 75.
            Ended: It failed, died, was ended, or could not be started; or it ended well, and its
                output is too long or not of the form.
        """
        child = self._started(call)
        try:
            pipes = Pipes(child, call.claimed.data.encode(), self._max_result_bytes)
        except BaseException:  # no descriptor is left
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
            exit_code = child.kill()  # and what it has left behind
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
            hint = _HINTS.get(error.errno or 0, "")
            text = f"{self._command[0]!r} cannot be started: {error.strerror}{hint}"
            raise Ended(Failure(text)) from error

    def _outcome(self, call: Call, exit_code: int | None, pipes: Pipes) -> Done:
        match exit_code:
            case 0:
                return Done(self._result(pipes), pipes.stderr)
            case _ if exit_code == EX_TEMPFAIL:
                postponed = call.claimed.terms.postponed + 1
                seconds = TEMPFAIL_BACKOFF.delay_seconds(postponed, self._random)
                raise RetryLater(seconds, f"exit code {EX_TEMPFAIL}{_because(pipes.stderr)}")
            case _ if exit_code is None or exit_code < 0:
                raise Ended(replace(crashed(exit_code), stderr=pipes.stderr))
            case _:
                text = f"exit code {exit_code}{_because(pipes.stderr)}"
                raise Ended(Failure(text, stderr=pipes.stderr))

    def _result(self, pipes: Pipes) -> str:
        try:
            return program_text(pipes.stdout, self._form, self._max_result_bytes)
        except Reject as error:
            failure = Failure(str(error), permanent=True, stderr=pipes.stderr)
            raise Ended(failure) from error


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
    """Return the environment variables that tell the program of its task."""
    claimed, terms = call.claimed, call.claimed.terms
    # As OpenTelemetry carries a trace in an environment.
    trace = {"TRACEPARENT": terms.traceparent, "TRACESTATE": terms.tracestate}
    return {
        "TASK_ID": claimed.lease.task_id,
        "TASK_ACTION": claimed.action,
        "TASK_ATTEMPT": str(claimed.attempt),
        "TASK_MAX_ATTEMPTS": str(claimed.max_attempts),
        "TASK_QUEUE": call.slot.queue,
    } | {name: text for name, text in trace.items() if text is not None}


def _because(stderr: str | None) -> str:
    """Return the last line of standard error, which most likely is the reason."""
    lines = (stderr or "").strip().splitlines()
    return f": {lines[-1]}" if lines else ""
