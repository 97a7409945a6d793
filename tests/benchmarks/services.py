"""The servers that peers need, each started for one measurement in a directory of its own."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.processes import free_port, running
from tests.harness import eventually
from tests.postgres import ThrowAwayServer


def missing_redis() -> str | None:
    """What is not there, if it cannot be started."""
    return None if shutil.which("redis-server") else "redis-server is not installed"


def missing_postgres() -> str | None:
    """What is not there, if it cannot be started."""
    if ThrowAwayServer.possible():
        return None
    return "PostgreSQL's server is not installed, or there is no user postgres to run it for root"


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """The URL of an empty Redis that answers a write when it is on disk."""
    port = free_port()
    command = [
        "redis-server",
        *("--bind", "127.0.0.1"),
        *("--port", str(port)),
        *("--dir", str(directory)),
        *("--appendonly", "yes"),
        *("--appendfsync", "always"),
        *("--save", ""),
    ]
    with running(command, directory):
        eventually(lambda: _answers(port), "Redis answers")
        yield f"redis://127.0.0.1:{port}"


@contextmanager
def postgres_server(directory: Path) -> Iterator[str]:
    """The URL of an empty PostgreSQL with its own defaults: a commit waits for the disk."""
    if os.geteuid() == 0:
        directory.chmod(0o755)  # the user it then runs as has to get to its files
    server = ThrowAwayServer(directory / "postgres")
    server.create()
    try:
        server.start()
        yield server.url
    finally:
        server.stop()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16) == b"+PONG\r\n"
    except OSError:
        return False
