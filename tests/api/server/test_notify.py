"""What systemd is told of the service."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from task_queue.api.server.notify import Notifier
from tests.fakes import DEADLINE_SECONDS
from tests.harness import ServerProcess


@contextmanager
def listener(address: str) -> Iterator[socket.socket]:
    """A socket as systemd has one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(address)
        heard.settimeout(DEADLINE_SECONDS)
        yield heard


def told(heard: socket.socket) -> str:
    return heard.recv(4096).decode()


def test_without_a_socket_nothing_is_told() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "1000"})
    notifier.ready("port 8080")
    notifier.feed_while(lambda: pytest.fail("nobody asks"))
    notifier.stopping()


def test_a_socket_that_has_gone_does_no_harm(tmp_path: Path) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("port 8080")


def test_an_abstract_socket_is_told_as_well() -> None:
    name = f"task-queue-test-{os.getpid()}"
    with listener(f"\0{name}") as heard:
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).ready("port 8080")
        assert told(heard) == "READY=1\nSTATUS=listens on port 8080"


def test_the_watchdog_is_fed_only_while_work_gets_done(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    answers = iter([True, False, False, True])
    asked, ended = [], Event()

    def works() -> bool:
        answer = next(answers, None)
        if answer is None:
            ended.set()
        asked.append(answer)
        return bool(answer)

    with listener(path) as heard:
        notifier = Notifier({"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "30000"})
        notifier.feed_while(works)
        assert ended.wait(DEADLINE_SECONDS)
        notifier.end()
        heard.settimeout(0)
        fed = 0
        while True:
            try:
                assert told(heard) == "WATCHDOG=1"
            except BlockingIOError:
                break
            fed += 1
    assert asked[:5] == [True, False, False, True, None]
    assert fed == 2


@pytest.mark.system
def test_a_server_says_when_it_is_ready_that_it_lives_and_when_it_stops(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    environ = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "3000000"}
    with listener(path) as heard:
        server = ServerProcess(tmp_path, environ=environ)
        try:
            server.start()
            assert told(heard).startswith("READY=1\nSTATUS=listens on port ")
            assert told(heard) == "WATCHDOG=1"
            assert server.terminate() == 0
            left = [told(heard)]
            while left[-1] == "WATCHDOG=1":
                left.append(told(heard))
            assert left[-1] == "STOPPING=1\nSTATUS=drains"
        finally:
            server.close()
