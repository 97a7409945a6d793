"""What `doctor` looks at on this machine: settings, files, the disk, the database."""

import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from task_queue.actors.database import database
from task_queue.actors.errors import TaskQueueError
from task_queue.actors.store.database import Database
from task_queue.actors.store.migrate import has_table, is_at_head
from task_queue.actors.store.own_time import own_time
from task_queue.actors.store.revisions import REVISIONS
from task_queue.api.commands.findings import Finding, fail, of_clocks, ok, warn
from task_queue.config.layers import Loaded
from task_queue.config.settings import Settings

MIB = 2**20


def checked_here(loaded: Loaded) -> Iterator[Finding]:
    """Yield what is found on this machine, going by these settings."""
    yield from _settings(loaded)
    settings = loaded.settings
    target = database(settings.database)
    if target.is_sqlite:
        yield from _files(target)
        yield from _disk(target, settings.database.min_free_bytes)
    yield from _schema(target)
    yield from _secrets(settings)


def _settings(loaded: Loaded) -> Iterator[Finding]:
    set_here = sorted({origin for origin in loaded.origins.values() if origin != "default"})
    files = [origin for origin in set_here if origin.startswith("file ")]
    others = len(set_here) - len(files)
    found = [*files, *([f"{others} in the environment or by --set"] if others else [])]
    yield ok("settings", f"valid: {', '.join(found) or 'all defaults'}")
    if loaded.unused_variables:
        yield warn(
            "settings",
            f"variables that set nothing: {', '.join(loaded.unused_variables)}",
            "a setting's name has __ before its key, as in TASK_QUEUE_HTTP__PORT",
        )


def _files(target: Database) -> Iterator[Finding]:
    path = target.path
    folder = next(each for each in (path.parent, *path.parent.parents) if each.exists())
    user = f"the user {os.geteuid()}"
    if not path.exists():
        if os.access(folder, os.W_OK | os.X_OK):
            text = f"there is no {path} yet; a server makes it"
            remedy = "where one runs already, doctor needs its --config and its folder"
            yield warn("database", text, remedy)
        else:
            text = f"{user} may not write to {folder}, so no database can be made there"
            yield fail("permissions", text, "give the folder to the user of the service")
        return
    denied = [
        str(each)
        for each, mode in ((path, os.R_OK | os.W_OK), (path.parent, os.W_OK | os.X_OK))
        if not os.access(each, mode)
    ]
    if denied:
        text = f"{user} may not write to {' and '.join(denied)}"
        yield fail("permissions", text, "ask as the user of the service, or give it both")
    elif path.stat().st_mode & stat.S_IWOTH:
        text = f"everybody on this machine may write to {path}"
        yield warn("permissions", text, f"chmod o-w {path}")
    else:
        yield ok("permissions", f"{user} may write to {path} and its folder")


def _disk(target: Database, min_free_bytes: int) -> Iterator[Finding]:
    folder = next(each for each in target.path.parents if each.exists())
    free = shutil.disk_usage(folder).free
    text = f"{free // MIB:,} MiB are free at {folder}"
    remedy = f"make room: below {min_free_bytes // MIB} MiB nothing is published any more"
    if free < min_free_bytes:
        yield fail("disk", text, remedy)
    elif free < 4 * min_free_bytes:
        yield warn("disk", text, remedy)
    else:
        yield ok("disk", text)


def _schema(target: Database) -> Iterator[Finding]:
    if target.is_sqlite and not target.path.exists():
        return
    try:
        is_ours = has_table(target, REVISIONS)  # refuses a newer one
        is_current = is_at_head(target)
        now = own_time(target)
    except TaskQueueError as error:
        yield fail("database", str(error))
        return
    if not is_ours:
        yield warn(
            "database", f"{target.shown} has no tables yet", "`task-queue migrate` makes them"
        )
    elif is_current:
        yield ok("database", f"{target.shown} has the schema of this version")
    else:
        text = f"{target.shown} has the schema of an older version"
        yield warn("database", text, "the next start migrates it, as does `task-queue migrate`")
    if now is not None:
        yield of_clocks("clock", "the database's", now - time.time())


def _secrets(settings: Settings) -> Iterator[Finding]:
    name = settings.auth.keys_file
    if not name:
        return
    path = Path(name)
    if not os.access(path, os.R_OK):
        yield fail("permissions", f"the keys file {path} cannot be read", "see auth.keys_file")
    elif path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
        text = f"everybody on this machine may read the keys file {path}"
        yield warn("permissions", text, f"chmod o-rw {path}")
