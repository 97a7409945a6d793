"""Keys as rows."""

from dataclasses import replace

import pytest

from task_queue.actors.errors import ConflictError, NotFoundError
from task_queue.actors.store import keys
from task_queue.actors.store.session import Session
from task_queue.actors.tasks.keys import StoredKey
from tests.actors.store.calls import call
from tests.fakes import NOW

SHOP = StoredKey("1" * 16, "shop", "a" * 64, ("publish", "read"), ("mail",), int(NOW), NOW + 10)
OPS = StoredKey("2" * 16, "ops", "b" * 64, ("admin",), None, int(NOW))


def put(session: Session, *stored: StoredKey) -> None:
    for each in stored:
        call(session, lambda connection, each=each: keys.create(connection, each))  # type: ignore[misc]


def test_a_key_is_found_as_it_was_stored(session: Session) -> None:
    put(session, SHOP, OPS)
    assert call(session, lambda connection: keys.find(connection, SHOP.id)) == SHOP
    assert call(session, lambda connection: keys.find(connection, "3" * 16)) is None
    assert call(session, keys.every) == [OPS, SHOP]


def test_a_name_is_used_once_even_if_its_key_is_revoked(session: Session) -> None:
    put(session, SHOP)
    call(session, lambda connection: keys.revoke(connection, "shop", NOW))
    with pytest.raises(ConflictError, match="shop"):
        put(session, replace(SHOP, id="3" * 16))
    assert len(call(session, keys.every)) == 1


@pytest.mark.parametrize("named", [SHOP.name, SHOP.id])
def test_a_key_is_revoked_by_name_or_id_and_the_first_time_counts(
    session: Session, named: str
) -> None:
    put(session, SHOP, OPS)
    for now in (NOW + 1, NOW + 2):
        revoked = call(session, lambda connection, now=now: keys.revoke(connection, named, now))  # type: ignore[misc]
        assert revoked == replace(SHOP, revoked_at=NOW + 1)
    assert call(session, lambda connection: keys.find(connection, OPS.id)) == OPS


def test_what_is_not_there_is_not_revoked(session: Session) -> None:
    with pytest.raises(NotFoundError, match="key not found"):
        call(session, lambda connection: keys.revoke(connection, "shop", NOW))


def test_a_key_counts_until_it_has_expired_or_was_revoked(session: Session) -> None:
    def has_valid(now: float) -> bool:
        return call(session, lambda connection: keys.has_valid(connection, now))

    assert not has_valid(NOW)
    put(session, SHOP)
    assert (has_valid(NOW), has_valid(NOW + 10)) == (True, False)
    put(session, OPS)
    assert has_valid(NOW + 10)
    call(session, lambda connection: keys.revoke(connection, "ops", NOW))
    assert not has_valid(NOW + 10)
