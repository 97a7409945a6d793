"""Fixtures of all tests: databases, servers, and a look at what a test leaves behind."""

import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from structlog.contextvars import clear_contextvars

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.config.layers import load
from tests import postgres
from tests.databases import insist_on_groups
from tests.harness import ServerProcess, put_database

# Where nothing is to be written beside the sources, each process would compile all of them: the
# servers, and the workers that run the tests.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell without job control lets what it runs in the background ignore Ctrl-C, and so would the
# commands at which the tests press it.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Whether an example holds does not depend on how long it takes: a process that has to wait for its
# turn, or makes the tables of Unicode first, is no fault.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook, too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives tests that share a server to one worker, and the short ones to all at the end.

    Else each worker would start the server of a module anew, and at the end one would be at a long
    test while the others have nothing to do.
    """
    for item in items:
        if isinstance(item, pytest.Function) and _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.module.__name__))
    items.sort(key=_length, reverse=True)


def _shares(item: pytest.Function) -> bool:
    """Whether it has a fixture of its module, and is in no group yet."""
    fixtures = chain.from_iterable(item._fixtureinfo.name2fixturedefs.values())
    grouped = item.get_closest_marker("xdist_group") is not None
    return not grouped and any(fixture.scope == "module" for fixture in fixtures)


def _length(item: pytest.Item) -> tuple[float, bool]:
    """What is known of how long it takes: the time that it asks for, and whether it has servers."""
    asked = item.get_closest_marker("timeout")
    return asked.args[0] if asked else 0, item.get_closest_marker("system") is not None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL on which databases may be created, or a skip that says what to do."""
    if (url := postgres.existing()) is not None:
        yield url
        return
    if not postgres.ThrowAwayServer.possible():
        pytest.skip(postgres.HOW)
    with postgres.throw_away_server() as server:
        yield server.url


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A new, empty PostgreSQL database."""
    url = postgres.create_database(postgres_server)
    yield url
    postgres.drop_database(postgres_server, url)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema, to be copied: migrations take their time."""
    path = tmp_path_factory.mktemp("migrated") / "tasks.db"
    migrate(Database(f"sqlite:///{path}"))
    insist_on_groups(_normalized(f"sqlite:///{path}"))
    return path


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> Iterator[str]:
    """The name of a PostgreSQL database with the schema, to be copied."""
    url = postgres.create_database(postgres_server)
    migrate(Database(url))
    insist_on_groups(_normalized(url))
    yield url.rpartition("/")[2]
    postgres.drop_database(postgres_server, url)


@pytest.fixture
def migrated_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A new PostgreSQL database with the schema."""
    url = postgres.create_database(postgres_server, migrated_template)
    yield url
    postgres.drop_database(postgres_server, url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tasks.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def empty_database(database_url: str) -> Database:
    """Each kind of database, without a schema."""
    database = _normalized(database_url)
    if database.is_sqlite:
        database.path.touch()  # only a migration makes a file that is not there
    return database


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    """Each kind of database, with the schema."""
    if request.param == "postgresql":
        return _normalized(request.getfixturevalue("migrated_url"))
    path = shutil.copyfile(request.getfixturevalue("migrated_file"), tmp_path / "tasks.db")
    return _normalized(f"sqlite:///{path}")


def _normalized(url: str) -> Database:
    """The database with this URL, as the settings have it."""
    return Database(load(overrides=[f"database.url={url}"], environ={}).settings.database.url)


@pytest.fixture
def serve(tmp_path: Path, migrated_file: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers that are gone at the end of the test; settings as for `--set`.

    The default database has its schema already; with `first=True` it is not there.
    """
    with _servers(tmp_path, migrated_file) as make:
        yield make


@pytest.fixture(scope="module")
def serve_all(
    tmp_path_factory: pytest.TempPathFactory, migrated_file: Path
) -> Iterator[Callable[..., ServerProcess]]:
    """Makes the server that all tests of a module share, as `serve` does that of one."""
    with _servers(tmp_path_factory.mktemp("server"), migrated_file) as make:
        yield make


@contextmanager
def _servers(below: Path, migrated_file: Path) -> Iterator[Callable[..., ServerProcess]]:
    servers: list[ServerProcess] = []

    def make(*settings: str, directory: Path = below, first: bool = False) -> ServerProcess:
        if not first:
            put_database(migrated_file, directory)
        servers.append(ServerProcess(directory, *settings))
        return servers[-1]

    try:
        yield make
    finally:
        for server in servers:
            server.close()


@pytest.fixture(autouse=True)
def log_lines_are_of_this_test() -> Iterator[None]:
    """Ends a test without the fields that it bound to every log line of its thread."""
    yield
    clear_contextvars()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Fails a test that leaves a thread running."""
    before = set(threading.enumerate())
    yield
    # One that has no number yet is just being started, by what the tests of a module share.
    now = (thread for thread in threading.enumerate() if thread.ident is not None)
    left = [thread for thread in now if thread not in before]
    for thread in left:
        thread.join(timeout=5)
    assert not [thread for thread in left if thread.is_alive()]
