"""What an action in a thread changes in the service's process does the service no harm."""

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from tests.actors.actions.acts import is_over
from tests.harness import DEADLINE_SECONDS, Gate, ServerProcess, eventually

pytestmark = pytest.mark.system

ACTIONS = """
import decimal, gc, locale, logging, os, random, signal, socket, sys, threading, time, warnings
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
import structlog

CHANGES = {
    "children": lambda: [end_child() for _ in range(20)],
    "directory": lambda: os.chdir("/"),
    "umask": lambda: os.umask(0o777),
    "environment": lambda: os.environ.clear(),
    "home": lambda: os.environ.update(PYTHONHOME="/nowhere", TASK_QUEUE_HTTP__PORT="no port"),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "time zone": lambda: (os.environ.update(TZ="Asia/Tokyo"), time.tzset()),
    "path": lambda: sys.path.clear(),
    "time-out": lambda: socket.setdefaulttimeout(0.001),
    "output": lambda: (sys.stdout.close(), setattr(sys, "stdout", None)),
    "error": lambda: (sys.stderr.close(), setattr(sys, "stderr", None)),
    "input": lambda: sys.stdin.close(),
    "garbage": lambda: gc.disable(),
    "random": lambda: random.seed(1),
    "warnings": lambda: warnings.simplefilter("error"),
    "logging": lambda: (logging.disable(), logging.basicConfig(force=True)),
    "structlog": lambda: structlog.configure(processors=[structlog.dev.ConsoleRenderer()]),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 1),
    "hook": lambda: setattr(threading, "excepthook", print),
    "switch": lambda: sys.setswitchinterval(0.1),
    "recursion": lambda: sys.setrecursionlimit(500),
    "mask": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()),
    "niceness": lambda: os.nice(1),
    "cores": lambda: os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]),
}

def end_child():
    child = get_context("fork").Process(target=signal.pause)
    child.start()
    child.terminate()
    child.join(5)
    assert child.exitcode == -signal.SIGTERM

def close(data):
    Path(data["gate"]).read_bytes()
    os.closerange(3, 64)
    while data["reuses"] and os.open(os.devnull, os.O_RDONLY) < 64:
        pass

def change(data):
    CHANGES[data["what"]]()
    return "changed"

def leave(data):
    ThreadPoolExecutor().submit(threading.Event().wait)
    process = get_context("fork").Process(target=stay)
    process.start()
    return process.pid

def stay():
    for each in os.listdir("/proc/self/fd"):
        if os.path.basename(os.path.realpath(f"/proc/self/fd/{each}")).startswith("pipe:"):
            os.dup2(os.open(os.devnull, os.O_RDWR), int(each))  # or the test would wait for it
    signal.pause()

def look(data):
    made = Path(data["made"])
    made.touch()
    return [os.getcwd(), os.environ["PATH"], os.environ.get("TZ"), oct(made.stat().st_mode)]
"""
TAKING = """
import faulthandler, signal

for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
    signal.signal(each, signal.SIG_IGN)
signal.set_wakeup_fd(-1)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
"""
"""What a module does that handles signals by itself."""
CONFIG = """
[actions]
change = "mine:change"
leave = "mine:leave"
close = "mine:close"

[actions.look]
python = "mine:look"
execution = "process"

[actions.program]
command = ["./here.sh"]
directory = "programs"
"""
CHANGES = [line.split('"')[1] for line in ACTIONS.splitlines() if line.startswith('    "')]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, in which everything is named from."""
    (tmp_path / "mine.py").write_text(ACTIONS)
    (tmp_path / "mine.toml").write_text(CONFIG)
    script = tmp_path / "programs" / "here.sh"
    script.parent.mkdir()
    script.write_text('#!/bin/sh\necho "[\\"$(pwd)\\", \\"$PATH\\", \\"$(umask)\\"]"\n')
    script.chmod(0o755)
    return tmp_path


def test_whatever_an_action_in_a_thread_changes_the_service_goes_on_as_it_began(
    folder: Path,
) -> None:
    server = ServerProcess(folder, environ={"TASK_QUEUE_CONFIG": "mine.toml"})
    try:
        server.start()
        look_at(server, folder, "before")
        for what in CHANGES:
            task = server.wait_for_status(server.publish("change", what=what), "completed")
            assert task["result"] == "changed"
        look_at(server, folder, "after")
        (folder / "mine.toml").write_text(f'{CONFIG}\n[actions.other]\npython = "mine:look"\n')
        server.signal(signal.SIGHUP)
        server.wait_for_log("settings reloaded")
        look_at(server, folder, "reloaded")
        last = server.publish("sum", numbers=[1])
        server.kill()
        server.start()
        server.wait_for_status(last, "completed")
        assert [each.name for each in folder.glob("data/*.db")] == ["tasks.db"]
    finally:
        server.close()


@pytest.mark.parametrize("who", ["the parent", "a module"])
def test_signals_are_the_services_whoever_has_taken_them_before(folder: Path, who: str) -> None:
    config = f'{CONFIG}\n[actions.three]\ncommand = ["sh", "-c", "exit 3"]\n'
    (folder / "mine.toml").write_text(f"{config}[queues.tasks]\nmax_attempts = 1\n")
    if who == "a module":
        (folder / "mine.py").write_text(ACTIONS + TAKING)
    ignoring = f"import os, signal, sys\n{TAKING}\nos.execvp(sys.argv[1], sys.argv[1:])"
    wrapper = (sys.executable, "-c", ignoring) if who == "the parent" else ()
    environ = {"TASK_QUEUE_CONFIG": "mine.toml"}
    server = ServerProcess(folder, environ=environ, wrapper=wrapper)
    try:
        server.start()
        look_at(server, folder, "before")
        task = server.wait_for_status(server.publish("three"), "dead")
        assert task["error"] == "exit code 3"
        server.signal(signal.SIGHUP)
        server.wait_for_log("settings reloaded")
        assert server.terminate() == 0
    finally:
        server.close()


def test_a_log_that_nobody_reads_does_not_stop_the_service(folder: Path) -> None:
    log = folder / "log"
    os.mkfifo(log)
    with os.fdopen(os.open(log, os.O_RDWR | os.O_NONBLOCK), "rb", buffering=0) as reader:
        with suppress(BlockingIOError):
            while True:
                os.write(reader.fileno(), b"\n" * select.PIPE_BUF)
        wrapper = ("sh", "-c", 'exec "$@" 2> "$0"', str(log))
        server = ServerProcess(folder, wrapper=wrapper)
        try:
            server.start()
            last = [server.publish("sum", numbers=[1]) for _ in range(100)][-1]
            server.wait_for_status(last, "completed")
            while reader.read(select.PIPE_BUF):
                pass
            server.publish("sum", numbers=[1])
            assert server.terminate() == 0
            assert b"lines of this log were lost" in (reader.read(select.PIPE_BUF) or b"")
        finally:
            server.close()


def test_what_an_action_in_a_thread_leaves_keeps_nothing_of_the_service_nor_it_from_ending(
    folder: Path,
) -> None:
    server = ServerProcess(folder, environ={"TASK_QUEUE_CONFIG": "mine.toml"})
    left: list[int] = []
    try:
        for end in (server.kill, server.terminate):
            server.start()
            address = ("127.0.0.1", server.client.base_url.port or 0)
            server.wait_for_status(server.publish("look", made=str(folder / "made")), "completed")
            processes = psutil.Process(server.pid).children()
            with socket.create_connection(address, DEADLINE_SECONDS) as idle:
                idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert b"alive" in idle.recv(4_096)
                task = server.wait_for_status(server.publish("leave"), "completed")
                left.append(int(task["result"]))
                code = end()
                assert idle.recv(1) == b""
            assert processes
            for process in processes:
                eventually(partial(is_over, process.pid), f"{process} has ended")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(address)
        assert code == 0
        assert server.log[-1]["event"] == "ended by force, what actions have left does not end"
    finally:
        server.close()
        for each in left:
            os.kill(each, signal.SIGKILL)


@pytest.mark.parametrize("reuses", [False, True])
def test_a_service_whose_port_is_closed_by_an_action_ends(folder: Path, *, reuses: bool) -> None:
    server = ServerProcess(folder, environ={"TASK_QUEUE_CONFIG": "mine.toml"})
    try:
        server.start()
        gate = Gate(folder)
        server.publish("close", reuses=reuses, gate=str(gate.path))
        gate.open()
        assert server.wait() == 1
        assert server.log[-1]["text"].startswith("ended: the descriptor of the port was closed")
    finally:
        server.close()


def look_at(server: ServerProcess, folder: Path, when: str) -> None:
    """Fail unless a process and a program find what the service was started with."""
    made = folder / when
    look, program, plain = (
        server.publish("look", made=str(made)),
        server.publish("program"),
        server.publish("sum", numbers=[1, 2]),
    )
    path, zone = server.environ["PATH"], server.environ.get("TZ")
    result = server.wait_for_status(look, "completed")["result"]
    assert result == [str(folder), path, zone, oct(0o100666 & ~umask())]
    result = server.wait_for_status(program, "completed")["result"]
    assert result == [str(folder / "programs"), path, f"{umask():04o}"]
    assert server.wait_for_status(plain, "completed")["result"] == {"output": 3}
    assert server.client.get("/readyz").status_code == httpx.codes.OK


def umask() -> int:
    """What new files of this process and the server do not get."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("Umask:")[1].split()[0], 8)
