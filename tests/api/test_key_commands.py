"""`task-queue keys`, with a server running or not, before the first start or after."""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.keys import get, make_key, task_queue
from tests.harness import ServerProcess

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
