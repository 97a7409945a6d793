"""Fixtures of the actors' tests."""

from collections.abc import Iterator

import pytest

from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import migrate
from task_queue.actors.store.store import Store


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    """An open store on each kind of database."""
    store = Store(database)
    yield store
    store.close()


@pytest.fixture
def postgres_only(postgres_url: str) -> Database:
    """A PostgreSQL with the schema, for what SQLite has no twin of."""
    database = Database(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    migrate(database)
    return database
