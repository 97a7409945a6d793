"""Fixtures of the actors' tests."""

from collections.abc import Iterator

import pytest

from task_queue.actors.store.database import Database
from task_queue.actors.store.session import Session
from tests.databases import patient


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """An open session on each kind of database."""
    session = Session(patient(database))
    yield session
    session.close()


@pytest.fixture
def postgres_only(migrated_url: str) -> Database:
    """A PostgreSQL with the schema, for what SQLite has no twin of."""
    return Database(migrated_url)
