"""Actions that change what belongs to their process, and one that shows it."""

import decimal
import gc
import locale
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

Data = dict[str, Any]

os.environ["SET_AT_IMPORT"] = "kept"


def replace_standard_output() -> None:
    """Lead it to a file, at the level of descriptors, and print there."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)
    os.close(descriptor)
    print("nowhere")


def close_standard_streams() -> None:
    """Close all three."""
    for descriptor in range(3):
        os.close(descriptor)


def change_environment() -> None:
    """Add, change and remove variables."""
    os.environ.update(ADDED="1", PATH="/nowhere", TZ="Asia/Tokyo")
    del os.environ["SET_AT_IMPORT"]
    time.tzset()


def set_alarm() -> None:
    """Ask for a signal that would end the process while a later task runs."""
    signal.setitimer(signal.ITIMER_REAL, 60)


def replace_streams() -> None:
    """Leave nothing that can be printed to."""
    sys.stdin = sys.stdout = sys.stderr = None


def lower_a_limit() -> None:
    """Allow fewer descriptors; the hard limit stays."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (40, hard))


def lower_a_hard_limit() -> None:
    """Allow less for good, but for a privileged process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


CHANGES_OF_ROOT: dict[str, Callable[[], Any]] = {
    "groups": lambda: os.setgroups([1]),
    "root directory": lambda: os.chroot("/proc"),
}

CHANGES: dict[str, Callable[[], Any]] = {
    "directory": lambda: os.chdir("/"),
    "environment": change_environment,
    "other environment": lambda: setattr(os, "environ", {}),
    "umask": lambda: os.umask(0o777),
    "closed": close_standard_streams,
    "replaced": replace_standard_output,
    "streams": replace_streams,
    "not blocking": lambda: os.set_blocking(2, False),
    "handler": lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
    "SIGTERM": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]),
    "alarm": set_alarm,
    "time-out": lambda: socket.setdefaulttimeout(0.001),
    "path": lambda: sys.path.insert(0, "/nowhere"),
    "other path": lambda: setattr(sys, "path", []),
    "arguments": lambda: sys.argv.append("--more"),
    "recursion": lambda: sys.setrecursionlimit(200),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 3),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "garbage": gc.disable,
    "trace": lambda: sys.settrace(lambda *_: None),
    "log": lambda: structlog.contextvars.bind_contextvars(user="somebody"),
    "limit": lower_a_limit,
    # What cannot be put back:
    "niceness": lambda: os.nice(1),
    "cores": lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]),
    **(CHANGES_OF_ROOT if os.geteuid() == 0 else {}),
    "detached": lambda: sys.stdout.detach(),  # type: ignore[union-attr]  # noqa: PLW0108 - of the stream of that process
    "closed buffer": lambda: sys.stdout.buffer.close(),  # noqa: PLW0108 - likewise
}


def look(data: Data) -> Data:
    """Show the state, and print."""
    print(data["text"])
    return state()


def change(data: Data) -> Data:
    """Show the state, then change it."""
    seen = state()
    CHANGES[data["what"]]()
    return seen


def state() -> Data:
    """Return all of it, and which process this is."""
    umask = os.umask(0)
    os.umask(umask)
    return {
        "process": os.getpid(),
        "directory": str(Path.cwd()),
        "environment": dict(os.environ),
        "zone": time.tzname[0],
        "umask": umask,
        # Without its number: each process has pipes of its own.
        "open": [
            str(Path(f"/proc/self/fd/{number}").readlink()).partition(":[")[0]
            for number in range(3)
        ],
        "blocking": [os.get_blocking(number) for number in range(3)],
        "handlers": [
            getattr(handler := signal.getsignal(number), "__name__", str(handler))
            for number in signal.valid_signals()
        ],
        "blocked": [*signal.pthread_sigmask(signal.SIG_BLOCK, ())],
        "timer": signal.getitimer(signal.ITIMER_REAL)[0],
        "time-out": socket.getdefaulttimeout(),
        "path": [*sys.path],
        "arguments": [*sys.argv],
        "recursion": sys.getrecursionlimit(),
        "decimal": decimal.getcontext().prec,
        "locale": locale.setlocale(locale.LC_ALL),
        "garbage": gc.isenabled(),
        "traced": sys.gettrace() is not None,
        "log": structlog.contextvars.get_contextvars(),
        "limits": [resource.getrlimit(number) for number in range(16)],
        "niceness": os.nice(0),
        "cores": sorted(os.sched_getaffinity(0)),
        "groups": os.getgroups(),
        "root directory": Path("/").stat().st_ino,
    }
