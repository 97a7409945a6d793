"""Keys of a file that changes while the server runs."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from task_queue.api.auth.keys import hash_of
from task_queue.api.auth.keys_file import LOOK_SECONDS, KeysFile, callers
from task_queue.config.keys_file import read_keys
from task_queue.config.settings import SettingsError
from tests.fakes import ManualClock

KEY, OTHER = "k" * 40, "o" * 40


def table(name: str, key: str, scopes: str = '["read"]') -> str:
    return f'[{name}]\nkey = "{key}"\nscopes = {scopes}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(table("shop", KEY))
    return path


def finder(path: Path) -> tuple[ManualClock, Callable[[str], str | None]]:
    clock = ManualClock()
    file = KeysFile(path, clock)

    def find(key: str) -> str | None:
        caller = file.find(hash_of(key))
        return None if caller is None else caller.name

    return clock, find


def test_a_key_that_is_taken_out_does_not_hold_any_more(path: Path) -> None:
    clock, find = finder(path)
    assert find(KEY) == "shop"
    path.write_text(table("mail", OTHER))
    assert find(KEY) == "shop"
    clock.advance(LOOK_SECONDS)
    assert (find(KEY), find(OTHER)) == (None, "mail")


def test_a_file_that_another_took_the_place_of_is_read(path: Path, tmp_path: Path) -> None:
    clock, find = finder(path)
    new = tmp_path / "new.toml"
    new.write_text(table("mail", OTHER))
    new.rename(path)
    clock.advance(LOOK_SECONDS)
    assert find(OTHER) == "mail"


@pytest.mark.parametrize("text", ["", "[shop", table("shop", "short"), "\xff"])
def test_a_file_that_is_wrong_or_gone_changes_nothing_until_it_is_right(
    path: Path, text: str
) -> None:
    clock, find = finder(path)
    path.write_text(text, "latin-1") if text else path.unlink()
    clock.advance(LOOK_SECONDS)
    assert find(KEY) == "shop"
    path.write_text(table("mail", OTHER))
    clock.advance(LOOK_SECONDS)
    assert (find(KEY), find(OTHER)) == (None, "mail")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "auth.keys_file {path}: No such file or directory"),
        ("[shop", "auth.keys_file {path}: is not valid TOML"),
        (f"a = {'[' * 5_000}", "auth.keys_file {path}: is not valid TOML"),
        (f"a = {'9' * 5_000}", "auth.keys_file {path}: is not valid TOML"),
        ("\xff", "auth.keys_file {path}: is not UTF-8"),
        (table("shop", "short"), "auth.keys.shop.key (from file {path}): must have 32 to 256"),
        (
            table("shop", KEY, "[]"),
            "auth.keys.shop.scopes = [] (from file {path}): must have one or more of publish, read",
        ),
        (table("shop", KEY, '["fly"]'), "fly (from file {path}): must be 'publish', 'read'"),
        (f'key = "{KEY}"', "auth.keys.key (from file {path})"),
        (table("sh/op", KEY).replace("[sh/op]", '["sh/op"]'), "the name must have 1 to 200"),
        (table("shop", KEY) + 'scope = "read"\n', "auth.keys.shop.scope (from file {path})"),
    ],
)
def test_a_file_that_cannot_be_used_is_an_error_at_the_start(
    path: Path, text: str | None, says: str
) -> None:
    path.unlink() if text is None else path.write_text(text, "latin-1")
    with pytest.raises(SettingsError) as refused:
        KeysFile(path, ManualClock())
    assert says.format(path=path) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert KEY not in str(refused.value)
    assert "short" not in str(refused.value)


def test_what_is_no_regular_file_is_refused_and_not_waited_for(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SettingsError, match="is no regular file"):
        KeysFile(path, ManualClock())


def test_a_file_whose_place_a_pipe_took_stays_as_it_was(path: Path) -> None:
    path.write_text(table("shop", KEY))
    clock, find = finder(path)
    path.unlink()
    os.mkfifo(path)
    clock.advance(LOOK_SECONDS)
    assert find(KEY) == "shop"


def test_two_keys_that_are_the_same_are_refused(path: Path) -> None:
    path.write_text(table("shop", KEY) + table("mail", KEY))
    with pytest.raises(SettingsError, match="shop and mail are the same"):
        callers(read_keys(path))


def test_an_empty_file_has_no_keys(path: Path) -> None:
    path.write_text("")
    assert KeysFile(path, ManualClock()).is_empty
