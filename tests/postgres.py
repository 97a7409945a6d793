"""Finds or starts a PostgreSQL for the tests; the service itself never needs one unless told."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import psycopg

from tests.harness import eventually, free_port

HOW = (
    "no PostgreSQL found: set TASK_QUEUE_TEST_POSTGRES_URL, or run a server on 127.0.0.1:5432"
    " with a database `test`, or install one (Debian: apt-get install postgresql)"
)


def existing() -> str | None:
    """The URL of a running server on which databases may be created."""
    candidates = [
        os.environ.get("TASK_QUEUE_TEST_POSTGRES_URL"),
        "postgresql://127.0.0.1:5432/test",
        "postgresql://postgres@127.0.0.1:5432/test",
    ]
    for url in filter(None, candidates):
        try:
            with psycopg.connect(url, connect_timeout=3) as connection:
                row = connection.execute(
                    "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
                ).fetchone()
                if row and row[0]:
                    return (
                        f"postgresql://{connection.info.user}@127.0.0.1:5432/test"
                        if (url != os.environ.get("TASK_QUEUE_TEST_POSTGRES_URL"))
                        else url
                    )
        except psycopg.Error:
            continue
    return None


def binary(name: str) -> str | None:
    """Where a program of an installed PostgreSQL is: Debian keeps the server's off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(debian[-1]) if debian else shutil.which(name)


class ThrowAwayServer:
    """A PostgreSQL of the test's own, which it may stop and start."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        self.url = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        self._process: subprocess.Popen[bytes] | None = None

    @staticmethod
    def possible() -> bool:
        """Whether the programs, and a user to run them, are there."""
        if binary("initdb") is None or binary("postgres") is None:
            return False
        return os.geteuid() != 0 or any(user.pw_name == "postgres" for user in pwd.getpwall())

    def create(self) -> None:
        """Make its files."""
        self.directory.mkdir(parents=True, exist_ok=True)
        if self._user:
            shutil.chown(self.directory, self._user)
        subprocess.run(
            [str(binary("initdb")), "-D", str(self.directory), "-U", "tester", "-A", "trust", "-N"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
            timeout=60,
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [
                str(binary("postgres")),
                *("-D", str(self.directory)),
                *("-p", str(self.port)),
                *("-h", "127.0.0.1"),
                *("-k", ""),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd="/",
        )
        eventually(self._answers, "PostgreSQL answers")

    def stop(self) -> None:
        """Stop it at once, as a crash would: connections break."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: immediate shutdown
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.Error:
            return False
        return True


@contextmanager
def throw_away_server() -> Iterator[ThrowAwayServer]:
    """A running server of the test's own; in a directory that the user it needs may enter."""
    with TemporaryDirectory() as directory:
        server = ThrowAwayServer(Path(directory) / "data")
        Path(directory).chmod(0o755)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def create_database(server_url: str, template: str = "template1") -> str:
    """The URL of a new database on that server: an empty one, or a copy of one by its name."""
    name = f"task_queue_test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server_url.rpartition("/")[0] + f"/{name}"


def drop_database(server_url: str, url: str) -> None:
    """Drop it, whoever is still connected."""
    name = url.rpartition("/")[2]
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
