"""What the writer looks after besides commits: is the database there, and what holds it back."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import LOG_BYTES
from task_queue.actors.store.database_file import DatabaseFile
from task_queue.actors.store.session import Session

CHECK_SECONDS = 1.0
"""How often to look at the files: four calls of the system."""
LOOK_SECONDS = 60.0
"""How often to ask PostgreSQL what holds it back: some milliseconds."""
HELD_BACK_SECONDS = 120.0
"""After how long it is worth a warning."""
MAX_NAMED = 5
"""How many sessions of each kind are named at most."""
_MIB = 2**20

_OLD_SESSIONS = sa.text("""
    SELECT pid, usename, application_name, state, extract(epoch FROM now() - xact_start)
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
      AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
      AND backend_type = 'client backend'
      AND xact_start < now() - make_interval(secs => :seconds)
    ORDER BY xact_start LIMIT :at_most
""")
_OLD_PREPARED = sa.text("""
    SELECT gid, extract(epoch FROM now() - prepared)
    FROM pg_prepared_xacts
    WHERE database = current_database()
      AND prepared < now() - make_interval(secs => :seconds)
    ORDER BY prepared LIMIT :at_most
""")
_IDLE_SLOTS = sa.text("""
    SELECT slot_name FROM pg_replication_slots
    WHERE NOT active AND (xmin IS NOT NULL OR catalog_xmin IS NOT NULL OR restart_lsn IS NOT NULL)
    ORDER BY slot_name LIMIT :at_most
""")


class Upkeep(Protocol):
    """What there is to look after, for one kind of database."""

    def check(self, now: float) -> None:
        """Accept the database before a commit.

        Args:
            now: The present moment, Unix seconds.

        Raises:
            StoreUnavailableError: What would be written would be lost.
        """

    def look(self, now: float) -> tuple[str, ...]:
        """Return a sentence for each thing that is wrong, though commits go through.

        Args:
            now: The present moment, Unix seconds; between two transactions.
        """


class FileUpkeep:
    """SQLite: sees that the file is still there, and gives the space of its log back."""

    def __init__(
        self,
        session: Session,
        file: DatabaseFile,
        *,
        held_back_seconds: float = HELD_BACK_SECONDS,
        log_bytes: int = LOG_BYTES,
    ) -> None:
        """Store what is looked after.

        Args:
            session: The writer's.
            file: The database.
            held_back_seconds: After how long a reader in the way is worth a warning.
            log_bytes: How large the log may stay.
        """
        self._session = session
        self._file = file
        self._held_back_seconds = held_back_seconds
        self._log_bytes = log_bytes
        self._checked_at = self._looked_at = float("-inf")
        self._openings = 0
        self._error: StoreUnavailableError | None = None
        self._large_since: float | None = None
        self._warnings: tuple[str, ...] = ()

    def check(self, now: float) -> None:
        """Accept the file if it is the one that is open; looks once a second."""
        if not self._session.is_open:
            self._file.closed()
        if abs(now - self._checked_at) >= CHECK_SECONDS:
            self._checked_at = now
            self._error = None
            try:
                self._file.check(now)
                self._check_log()
            except StoreUnavailableError as error:
                self._error = error
        if self._error is not None:
            raise self._error

    def _check_log(self) -> None:
        if not self._session.is_open:  # SQLite begins the log anew
            return
        # An empty one is right if SQLite, too, has nothing in it that is not in the database.
        is_empty = self._file.log_bytes == 0
        if self._file.log_is_cut or (is_empty and not self._session.log_is_whole):
            raise self._file.log_was_emptied()

    def look(self, now: float) -> tuple[str, ...]:
        """Fold a log that has grown too large into the file; name who holds it for long."""
        if self._openings != self._session.openings:
            self._openings = self._session.openings
            self._file.opened()
        if abs(now - self._looked_at) >= CHECK_SECONDS:
            self._looked_at = now
            self._warnings = self._look(now)
        return self._warnings

    def _look(self, now: float) -> tuple[str, ...]:
        size = self._file.log_bytes
        if size <= self._log_bytes or self._session.fold_log():
            self._large_since = None
            return ()
        if self._large_since is None or self._large_since > now:
            self._large_since = now
        seconds = now - self._large_since
        if seconds < self._held_back_seconds:
            return ()
        text = (
            f"{_reader(self._file.index_inode)} has been reading the database for at least"
            f" {self._held_back_seconds:.0f} s without a pause: its write-ahead log, {size // _MIB}"
            " MiB, cannot be folded into it and grows"
        )
        return (text,)


class ServerUpkeep:
    """PostgreSQL: names what keeps it from clearing away old versions of rows."""

    def __init__(self, session: Session, *, held_back_seconds: float = HELD_BACK_SECONDS) -> None:
        """Store what is looked after.

        Args:
            session: The writer's.
            held_back_seconds: After how long a transaction in the way is worth a warning.
        """
        self._session = session
        self._held_back_seconds = held_back_seconds
        self._looked_at = float("-inf")
        self._idle_slots: set[str] = set()
        self._warnings: tuple[str, ...] = ()

    def check(self, now: float) -> None:
        """Accept it: what it cannot write it refuses itself."""

    def look(self, now: float) -> tuple[str, ...]:
        """Ask once a minute."""
        if abs(now - self._looked_at) >= LOOK_SECONDS:
            self._looked_at = now
            with suppress(StoreUnavailableError), self._session.transaction():  # the commits tell
                self._warnings = tuple(self._look())
        return self._warnings

    def _look(self) -> list[str]:
        connection = self._session.connection
        bounds = {"seconds": self._held_back_seconds, "at_most": MAX_NAMED}
        found = list(self._session.risks)
        for pid, user, program, state, seconds in connection.execute(_OLD_SESSIONS, bounds):
            who = f"{user} ({program or 'no application_name'}, process {pid}, {state})"
            found.append(f"a transaction of {who} {_holds_back(seconds)}")
        for name, seconds in connection.execute(_OLD_PREPARED, bounds):
            found.append(f"the prepared transaction {name!r} {_holds_back(seconds)}")
        slots = set(connection.scalars(_IDLE_SLOTS, {"at_most": MAX_NAMED}))
        unused = sorted(slots & self._idle_slots)  # not one whose replica just comes back
        found += [
            f"nobody uses the replication slot {name!r}, for which PostgreSQL keeps its log"
            for name in unused
        ]
        self._idle_slots = slots
        return found


def _holds_back(seconds: float) -> str:
    return f"has been open for {float(seconds) / 60:.0f} min and holds back the vacuum"


def _reader(
    index_inode: int | None, locks: Callable[[], str] = lambda: Path("/proc/locks").read_text()
) -> str:
    """Return which other processes hold locks on the index of the log, as far as Linux tells."""
    holders: set[int] = set()
    with suppress(OSError, ValueError, IndexError):
        for line in locks().splitlines():
            fields = line.split()  # 1: POSIX ADVISORY READ 4711 08:01:1234 123 123
            if int(fields[5].rpartition(":")[2]) == index_inode:
                holders.add(int(fields[4]))
    others = sorted(holders - {os.getpid()})
    return f"process {', '.join(map(str, others))}" if others else "something"
