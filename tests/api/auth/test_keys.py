"""How keys look, and how they come in a request."""

import re
import secrets

import pytest

from task_queue.actors.tasks.keys import StoredKey
from task_queue.api.auth.caller import EVERYBODY, NOBODY
from task_queue.api.auth.keys import (
    NotBearerError,
    caller_with,
    hash_of,
    id_of,
    new_key,
    presented,
)
from task_queue.api.auth.scopes import Scope
from tests.fakes import NOW
from tests.harness import ROOT

KEY = f"tq_{'1' * 16}_{'a' * 64}"


def header(value: str) -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": value}


def a_stored(*scopes: str, queues: tuple[str, ...] | None = None) -> StoredKey:
    return StoredKey("1" * 16, "shop", hash_of(KEY), scopes, queues, int(NOW))


def test_a_new_key_is_found_by_what_the_page_gives_scanners() -> None:
    page = (ROOT / "docs" / "access.md").read_text("utf-8")
    (pattern,) = re.findall(r"^    (tq_\[.*)$", page, re.MULTILINE)
    one, other = new_key(secrets.token_hex), new_key(secrets.token_hex)
    assert re.fullmatch(pattern, one)
    assert one != other
    assert id_of(one) == one[3:19]


@pytest.mark.parametrize("key", ["", "tq_", KEY[:-1], f"{KEY}0", KEY.upper(), "a" * 64, f" {KEY}"])
def test_what_is_no_key_of_the_database_has_no_id(key: str) -> None:
    assert id_of(key) is None


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_written_in_any_case(scheme: str) -> None:
    assert presented(header(f"{scheme} {KEY}")) == KEY
    assert presented(header(f"{scheme}   {KEY}")) == KEY


def test_without_the_header_there_is_no_key() -> None:
    assert presented({}) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        KEY,
        "Basic dTpw",
        "Bearer",
        "Bearer ",
        f"Bearer {KEY}, Bearer {KEY}",
        f"Bearer {KEY} {KEY}",
        f"Bearer\t{KEY}",
        "Bearer \xe9" + "a" * 40,
        "Bearer " + "a" * 257,
    ],
)
def test_anything_but_bearer_and_one_key_is_refused_and_not_shown(value: str) -> None:
    with pytest.raises(NotBearerError) as refused:
        presented(header(value))
    assert KEY not in str(refused.value)


def test_a_key_may_do_what_its_scopes_say() -> None:
    caller = caller_with(a_stored("publish", "read"))
    assert [scope for scope in Scope if caller.may(scope)] == [Scope.PUBLISH, Scope.READ]
    assert caller.sees("mail")
    assert caller.who == f"shop ({'1' * 16})"


def test_admin_may_do_all_but_on_some_queues_not_what_is_of_all() -> None:
    everywhere, somewhere = (
        caller_with(a_stored("admin", queues=each)) for each in (None, ("mail",))
    )
    assert all(map(everywhere.may, Scope))
    assert [scope for scope in Scope if not somewhere.may(scope)] == [Scope.ADMIN]
    assert (somewhere.sees("mail"), somewhere.sees("tasks")) == (True, False)


def test_a_scope_that_is_not_known_here_counts_for_nothing() -> None:
    assert caller_with(a_stored("read", "fly")).scopes == {Scope.READ}


def test_nobody_may_do_nothing_and_everybody_all() -> None:
    assert not any(map(NOBODY.may, Scope))
    assert not NOBODY.sees("tasks")
    assert all(map(EVERYBODY.may, Scope))


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "state"),
    [
        (None, None, "valid"),
        (NOW + 1, None, "valid"),
        (NOW, None, "expired"),
        (NOW + 1, NOW, "revoked"),
        (NOW, NOW - 1, "revoked"),
    ],
)
def test_a_key_holds_until_its_end_unless_it_is_revoked(
    expires_at: float | None, revoked_at: float | None, state: str
) -> None:
    key = StoredKey("1", "shop", "", (), None, 0, expires_at, revoked_at)
    assert key.state(NOW) == state
