"""`task-queue keys`, with a server running or not, before the first start or after."""

import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import has_table
from task_queue.actors.store.revisions import REVISIONS
from tests.api.keys import get, make_key, task_queue
from tests.harness import DEADLINE_SECONDS, ROOT, ServerProcess

pytestmark = pytest.mark.system

Serve = Callable[..., ServerProcess]
URLS = ["", "postgres_url"]


@pytest.fixture(params=URLS, ids=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str | None:
    """A database that is not there yet, or is empty; None: the default one."""
    return str(request.getfixturevalue(request.param)) if request.param else None


def test_before_the_first_start_and_while_it_runs(
    serve: Serve, tmp_path: Path, url: str | None
) -> None:
    first = make_key(tmp_path, "first", "--scope", "read", url=url)
    settings = ("auth.mode=keys", *([f"database.url={url}"] if url else []))
    server = serve(*settings, first=True).start()
    assert get(server, "/tasks", first).status_code == 200
    second = make_key(tmp_path, "second", "--scope", "admin", url=url)
    assert get(server, "/tasks", second).status_code == 200
    listed = task_queue(tmp_path, "keys", "list", url=url).stdout.splitlines()
    assert [line.split()[1:4] for line in listed] == [
        ["name", "scopes", "queues"],
        ["first", "read", "all"],
        ["second", "admin", "all"],
    ]
    assert first.rpartition("_")[2] not in "".join(listed)
    entries = get(server, "/audit", second).json()["entries"]
    made = [entry for entry in entries if entry["what"] == "create_key"]
    assert [entry["target"] for entry in made] == ["second", "first"]
    assert all(re.fullmatch(r"command line \(\S+\)", entry["who"]) for entry in made)


def test_a_key_is_alone_on_standard_output(tmp_path: Path) -> None:
    made = task_queue(
        tmp_path, "keys", "create", "shop", "--scope", "publish", "--queue", "nowhere"
    )
    assert re.fullmatch(r"tq_[0-9a-f]{16}_[0-9a-f]{64}\n", made.stdout)
    assert "--queue 'nowhere' is not known" in made.stderr
    assert made.stdout.strip() not in made.stderr


def test_each_command_names_its_database_and_only_create_makes_one(
    tmp_path: Path, url: str | None
) -> None:
    name = Database(url or f"sqlite:///{tmp_path / 'data' / 'tasks.db'}").shown
    listed = task_queue(tmp_path, "keys", "list", url=url)
    assert (listed.returncode, len(listed.stdout.splitlines())) == (0, 1)
    assert f"there is no key in the database {name}" in listed.stderr
    revoked = task_queue(tmp_path, "keys", "revoke", "shop", url=url)
    assert f"shop is not in the database {name}" in revoked.stderr
    assert not [*tmp_path.iterdir()]
    if url:
        assert not has_table(Database(url), REVISIONS)
    for key, is_new in (("first", ", which is new"), ("second", "")):
        made = task_queue(tmp_path, "keys", "create", key, "--scope", "read", url=url)
        assert f", in the database {name}{is_new}\n" in made.stderr


def with_output(directory: Path, redirection: str, name: str) -> "subprocess.CompletedProcess[str]":
    """What is said of a new key whose standard output leads there."""
    command = (sys.executable, "-m", "task_queue", "keys", "create", name, "--scope", "read")
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *command],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_a_key_that_nobody_would_see_is_not_made(tmp_path: Path) -> None:
    refused = with_output(tmp_path, ">&-", "shop")
    assert refused.returncode == 1
    assert "standard output is closed" in refused.stderr
    assert not [*tmp_path.iterdir()]


def test_a_key_that_cannot_be_shown_is_one_to_revoke(tmp_path: Path) -> None:
    lost = with_output(tmp_path, ">/dev/full", "shop")
    assert lost.returncode == 1
    (line,) = lost.stderr.splitlines()
    assert "the key shop was made in the database sqlite:///" in line
    assert "No space left on device" in line
    assert line.endswith("revoke it: task-queue keys revoke shop")
    assert task_queue(tmp_path, "keys", "revoke", "shop").returncode == 0


