"""The database that the settings name, for whoever uses it, with a server or without."""

from task_queue.actors.store.database import Database, absolute_url, environment
from task_queue.actors.store.file_lock import FileLock
from task_queue.actors.store.migrate import migrate
from task_queue.config.settings import DatabaseSettings


def database(settings: DatabaseSettings) -> Database:
    """Return the database that the settings name, wherever an action leads this process later."""
    return Database(
        absolute_url(settings.url),
        busy_timeout_seconds=settings.busy_timeout_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        statement_timeout_seconds=settings.statement_timeout_seconds,
        options=settings.postgresql_options,
        environment=environment(settings.url),
        copy_before_migration=settings.backup_before_migration,
    )


def migrate_only(settings: DatabaseSettings) -> None:
    """Migrate the schema to the newest version, and start nothing.

    Raises:
        TaskQueueError: The migration failed.
    """
    target = database(settings)
    lock = FileLock(target.path) if target.is_sqlite else None
    if lock is not None:
        lock.acquire()
    try:
        migrate(target)
    finally:
        if lock is not None:
            lock.release()
