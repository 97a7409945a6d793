"""The keys as rows, found by the part of them that is public."""

import json
from typing import Any

import sqlalchemy as sa

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.store.schema import api_keys
from task_queue.actors.store.session import insert_into
from task_queue.actors.tasks.keys import StoredKey

_ALL = sa.select(api_keys).order_by(api_keys.c.name)
_ONE = sa.select(api_keys).where(api_keys.c.id == sa.bindparam("wanted"))
_ANY = (
    sa.select(api_keys.c.id)
    .where(
        api_keys.c.revoked_at.is_(None),
        sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > sa.bindparam("now")),
    )
    .limit(1)
)
_REVOKE = (
    sa.update(api_keys)
    .where(
        sa.or_(api_keys.c.name == sa.bindparam("wanted"), api_keys.c.id == sa.bindparam("wanted")),
        api_keys.c.revoked_at.is_(None),
    )
    .values(revoked_at=sa.bindparam("now"))
    .returning(api_keys)
)
_NAMED = sa.select(api_keys).where(
    sa.or_(api_keys.c.name == sa.bindparam("wanted"), api_keys.c.id == sa.bindparam("wanted"))
)


def every(connection: sa.Connection) -> list[StoredKey]:
    """Return all keys, by name; those that do not hold any more, too."""
    return [_key(row) for row in connection.execute(_ALL)]


def find(connection: sa.Connection, key_id: str) -> StoredKey | None:
    """Return the key with this id, whether it holds or not."""
    row = connection.execute(_ONE, {"wanted": key_id}).first()
    return None if row is None else _key(row)


def has_valid(connection: sa.Connection, now: float) -> bool:
    """Return whether any key holds at this moment, Unix seconds."""
    return connection.execute(_ANY, {"now": now}).first() is not None


def create(connection: sa.Connection, key: StoredKey) -> None:
    """Store a new key.

    Raises:
        ConflictError: There is one by this name, even if it does not hold any more: the audit log
            has the name.
    """
    new = insert_into(connection, api_keys).on_conflict_do_nothing().returning(api_keys.c.id)
    columns = {
        "id": key.id,
        "name": key.name,
        "hash": key.hash,
        "scopes": json.dumps(key.scopes),
        "queues": None if key.queues is None else json.dumps(key.queues),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }
    # By a returned row, as PostgreSQL's driver has no row count for this insert.
    if connection.execute(new, columns).first() is None:
        message = f"there is a key by the name {key.name}, or was one: take another name"
        raise ConflictError(message)


def revoke(connection: sa.Connection, name: str, now: float) -> StoredKey:
    """Let a key hold no longer.

    Args:
        connection: Inside a transaction.
        name: The key's name, or its id.
        now: The present moment, Unix seconds.

    Returns:
        The key, with the time at which it was revoked first.

    Raises:
        NotFoundError: There is none.
    """
    row = connection.execute(_REVOKE, {"wanted": name, "now": now}).first()
    if row is None and (row := connection.execute(_NAMED, {"wanted": name}).first()) is None:
        raise NotFoundError("key not found")
    return _key(row)


def _key(row: sa.Row[Any]) -> StoredKey:
    return StoredKey(
        id=row.id,
        name=row.name,
        hash=row.hash,
        scopes=tuple(json.loads(row.scopes)),
        queues=None if row.queues is None else tuple(json.loads(row.queues)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
    )
