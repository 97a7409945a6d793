"""Fixtures of all tests: databases, servers, and a look at what a test leaves behind."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.contextvars import clear_contextvars

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.config.settings import load
from tests import postgres
from tests.harness import ServerProcess


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


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new, empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/tasks.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def empty_database(database_url: str) -> Database:
    """Each kind of database, without a schema; its URL is normalized as the settings do it."""
    settings = load(overrides=[f"database.url={database_url}"], environ={}).settings.database
    database = Database(settings.url)
    if database.is_sqlite:
        database.path.touch()  # only a migration makes a file that is not there
    return database


@pytest.fixture
def database(empty_database: Database) -> Database:
    """Each kind of database, with the schema."""
    migrate(empty_database)
    return empty_database


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Makes servers that are gone at the end of the test; settings as for `--set`."""
    servers: list[ServerProcess] = []

    def make(*settings: str, directory: Path = tmp_path) -> ServerProcess:
        servers.append(ServerProcess(directory, *settings))
        return servers[-1]

    yield make
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
    left = [thread for thread in threading.enumerate() if thread not in before]
    for thread in left:
        thread.join(timeout=5)
    assert not [thread for thread in left if thread.is_alive()]
