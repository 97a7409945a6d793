"""Procrastinate with PostgreSQL."""

from contextlib import AbstractContextManager
from pathlib import Path

from tests.benchmarks.peer import Peer
from tests.benchmarks.services import missing_postgres, postgres_server


class Procrastinate(Peer):
    """One process that runs two jobs at a time."""

    name = "Procrastinate"
    stands_on = "PostgreSQL, fsync at every commit"
    caveats = (
        "No result is stored, only that a job has succeeded; the result goes to the worker's log.",
        "A job whose worker was killed stays as it is until a task of your own retries it.",
    )
    package = "procrastinate"
    worker_processes = 1
    drained = 2_500

    def missing_server(self) -> str | None:
        """Whether PostgreSQL is installed."""
        return missing_postgres()

    def store(self, directory: Path) -> AbstractContextManager[str]:
        """The URL of a PostgreSQL that is started for it."""
        return postgres_server(directory)
