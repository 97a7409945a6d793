"""The server as process 1 of a container."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.harness import ServerProcess, eventually

pytestmark = pytest.mark.system

CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
SETTINGS = (
    "actions.die=tests.actions:exit_process",
    "actions.later=mine:later",
    'actions.orphans={command = ["sh", "-c", "(sleep 0.1 & setsid sleep 0.2 & exit 0)"]}',
)
MINE = """
import subprocess, time

def later(data):
    process = subprocess.Popen(["sh", "-c", "exit 7"])
    time.sleep(0.5)  # it has ended by now, and nobody else may wait for it
    return process.wait()
"""


def _is_possible() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*CONTAINER, "true"], check=False, capture_output=True).returncode == 0


@pytest.fixture
def container(tmp_path: Path) -> Iterator[tuple[ServerProcess, psutil.Process]]:
    """A server that was started as process 1, and that process."""
    if not _is_possible():
        pytest.skip("needs unshare, and to be allowed to use it")
    (tmp_path / "mine.py").write_text(MINE)
    server = ServerProcess(tmp_path, *SETTINGS, wrapper=CONTAINER)
    try:
        server.start()
        (first,) = psutil.Process(server.pid).children()
        yield server, first
    finally:
        server.close()


def test_orphans_of_programs_are_waited_for_and_nobody_elses_children(
    container: tuple[ServerProcess, psutil.Process],
) -> None:
    server, first = container
    tasks = [server.publish("orphans") for _ in range(10)]
    later = server.publish("later")
    for task in tasks:
        server.wait_for_status(task, "completed")
    assert server.wait_for_status(later, "completed")["result"] == 7
    eventually(lambda: len(first.children()) == 1, "only the server is left")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_process_1_drains_the_server(
    container: tuple[ServerProcess, psutil.Process], number: signal.Signals
) -> None:
    server, first = container
    os.kill(first.pid, signal.SIGHUP)
    server.wait_for_log("settings reloaded")
    os.kill(first.pid, number)
    assert server.wait() == 0
    server.wait_for_log("stopped")


def _die(server: ServerProcess) -> None:
    with suppress(httpx.TransportError):
        server.post("die")


def _be_killed(server: ServerProcess) -> None:
    (first,) = psutil.Process(server.pid).children()
    (child,) = first.children()
    child.kill()


@pytest.mark.parametrize(("end", "code"), [(_die, 17), (_be_killed, 128 + signal.SIGKILL)])
def test_the_container_ends_with_its_server(
    container: tuple[ServerProcess, psutil.Process],
    end: Callable[[ServerProcess], None],
    code: int,
) -> None:
    server, _ = container
    end(server)
    assert server.wait() == code
