"""`task-queue serve` as a user starts it: a process of its own, on a free port."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from tests.benchmarks.processes import free_port, python, running
from tests.harness import DEADLINE_SECONDS, eventually

EMPTY_HANDLER = "tests.benchmarks.own.empty_handler"
"""The module that starts the same server without what is behind it."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server process that runs.

    Attributes:
        directory: Where it runs, and keeps its database as `data/tasks.db`.
        port: Where it listens on 127.0.0.1, once it is ready.
        started_at: When its process was started, on the clock `time.perf_counter`.
    """

    directory: Path
    port: int
    started_at: float
    _process: subprocess.Popen[bytes]

    def wait_until_ready(self) -> float:
        """The seconds from the start of the process to the first `200` of `/readyz`."""
        eventually(self._is_ready, "the server is ready")
        return time.perf_counter() - self.started_at

    def cpu_seconds(self) -> float:
        """What its threads have used of all cores so far, in user and system mode."""
        # The fields after the name, which stands in brackets and may hold anything.
        fields = self._proc("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND

    def resident_mib(self) -> float:
        """The memory it occupies now."""
        line = next(line for line in self._proc("status").splitlines() if "VmRSS" in line)
        return int(line.split()[1]) / 1024

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self._process.pid}/{name}").read_text()

    def _is_ready(self) -> bool:
        if self._process.poll() is not None:
            message = "the server ended before it was ready"
            raise RuntimeError(message)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_SECONDS)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()


@contextmanager
def starting(directory: Path, *settings: str, module: str = "task_queue") -> Iterator[Server]:
    """A server until the end of the block; it may not be ready yet.

    Args:
        directory: Where it runs; made if it is not there.
        settings: As for `--set`; all others are at their defaults.
        module: What is run.
    """
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    overrides = [part for each in (f"http.port={port}", *settings) for part in ("--set", each)]
    now = time.perf_counter()
    with running(python(module, "serve", *overrides), directory) as process:
        yield Server(directory, port, now, process)


@contextmanager
def serving(directory: Path, *settings: str, module: str = "task_queue") -> Iterator[Server]:
    """The same, ready for requests."""
    with starting(directory, *settings, module=module) as server:
        server.wait_until_ready()
        yield server
