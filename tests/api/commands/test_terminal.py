"""Commands as processes: on a terminal, in a pipe, with Ctrl-C."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess, eventually, put_database

pytestmark = pytest.mark.system
_CODE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture(scope="module")
def server(serve_all: Callable[..., ServerProcess]) -> ServerProcess:
    return serve_all().start()


class Terminal:
    """A command on a terminal of its own.

    Attributes:
        shown: All that it has written so far, with what moves the cursor.
    """

    def __init__(self, words: Sequence[str], url: str, columns: int) -> None:
        self._mine, theirs = pty.openpty()
        os.set_blocking(self._mine, False)
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "TASK_QUEUE_URL": url, "TERM": "xterm"}
        for name in ("COLUMNS", "LINES", "NO_COLOR"):
            environ.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "task_queue", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environ,
            start_new_session=True,
        )
        os.close(theirs)
        self.shown = ""

    @property
    def text(self) -> str:
        """What it has written so far, without what moves the cursor and colours."""
        with suppress(BlockingIOError, OSError):  # nothing yet, or it has ended
            while part := os.read(self._mine, 65_536):
                self.shown += part.decode()
        return _CODE.sub("", self.shown).replace("\r\n", "\n")

    def wait_for(self, text: str) -> str:
        """All that it has written, once this is in it."""
        eventually(lambda: text in self.text, f"{text!r} is shown")
        return self.text

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._mine, keys.encode())

    def end(self) -> int:
        """Its exit code, when it has ended."""

        def ended() -> bool:
            assert self.text is not None  # what nobody reads would hold it up
            return self.process.poll() is not None

        eventually(ended, "it has ended")
        assert self.text is not None
        return self.process.returncode

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE_SECONDS)
        os.close(self._mine)


@contextmanager
def terminal(server: ServerProcess, *words: str, columns: int = 120) -> Iterator[Terminal]:
    """A command on a terminal with so many columns."""
    made = Terminal(words, str(server.client.base_url), columns)
    try:
        yield made
    finally:
        made.close()


def piped(server: ServerProcess, *words: str) -> "subprocess.Popen[str]":
    """A command whose output goes into a pipe."""
    url = str(server.client.base_url)
    return subprocess.Popen(
        [sys.executable, "-m", "task_queue", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TASK_QUEUE_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_watch_shows_queues_nodes_and_what_runs_until_q(server: ServerProcess) -> None:
    server.publish("sum", numbers=[1])
    with terminal(server, "watch", "--every", "0.2") as screen:
        text = screen.wait_for("running task")
        assert "published/s" in text
        assert "node or worker" in text
        assert f":{server.pid}" in text
        screen.type("q")
        assert screen.end() == 0
        assert screen.shown.endswith("\x1b[?25h\x1b[?1049l")  # cursor and screen are back
        assert "Traceback" not in screen.text


def test_watch_ends_with_ctrl_c_and_says_so_while_the_server_is_away(
    tmp_path: Path, migrated_file: Path
) -> None:
    put_database(migrated_file, tmp_path)
    server = ServerProcess(tmp_path)
    try:
        server.start()
        with terminal(server, "watch", "--every", "0.2") as screen:
            screen.wait_for("running task")
            server.kill()
            screen.wait_for("no server can be reached")
            screen.process.send_signal(signal.SIGINT)
            assert screen.end() == 0
    finally:
        server.close()


def test_a_table_on_a_terminal_fits_it_and_has_colours(server: ServerProcess) -> None:
    task_id = server.publish("sum", numbers="none of these is a list of numbers, nor will it be")
    server.wait_for_status(task_id, "dead")
    with terminal(server, "dead", "list", columns=80) as screen:
        assert screen.end() == 0
        lines = screen.text.splitlines()
        assert max(map(len, lines)) <= 80
        assert any(line.startswith(task_id) and line.rstrip().endswith("…") for line in lines)
        assert "\x1b[31mdead" in screen.shown


def test_a_question_on_a_terminal_is_answered_there(server: ServerProcess) -> None:
    answer = server.client.post("/tasks", json={"action": "asked", "delay_seconds": 3_600})
    task_id = answer.json()["id"]
    with terminal(server, "tasks", "cancel", "--action", "asked") as screen:
        screen.wait_for("cancel 1 task? [y/N]")
        screen.type("y\n")
        assert screen.end() == 0
        assert "1 task cancelled" in screen.text
    assert server.task(task_id)["status"] == "cancelled"


def test_tail_ends_quietly_with_ctrl_c(server: ServerProcess) -> None:
    with piped(server, "tail") as process:
        assert process.stdout is not None
        seen = ""
        for number in range(100):  # until it has begun to look
            task_id = server.publish("sum", numbers=[number])
            server.wait_for_status(task_id, "completed")
            if is_heard(process):
                seen = process.stdout.readline()
                break
        assert "published" in seen
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, error) == (0, "")


def is_heard(process: "subprocess.Popen[str]") -> bool:
    """Whether there is something to read within a second."""
    assert process.stdout is not None
    return bool(select.select([process.stdout], [], [], 1.0)[0])


def test_who_reads_no_further_hears_nothing_more(server: ServerProcess) -> None:
    tasks = [{"action": "sum", "data": {"text": "x" * 900}} for _ in range(500)]
    for _ in range(2):
        server.client.post("/tasks/batch", json={"tasks": tasks})
    with piped(server, "export") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith('{"id":')
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        process.wait(DEADLINE_SECONDS)


def test_ctrl_c_is_130_and_no_traceback(server: ServerProcess) -> None:
    answer = server.client.post("/tasks", json={"action": "sum", "delay_seconds": 3_600})
    with terminal(server, "tasks", "show", answer.json()["id"], "--wait", "1h") as screen:
        eventually(lambda: is_connected(screen.process.pid), "it waits for the server")
        screen.process.send_signal(signal.SIGINT)
        assert screen.end() == 130
        assert "Traceback" not in screen.text


def is_connected(pid: int) -> bool:
    """Whether the process has a connection."""
    return any(each.status == "ESTABLISHED" for each in psutil.Process(pid).net_connections())


def test_a_socket_that_is_not_there_is_one_line(server: ServerProcess, tmp_path: Path) -> None:
    with piped(server, "queues", "--url", f"unix:{tmp_path}/none") as process:
        output, error = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, output) == (3, "")
    assert error.startswith(f"task-queue: no server can be reached at unix:{tmp_path}/none (")
    assert len(error.splitlines()) == 1
