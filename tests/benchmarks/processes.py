"""Starts the processes that are measured, and stops them whatever happens."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from tests.harness import ROOT

STOP_SECONDS = 10.0
"""How long a process may take to end by itself before it is killed."""


@contextmanager
def running(command: Sequence[str], directory: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in this directory, stopped with its children at the end of the block.

    What it says goes to a file there: nobody has to read it while figures are taken. It has a
    process group of its own, so that Ctrl-C reaches the benchmark only, which then stops it.

    Raises:
        RuntimeError: It ended before the block did; with the last it said.
    """
    log = directory / f"{uuid4().hex}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
    try:
        yield process
        _check(process, log)
    except Exception as error:
        _check(process, log)  # its end is the reason, where it ended
        error.add_note(f"{command} said last: {_last_line(log)}")
        raise
    finally:
        _stop(process)


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs this module."""
    return [sys.executable, "-m", module, *arguments]


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _check(process: "subprocess.Popen[bytes]", log: Path) -> None:
    if (code := process.poll()) is not None:
        raise RuntimeError(f"{process.args!r} ended with {code}: {_last_line(log)}")


def _last_line(log: Path) -> str:
    return log.read_text(errors="replace").strip().rpartition("\n")[2]


def _stop(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_SECONDS)
    with suppress(ProcessLookupError):  # nobody of its group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(STOP_SECONDS)
