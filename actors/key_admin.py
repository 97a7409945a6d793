"""Makes, lists and revokes keys on the database itself, whether a server runs or not."""

import os
import pwd
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

from task_queue.actors.errors import DatabaseInUseError, MigrationError, NotFoundError
from task_queue.actors.store import audit, keys
from task_queue.actors.store.database import Database
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.migrate import has_table, is_at_head, migrate
from task_queue.actors.store.revisions import REVISIONS
from task_queue.actors.store.schema import api_keys
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.audit import AuditEntry
from task_queue.actors.tasks.keys import StoredKey

MIGRATION_SECONDS = 5.0
"""How long another process may take to make the database: a server that starts, or a second key."""
_LOOK_SECONDS = 0.05


def create(target: Database, key: StoredKey) -> bool:
    """Store a new key, and that it was made; return whether the database was made for it.

    Raises:
        ConflictError: Its name is taken.
        TaskQueueError: The database cannot be used; so of all here.
    """
    is_new = not has_table(target, REVISIONS)
    with _session(target) as session, session.transaction():
        keys.create(session.connection, key)
        audit.record(session.connection, _entry("create_key", key.name))
    return is_new


def every(target: Database) -> list[StoredKey]:
    """Return all keys, by name; changes nothing."""
    if not has_table(target, api_keys.name):
        return []
    with closing(Session(target, read_only=True)) as session, session.transaction():
        return keys.every(session.connection)


def revoke(target: Database, name: str) -> StoredKey:
    """Let a key hold no longer, and store that it was revoked; return it.

    Args:
        target: Which database.
        name: The key's name, or its id.

    Raises:
        NotFoundError: There is none.
    """
    if not has_table(target, api_keys.name):
        raise NotFoundError("key not found")
    with _session(target) as session, session.transaction():
        key = keys.revoke(session.connection, name, time.time())
        audit.record(session.connection, _entry("revoke_key", key.name))
        return key


def has_valid_key(target: Database, now: float) -> bool:
    """Return whether a key holds at this moment, Unix seconds; changes nothing."""
    # The schema may be another version's: it is migrated, or refused, only after this.
    if not has_table(target, api_keys.name):
        return False
    with closing(Session(target, read_only=True)) as session, session.transaction():
        return keys.has_valid(session.connection, now)


@contextmanager
def _session(target: Database) -> Iterator[Session]:
    """Open the database, migrated first if it is not yet."""
    deadline = time.monotonic() + MIGRATION_SECONDS
    while not is_at_head(target):
        try:
            _migrate(target)
        except DatabaseInUseError as error:
            if time.monotonic() > deadline:
                message = (
                    f"{error}, of another version: upgrade that server, or stop it to have the"
                    " database migrated"
                )
                raise MigrationError(message) from error
            time.sleep(_LOOK_SECONDS)
        else:
            break
    with closing(Session(target)) as session:
        yield session


def _migrate(target: Database) -> None:
    with ExitStack() as stack:
        if target.is_sqlite:
            lock = FileLock(target.path)
            lock.acquire()
            stack.callback(lock.release)
        migrate(target)


def _entry(what: str, target: str) -> AuditEntry:
    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:  # as in a container
        user = str(uid)
    return AuditEntry(
        at=time.time(),
        who=f"command line ({user})",
        what=what,
        target=target,
        source=socket.gethostname(),
    )
