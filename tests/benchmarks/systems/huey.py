"""Huey with SQLite."""

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from tests.benchmarks.peer import Peer


class Huey(Peer):
    """Two worker processes on one SQLite file, which is synced at every commit."""

    name = "Huey"
    stands_on = "SQLite, fsync at every commit"
    caveats = (
        "A task is deleted from the queue before it runs: if its worker is killed, it is lost.",
        "The result is a commit of its own after the work; if it fails, the task is lost too.",
        "Of a finished task only the result is left; reading it deletes it unless told otherwise.",
    )
    package = "huey"
    worker_processes = 1
    drained = 10_000

    def missing_server(self) -> None:
        """It has none."""

    def store(self, directory: Path) -> AbstractContextManager[str]:
        """Its file."""
        return nullcontext(str(directory / "huey.db"))