def test_a_key_that_was_found_is_revoked_without_being_shown_again(tmp_path: Path) -> None:
    key = make_key(tmp_path, "shop", "--scope", "read")
    named = task_queue(tmp_path, "keys", "create", key, "--scope", "read")
    found = task_queue(tmp_path, "keys", "revoke", key)
    unknown = task_queue(tmp_path, "keys", "revoke", f"tq_{'0' * 16}_{'5' * 64}")
    assert (named.returncode, found.returncode, unknown.returncode) == (2, 0, 1)
    assert "key shop (" in found.stdout
    assert key[20:40] not in named.stderr + found.stdout + found.stderr
    assert "5" * 9 not in unknown.stderr


@pytest.mark.parametrize("is_stored", [False, True])
def test_a_key_of_the_settings_is_taken_away_there(tmp_path: Path, *, is_stored: bool) -> None:
    table = f'key = "{"k" * 40}"\nscopes = ["read"]\n'
    (tmp_path / "keys.toml").write_text(f"[app]\n{table}")
    (tmp_path / "mine.toml").write_text(
        f'[auth]\nkeys_file = "keys.toml"\n[auth.keys.shop]\n{table}'
    )
    for name, where in (("app", "the file keys.toml"), ("shop", "the settings")):
        if is_stored:
            make_key(tmp_path, name, "--scope", "read")
        revoked = task_queue(tmp_path, "keys", "revoke", name, "--config", "mine.toml")
        assert revoked.returncode == (0 if is_stored else 1)
        said = f"there is a key {name} in {where}: it holds until it is taken away there"
        assert said in revoked.stderr


def test_what_is_listed_says_until_when_a_key_holds(tmp_path: Path) -> None:
    options = ("--scope", "publish", "--scope", "work", "--queue", "tasks", "--expires", "90d")
    make_key(tmp_path, "shop", *options)
    make_key(tmp_path, "old", "--scope", "read")
    assert "key old (" in task_queue(tmp_path, "keys", "revoke", "old").stdout
    _, old, shop = (
        line.split() for line in task_queue(tmp_path, "keys", "list").stdout.splitlines()
    )
    assert (old[1], old[5:]) == ("old", ["never", "revoked"])
    assert shop[1:4] == ["shop", "publish,work", "tasks"]
    assert shop[6] == "valid"
    assert shop[4] < shop[5]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("create", "shop"), 2, "--scope must be given, once or more: publish, read, work"),
        (("create", "shop", "--scope", "raed"), 2, "--scope 'raed' is not known; did you mean"),
        (("create", "sh/op", "--scope", "read"), 2, "NAME = sh/op: must have 1 to 200"),
        (("create", "0123456789abcdef", "--scope", "read"), 2, "must not look like the id"),
        (("create", "x", "--scope", "read", "--queue", "a b"), 2, "--queue = a b: must have"),
        (("create", "x", "--scope", "read", "--expires", "90"), 2, "--expires = 90: must be"),
        (("create", "x", "--scope", "read", "--expires", "0d"), 2, "--expires = 0d: must be"),
        (("create", "x", "--scope", "read", "--expires", "9999999w"), 2, "at most 100 years"),
        (("create", "taken", "--scope", "read"), 1, "there is a key by the name taken"),
        (("revoke", "nobody"), 1, "key not found"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    if "taken" in arguments:
        make_key(tmp_path, "taken", "--scope", "read")
    result = task_queue(tmp_path, "keys", *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert says in line


def test_a_database_of_a_former_version_that_is_in_use_is_left_alone(
    serve: Serve, tmp_path: Path
) -> None:
    serve().start()
    database = tmp_path / "data" / "tasks.db"
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE alembic_version SET version_num = '0006'")
    connection.close()
    result = task_queue(tmp_path, "keys", "create", "shop", "--scope", "read")
    assert (result.returncode, result.stdout) == (1, "")
    assert "of another version: upgrade that server, or stop it" in result.stderr
