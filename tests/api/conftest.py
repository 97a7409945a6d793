"""One server on each kind of database for all tests that need no fresh one."""

from collections.abc import Iterator

import pytest

from tests import postgres
from tests.harness import ServerProcess


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on SQLite."""
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture(scope="package")
def postgres_backed_server(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """A server on PostgreSQL."""
    url = postgres.create_database(postgres_server)
    server = ServerProcess(tmp_path_factory.mktemp("server"), f"database.url={url}")
    try:
        yield server.start()
    finally:
        server.close()
        postgres.drop_database(postgres_server, url)


@pytest.fixture(scope="package", params=["server", "postgres_backed_server"])
def either_server(request: pytest.FixtureRequest) -> ServerProcess:
    """A server on each kind of database."""
    server: ServerProcess = request.getfixturevalue(request.param)
    return server
