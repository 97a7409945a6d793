"""A real server process, seen from outside: HTTP, signals, exit codes, log lines."""

import errno
import json
import os
import queue
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, TypeVar
from uuid import uuid4

import httpx

from tests.contract import Client

ROOT = Path(__file__).parent.parent
DEADLINE_SECONDS = 30.0
START_SECONDS = 90.0
"""How long a server may take until it listens: a second of work, on a busy machine many."""
POLL_SECONDS = 0.02

T = TypeVar("T")


def eventually(look: Callable[[], T], what: str, timeout: float = DEADLINE_SECONDS) -> T:
    """What `look` returns as soon as it is true; fails the test after the deadline.

    The only place where a test polls: another process can be asked, but not waited for.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (seen := look()):
        if time.monotonic() > deadline:
            message = f"not within {timeout:g} s: {what}; last seen: {seen!r}"
            raise AssertionError(message)
        pause.wait(POLL_SECONDS)
    return seen


def free_port(host: str = "127.0.0.1") -> int:
    """A port on which nobody listens, and which nobody else is given who asks for any.

    For those who cannot ask for any port themselves, or let go of theirs and take it again.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    while True:
        port = secrets.choice(_KEPT_PORTS)
        with socket.socket(family) as probe, suppress(OSError):
            probe.bind((host, port))
            return port


def _kept_ports() -> range:
    """The ports below those that the system gives away."""
    with suppress(OSError):
        text = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text()
        return range(10_000, max(12_000, int(text.split()[0])))
    return range(10_000, 32_768)


_KEPT_PORTS = _kept_ports()


def put_database(migrated: Path, directory: Path) -> None:
    """Put a copy of this file where a server in the directory has its database by default."""
    path = directory / "data" / "tasks.db"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(migrated, path)


class Gate:
    """A named pipe at which a task waits: the action `tests.actions:wait_for_fifo`."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"{uuid4().hex}.fifo"
        os.mkfifo(self.path)

    def open(self, text: str = "through") -> None:
        """Let the task that waits there go on, with this result."""
        with self.held() as file:
            file.write(text)

    @contextmanager
    def held(self) -> Iterator[TextIO]:
        """Keep what waits there waiting until the block ends."""
        opened = eventually(self._opened, f"a task waits at {self.path}")
        assert opened is not None
        with opened as file:
            yield file

    def _opened(self) -> TextIO | None:
        try:
            return os.fdopen(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads
                raise
            return None


def _client_of(address: str) -> httpx.Client:
    """A client of a server that listens on this URL, or path of a Unix socket."""
    if address.startswith("/"):
        transport = httpx.HTTPTransport(uds=address)
        return Client(base_url="http://localhost", transport=transport, timeout=DEADLINE_SECONDS)
    return Client(base_url=address, timeout=DEADLINE_SECONDS)


class ServerProcess:
    """`task-queue serve` in a directory of its own, on a free port."""

    def __init__(
        self,
        directory: Path,
        *settings: str,
        environ: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        program: Sequence[str] = (sys.executable, "-m", "task_queue"),
    ) -> None:
        """Keep how to start it.

        Args:
            directory: Where it runs.
            settings: As for `--set`.
            environ: Added to the environment.
            wrapper: A command that becomes the server, as in `nice -n 19`.
            program: What is installed as `task-queue`.
        """
        self.directory = directory
        self.wrapper = wrapper
        self.program = program
        self.settings = settings
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})}
        self.log: list[dict[str, Any]] = []
        self.output: list[str] = []
        self.client: httpx.Client = httpx.Client()
        self.unix_socket: str | None = None
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> "ServerProcess":
        """Start it and wait until it listens."""
        return self.spawn().wait_until_listening()

    def wait_until_listening(self) -> "ServerProcess":
        """Wait for the first line it says, and know its address from it."""
        line = self._lines.get(timeout=START_SECONDS)  # "" if it ended instead
        assert " listens on " in line, (line, self.log)
        self.client.close()
        address = line.split()[-1]
        self.unix_socket = address if address.startswith("/") else None
        self.client = _client_of(address)
        return self

    def spawn(self) -> "ServerProcess":
        """Start it without waiting for anything."""
        overrides = [part for each in self.settings for part in ("--set", each)]
        self._events, self._lines = queue.SimpleQueue(), queue.SimpleQueue()
        self.process = subprocess.Popen(
            [
                *self.wrapper,
                *self.program,
                "serve",
                "--set",
                "http.port=0",
                *overrides,
            ],
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=self._read_output, args=(self.process, self._lines)),
            threading.Thread(target=self._read_log, args=(self.process, self._events)),
        ]
        for thread in self._threads:
            thread.start()
        return self

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def wait(self, timeout: float = DEADLINE_SECONDS) -> int:
        """The exit code, when it has ended."""
        assert self.process is not None
        code = self.process.wait(timeout)
        for thread in self._threads:
            thread.join(timeout)
        return code

    def kill(self) -> None:
        """`kill -9`."""
        assert self.process is not None
        self.process.kill()
        self.wait()

    def terminate(self, timeout: float = DEADLINE_SECONDS) -> int:
        """SIGTERM; the exit code."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def close(self) -> None:
        """Leave nothing behind, however the test went."""
        if self.alive:
            self.kill()
        elif self.process is not None:
            self.wait()
        self.client.close()

    def wait_for_log(
        self, event: str, timeout: float = DEADLINE_SECONDS, **fields: object
    ) -> dict[str, Any]:
        """The next log line with this event and these fields."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                message = f"no log line {event!r} {fields} within {timeout:g} s"
                raise AssertionError(message) from None
            if line.get("event") == event and fields.items() <= line.items():
                return line

    def post(self, action: str, **data: object) -> httpx.Response:
        """The answer to a publish, whatever it is."""
        return self.client.post("/tasks", json={"action": action, "data": data})

    def publish(self, action: str, **data: object) -> str:
        """The id of a task that was answered with 202."""
        answer = self.post(action, **data)
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        return str(answer.json()["id"])

    def task(self, task_id: str) -> dict[str, Any]:
        """The task, as the API shows it."""
        answer = self.client.get(f"/tasks/{task_id}")
        assert answer.status_code == httpx.codes.OK, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def wait_for_status(
        self, task_id: str, status: str, timeout: float = DEADLINE_SECONDS
    ) -> dict[str, Any]:
        """The task, once it is in this state."""
        seen: dict[str, Any] = {}

        def look() -> bool:
            seen.clear()
            seen.update(self.task(task_id))
            return bool(seen["status"] == status)

        eventually(look, f"{task_id} {status}", timeout)
        return seen

    def all_tasks(self) -> list[dict[str, Any]]:
        """Every task, through the pages of the listing."""
        tasks: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            query = {"limit": "1000"} | ({"cursor": cursor} if cursor else {})
            page = self.client.get("/tasks", params=query).json()
            tasks += page["tasks"]
            cursor = page["next_cursor"]
            if cursor is None:
                return tasks

    def _read_output(
        self, process: "subprocess.Popen[str]", lines: "queue.SimpleQueue[str]"
    ) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                lines.put(line)
        lines.put("")

    def _read_log(
        self, process: "subprocess.Popen[str]", events: "queue.SimpleQueue[dict[str, Any]]"
    ) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"event": "", "text": line}
                self.log.append(event)
                events.put(event)
