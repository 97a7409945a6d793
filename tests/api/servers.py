"""Servers with settings of their own, on either kind of database, for all tests of a module."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import postgres
from tests.harness import ServerProcess, put_database

DATABASES = ["sqlite", "postgresql"]
"""The parameters of a fixture that is a `server_on`."""


@contextmanager
def server_on(
    request: pytest.FixtureRequest, factory: pytest.TempPathFactory, *settings: str
) -> Iterator[ServerProcess]:
    """A running server on the kind of database that the fixture's parameter names.

    Args:
        request: The fixture's.
        factory: Makes its directory.
        settings: As for `--set`.
    """
    directory = factory.mktemp("server")
    if request.param == "sqlite":
        put_database(request.getfixturevalue("migrated_file"), directory)
        yield from _run(ServerProcess(directory, *settings))
        return
    postgres_server = request.getfixturevalue("postgres_server")
    template = request.getfixturevalue("migrated_template")
    url = postgres.create_database(postgres_server, template)
    yield from _run(ServerProcess(directory, f"database.url={url}", *settings))
    postgres.drop_database(postgres_server, url)


def _run(server: ServerProcess) -> Iterator[ServerProcess]:
    try:
        yield server.start()
    finally:
        server.close()
