"""Processes that run actions: each leads a group of its own and is ended with all of it."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

import psutil

from task_queue.actors.errors import UnavailableError
from task_queue.actors.tasks.settlement import Failure
from task_queue.actors.tasks.states import Outcome

NICENESS = 5
"""How much lower the priority of these processes is than that of the service, which has to answer
and to renew leases while all cores are busy."""
POLL_SECONDS = 0.02
"""How often to look whether a process that was asked to end has."""
MIB = 1_048_576


class Child:
    """A process, and all that it starts."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", forget: Callable[["Child"], None]
    ) -> None:
        """Store it.

        Args:
            process: Leads a group of its own.
            forget: Called when it has ended; more than once does no harm.
        """
        self.process = process
        # Readable once it has ended; without it (not Linux) that is noticed a little later.
        self.pidfd: int | None = None
        if hasattr(os, "pidfd_open"):
            with contextlib.suppress(ProcessLookupError):  # it has ended, and was waited for
                self.pidfd = os.pidfd_open(process.pid)
        self._forget = forget
        self._ending = threading.Lock()  # its watcher may end it, and so may the service's end
        self._was_taken = False  # another thread of this process has waited for it

    @property
    def has_ended(self) -> bool:
        """Whether the process itself has ended. It is not reaped here, so its id stays its own."""
        if self.process.returncode is not None:
            return True
        if not hasattr(os, "waitid"):  # macOS before Python 3.13
            return self.process.poll() is not None
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        try:
            return os.waitid(os.P_PID, self.process.pid, options) is not None
        except ChildProcessError:  # reaped by another thread just now
            return True

    @property
    def own_mib(self) -> float:
        """The memory that the process itself occupies now; 0 if it has ended."""
        try:
            return resident_mib(psutil.Process(self.process.pid))
        except psutil.Error:
            return 0.0

    def end(self, grace_seconds: float) -> None:
        """Ask the whole group to end; kill what is left of it after so many seconds."""
        if self.process.returncode is not None:
            return
        # Listed now: what has left the group cannot be found any more once its parent has ended.
        family = self.family()
        self._signal(signal.SIGTERM)
        self._wait(grace_seconds)
        _kill(family)
        self.kill()

    def kill(self) -> int | None:
        """Kill the whole group at once; return the process's exit code, negative for a signal.

        None: an action in a thread has waited for all processes, and took how this one ended.
        """
        with self._ending:
            if self.process.returncode is None:
                if not self.has_ended:  # after that it has no children any more
                    _kill(self.family())
                self._signal(signal.SIGKILL)
                self._reap()
                if self.pidfd is not None:
                    os.close(self.pidfd)
                    self.pidfd = None
        self._forget(self)
        return None if self._was_taken else self.process.returncode

    def _reap(self) -> None:
        """Wait for its end; `Popen` would say of one that was waited for that it went well."""
        status = 0
        try:
            _, status = os.waitpid(self.process.pid, 0)
        except ChildProcessError:
            self._was_taken = True
        self.process.returncode = os.waitstatus_to_exitcode(status)

    def _wait(self, seconds: float) -> None:
        """Wait until it has ended, without reaping it."""
        deadline = time.monotonic() + seconds
        while not self.has_ended and (left := deadline - time.monotonic()) > 0:
            if (pidfd := self.pidfd) is None:  # looked at once: another thread may kill it now
                time.sleep(min(left, POLL_SECONDS))
            else:
                connection.wait([pidfd], left)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def family(self) -> list[psutil.Process]:
        """Find the process and those it has started, as far as their parents still live.

        Looks through all processes of the system, a few milliseconds for hundreds of them.
        """
        try:
            leader = psutil.Process(self.process.pid)
            return [leader, *leader.children(recursive=True)]
        except psutil.Error:
            return []


class Children:
    """All processes that run actions now, so that none outlives the service.

    Started by `subprocess`, which never runs Python between fork and exec: safe beside threads.

    An action in a thread can change the service's own directory, environment and the like. What it
    starts with, all of these get.

    Attributes:
        directory: Where the service was started.
        environment: The environment that it was started with.
        path: Where Python found modules then.
    """

    def __init__(self, cores: Collection[int] = ()) -> None:
        """Store which cores they may use; none given: the same as the service."""
        self._cores = cores
        self.directory = Path.cwd()
        self.environment = dict(os.environ)  # noqa: TID251 - passed on; nothing here goes by it
        self.path = tuple(sys.path)
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._lock = threading.Lock()
        self._running: set[Child] = set()
        self._closed = False

    def start(self, command: Sequence[str], **options: Any) -> Child:  # noqa: ANN401 - those of `Popen`
        """Start a process in a group and a session of its own.

        Args:
            command: The program and its arguments.
            options: Whatever `Popen` takes besides; directory and environment by default are those
                of the service's start.

        Raises:
            OSError: It cannot be started.
            UnavailableError: The service is ending.
        """
        with self._lock:
            if self._closed:
                text = "the server is shutting down"
                raise UnavailableError(text)
            options = {"cwd": self.directory, "env": self.environment, **options}
            mask = signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)  # an action's, otherwise
            try:
                process = subprocess.Popen(  # noqa: S603 - the settings' own
                    command, start_new_session=True, umask=self._umask, **options
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            try:
                child = Child(process, self._forget)
            except OSError:  # no descriptor is left: nobody would watch it
                with process:  # closes its pipes, and waits for it
                    os.killpg(process.pid, signal.SIGKILL)
                raise
            self._running.add(child)
        with contextlib.suppress(OSError):  # it may have ended already
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process.pid, min(own + NICENESS, 19))
            if self._cores and hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(process.pid, self._cores)
        return child

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._running)

    def close(self) -> None:
        """Kill them all, and start no more."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for child in running:
            child.kill()

    def _forget(self, child: Child) -> None:
        with self._lock:
            self._running.discard(child)


def hear_of_children() -> None:
    """Let processes that have ended stay until they are waited for; call it in the main thread.

    Where whoever started this process ignores SIGCHLD, or a module does, they are gone at once, and
    with them how they ended.
    """
    if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def crashed(exit_code: int | None) -> Failure:
    """Return the failure of an attempt whose process ended by itself."""
    if exit_code is None:
        text = (
            "how the process ended is not known: an action in a thread of the service has waited"
            " for all processes, as os.wait() does"
        )
    elif exit_code < 0:
        text = f"the process was killed by {_signal_name(-exit_code)}"
    else:
        text = f"the process ended with exit code {exit_code}"
    return Failure(text, Outcome.CRASHED, contained=True)


def resident_mib(process: psutil.Process) -> float:
    """Return what the process occupies now; 0 if it has ended."""
    try:
        return float(process.memory_info().rss) / MIB
    except psutil.Error:
        return 0.0


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time one
        return f"signal {number}"


def _kill(processes: Sequence[psutil.Process]) -> None:
    for each in processes:
        with contextlib.suppress(psutil.Error):  # psutil checks that it is still the same process
            each.kill()
