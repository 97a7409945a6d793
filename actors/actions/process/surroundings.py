"""What tasks that run in the same process one after the other would share, put back after each.

A task that changes the directory, or closes standard output, would do so for all that come after
it in this process.
"""

# Asked directly, as `signal.getsignal` makes an enumeration of each answer: 100 µs for all of them.
import _signal  # type: ignore[import-not-found]
import contextlib
import fcntl
import gc
import os
import resource
import signal
import socket
import sys
import threading
import time
from typing import Any

_environ = os.environ  # noqa: TID251 - kept for the tasks; nothing here goes by it
STREAMS = range(3)
"""The descriptors of standard input, output and error."""
_LOWEST_COPY = 3
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_SIGNALS = tuple(sorted(signal.valid_signals()))
_LIMITS = tuple(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
_ATTRIBUTES: tuple[tuple[Any, str], ...] = (
    (os, "environ"),
    (sys, "argv"),
    (sys, "excepthook"),
    (sys, "path"),
    (sys, "stderr"),
    (sys, "stdin"),
    (sys, "stdout"),
    (threading, "excepthook"),
)
"""What may have been replaced by another object."""


class Surroundings:
    """The state of this process that a task finds.

    It costs a task some 20 µs, so only what is cheap to look at is here; `docs/actions.md` says
    what is not. Nothing is compared that can be set at once.
    """

    def __init__(self) -> None:
        """Take the state as it is now; in the main thread, as signals demand."""
        self._copies: dict[int, int] = {}
        self.take()

    def take(self) -> None:
        """Take the state anew: modules that were imported since have changed it on purpose."""
        self._take_descriptors()
        self._umask = os.umask(0o077)
        os.umask(self._umask)
        self._attributes = [(owner, name, getattr(owner, name)) for owner, name in _ATTRIBUTES]
        self._path, self._argv = [*sys.path], [*sys.argv]
        self._environment = dict(_environ)
        self._raw_environment = _raw_environment()
        self._handlers = [_signal.getsignal(number) for number in _SIGNALS]
        self._blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self._timers = [each for each in _TIMERS if signal.getitimer(each)[0] == 0]
        self._limits = [resource.getrlimit(each) for each in _LIMITS]
        self._fixed = _fixed()
        self._timeout = socket.getdefaulttimeout()
        self._recursion = sys.getrecursionlimit()
        self._switch = sys.getswitchinterval()
        self._collects = gc.isenabled()
        self._trace, self._profile = sys.gettrace(), sys.getprofile()
        decimal, locale = sys.modules.get("decimal"), sys.modules.get("locale")
        self._decimal = decimal and decimal.getcontext().copy()
        self._locale = locale and locale.setlocale(locale.LC_ALL)

    def put_back(self) -> bool:
        """Put all of it back; return whether that was possible, or the process has to go."""
        try:
            self._put_back_signals()  # first: an alarm would come in between
            self._put_back_descriptors()
            self._put_back_interpreter()
            self._put_back_limits()
        except Exception:  # noqa: BLE001 - also what a handler of the task's raises
            return False
        return self._fixed == _fixed()

    def _take_descriptors(self) -> None:
        for descriptor in self._copies.values():
            os.close(descriptor)
        self._copies = {}
        for descriptor in STREAMS:
            with contextlib.suppress(OSError):  # the service was started without it
                self._copies[descriptor] = _copy(descriptor)
        self._blocking = [each for each in self._copies if os.get_blocking(each)]
        with contextlib.suppress(OSError):  # the folder is gone
            self._copies[-1] = os.open(".", getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)

    def _put_back_descriptors(self) -> None:
        _flush()  # to where the task has led it
        for descriptor in STREAMS:
            if descriptor in self._copies:
                os.dup2(self._copies[descriptor], descriptor)
        for descriptor in self._blocking:  # the service's own streams have this state, too
            os.set_blocking(descriptor, True)
        if -1 in self._copies:
            os.fchdir(self._copies[-1])
        os.umask(self._umask)

    def _put_back_signals(self) -> None:
        for timer in self._timers:
            signal.setitimer(timer, 0)
        for number, handler in zip(_SIGNALS, self._handlers, strict=True):
            if _signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def _put_back_interpreter(self) -> None:
        for owner, name, value in self._attributes:
            setattr(owner, name, value)
        sys.path[:], sys.argv[:] = self._path, self._argv
        if _raw_environment() != self._raw_environment:
            self._put_back_environment()
        socket.setdefaulttimeout(self._timeout)
        sys.setrecursionlimit(self._recursion)
        sys.setswitchinterval(self._switch)
        (gc.enable if self._collects else gc.disable)()
        sys.settrace(self._trace)
        sys.setprofile(self._profile)
        if self._decimal:
            sys.modules["decimal"].setcontext(self._decimal.copy())
        if self._locale:
            locale = sys.modules["locale"]
            if locale.setlocale(locale.LC_ALL) != self._locale:
                locale.setlocale(locale.LC_ALL, self._locale)
        _check_output()

    def _put_back_environment(self) -> None:
        zone = _environ.get("TZ")
        for name in _environ.keys() - self._environment.keys():
            del _environ[name]
        _environ.update(self._environment)
        if zone != self._environment.get("TZ"):
            time.tzset()

    def _put_back_limits(self) -> None:
        for limit, value in zip(_LIMITS, self._limits, strict=True):
            if resource.getrlimit(limit) != value:
                resource.setrlimit(limit, value)


def _copy(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST_COPY)


def _raw_environment() -> dict[bytes, bytes]:
    """Return a copy of what `os.environ` holds; decoded, it would take 50 µs."""
    return _environ._data.copy()  # type: ignore[attr-defined, no-any-return]  # noqa: SLF001


def _fixed() -> tuple[object, ...]:
    """Return what cannot be put back, at least not without privileges."""
    root = os.stat("/")  # noqa: PTH116 - it takes 1 µs
    return (
        (root.st_dev, root.st_ino),
        os.getgroups(),
        os.getpriority(os.PRIO_PROCESS, 0),
        os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None,
        os.getuid(),
        os.geteuid(),
        os.getgid(),
        os.getegid(),
    )


def _flush() -> None:
    """Write out what the task has printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or no stream at all
            stream.flush()


def _check_output() -> None:
    """Write out what is left, where the service prints.

    Raises:
        ValueError: The stream is closed, or has lost its buffer.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):  # nobody reads it any more
                stream.flush()
