"""`task-queue keys`: makes, lists and revokes keys, on the database that the settings name."""

import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from task_queue.actors import key_admin
from task_queue.actors.errors import NotFoundError, TaskQueueError
from task_queue.actors.store.database import Database
from task_queue.actors.tasks.keys import StoredKey
from task_queue.actors.tasks.text import cut, unknown
from task_queue.api.auth.keys import hash_of, id_of, is_id, new_key
from task_queue.api.auth.scopes import Scope
from task_queue.api.standard_streams import check_is_read, say
from task_queue.config.keys_file import read_keys
from task_queue.config.names import NAME_RULE, is_name
from task_queue.config.settings import AuthSettings, SettingsError

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
MAX_SECONDS = 3_155_760_000
"""100 years."""


def drawn(
    name: str, scopes: Sequence[str], queues: Sequence[str], expires: str | None
) -> tuple[str, StoredKey]:
    """Return a new key, and what is to be stored of it.

    Args:
        name: What to call it.
        scopes: What it may do.
        queues: The queues to restrict it to; none: it is not restricted.
        expires: How long it holds, as in `90d`; None: without end.

    Raises:
        SettingsError: An argument is wrong.
    """
    now = time.time()
    if not is_name(name):
        raise SettingsError(f"NAME = {name}: {NAME_RULE}")
    if is_id(name):  # or a revocation by the one would be one by the other
        raise SettingsError(f"NAME = {name}: must not look like the id of a key")
    if id_of(name):  # so is this; and it would be shown
        raise SettingsError("NAME must not be a key")
    allowed = [scope.value for scope in Scope]
    if not scopes:
        raise SettingsError(f"--scope must be given, once or more: {', '.join(allowed)}")
    for scope in scopes:
        if scope not in allowed:
            raise SettingsError(unknown("--scope", scope, allowed))
    for queue in queues:
        if not is_name(queue):
            raise SettingsError(f"--queue = {queue}: {NAME_RULE}")
    seconds = None if expires is None else _seconds(expires)
    key = new_key(secrets.token_hex)
    stored = StoredKey(
        id=id_of(key) or "",
        name=name,
        hash=hash_of(key),
        scopes=tuple(dict.fromkeys(scopes)),
        queues=tuple(dict.fromkeys(queues)) or None,
        created_at=int(now),
        expires_at=None if seconds is None else now + seconds,
    )
    return key, stored


def create(target: Database, key: str, stored: StoredKey, known_queues: Sequence[str]) -> None:
    """Store a key, and show it: alone on standard output, this once.

    Args:
        target: Which database.
        key: The key.
        stored: What is kept of it.
        known_queues: The queues of the settings.

    Raises:
        TaskQueueError: The name is taken, the database cannot be used, or nobody sees the key.
    """
    check_is_read()
    is_new = key_admin.create(target, stored)
    where = f"in the database {target.shown}{', which is new' if is_new else ''}"
    try:
        say(key)  # after the commit: a key that is shown holds
    except (TaskQueueError, BrokenPipeError) as error:
        message = (
            f"the key {stored.name} was made {where}, but cannot be shown ({error});"
            f" revoke it: task-queue keys revoke {stored.name}"
        )
        raise TaskQueueError(message) from error
    for queue in stored.queues or ():
        if queue not in known_queues:
            _tell(f"warning: {unknown('--queue', queue, known_queues)}")
    _tell(f"key {stored.name} made, id {stored.id}, {where}")
    _tell("it is shown only now, and kept as a hash")


def list_all(target: Database) -> None:
    """Show all keys, without what is secret."""
    now = time.time()
    found = key_admin.every(target)
    rows: list[tuple[str, ...]] = [
        ("id", "name", "scopes", "queues", "created", "expires", "state")
    ]
    rows += [_row(key, now) for key in found]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        say("  ".join(f"{text:{width}}" for text, width in zip(row, widths, strict=True)).rstrip())
    if not found:
        _tell(f"there is no key in the database {_shown(target)}")


def revoke(target: Database, name: str, auth: AuthSettings) -> None:
    """Let a key hold no longer.

    Args:
        target: Which database.
        name: Its name, its id, or the key itself, as where one was found.
        auth: Where there may be a key of this name as well, which is not taken away here.

    Raises:
        TaskQueueError: There is none, or the database cannot be used.
    """
    name = id_of(name) or name  # of a key no error may show more
    try:
        key = key_admin.revoke(target, name)
    except NotFoundError as error:
        message = f"{error}: {cut(name)} is not in the database {_shown(target)}"
        raise NotFoundError("; ".join([message, *_elsewhere(name, auth)])) from error
    say(f"key {key.name} ({key.id}) revoked: servers refuse it within 5 seconds")
    for each in _elsewhere(name, auth):
        _tell(f"warning: {each}")


def _elsewhere(name: str, auth: AuthSettings) -> Iterator[str]:
    """Yield where else a key of this name is, and what to do there."""
    todo = "it holds until it is taken away there"
    if name in auth.keys:
        yield f"there is a key {name} in the settings: {todo}"
    try:
        if auth.keys_file and name in read_keys(Path(auth.keys_file)):
            yield f"there is a key {name} in the file {auth.keys_file}: {todo}"
    except SettingsError as error:  # what the database has is revoked all the same
        yield str(error)


def _row(key: StoredKey, now: float) -> tuple[str, ...]:
    return (
        key.id,
        key.name,
        ",".join(key.scopes),
        "all" if key.queues is None else ",".join(key.queues),
        _time(key.created_at),
        "never" if key.expires_at is None else _time(key.expires_at),
        key.state(now),
    )


def _seconds(text: str) -> int:
    """Return how long that is.

    Raises:
        SettingsError: It is no duration.
    """
    parts = re.fullmatch("([1-9][0-9]{0,9})([smhdw])", text)
    seconds = 0 if parts is None else int(parts[1]) * _UNITS[parts[2]]
    if not 0 < seconds <= MAX_SECONDS:
        message = (
            f"--expires = {text}: must be a whole number with s, m, h, d or w, as in 90d, of at"
            " most 100 years"
        )
        raise SettingsError(message)
    return seconds


def _time(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _shown(target: Database) -> str:
    is_absent = target.is_sqlite and not target.path.exists()
    return f"{target.shown}{', which is not there' if is_absent else ''}"


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
