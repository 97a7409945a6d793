"""`task-queue restore`: a backup in the place of the database."""

from pathlib import Path

from task_queue.actors.errors import StoreUnavailableError
from task_queue.actors.store.database import Database
from task_queue.actors.store.restore import restore as put_back
from task_queue.api.commands.backup import refuse_restore
from task_queue.api.standard_streams import say
from task_queue.config.settings import Settings

_MIB = 2**20


def restore(target: Database, file: Path, settings: Settings, *, force: bool, paused: bool) -> None:
    """Put a copy of the file in the place of the database, and say what it holds.

    Args:
        target: The database.
        file: A backup.
        settings: Whose queues are paused.
        force: Whether a database that is there is replaced; it is kept under another name.
        paused: Whether all queues are paused, so that nothing starts until somebody has looked.

    Raises:
        SettingsError: PostgreSQL has a program of its own for this.
        TaskQueueError: It could not be restored; all is as it was.
    """
    refuse_restore(target, file)
    if not file.is_file():
        raise StoreUnavailableError(f"there is no file {file}")
    if target.path.exists() and file.samefile(target.path):
        raise StoreUnavailableError(f"{file} is the database itself: name a backup")
    copied, kept = put_back(
        target.path, file, replace=force, paused=list(settings.queues) if paused else None
    )
    say(
        f"{target.path}: restored, {copied.size / _MIB:.1f} MiB, {copied.tasks} tasks, revision"
        f" {copied.revision}"
    )
    if kept is not None:
        say(f"the former database is kept as {kept}")
    if paused:
        say("all queues are paused: POST /queues/{name}/resume lets one start its tasks")
    say("keys that were revoked since the backup hold again: see task-queue keys list")
