"""Decides at the start whether requests need a key, and refuses a start at which nobody has one."""

from task_queue.actors.key_admin import has_valid_key
from task_queue.actors.messages.reader import HasKey
from task_queue.api.auth.admission import Admission, needs_key
from task_queue.api.auth.buckets import Buckets
from task_queue.api.auth.keyring import Keyring
from task_queue.api.auth.keys_file import KeysFile, callers
from task_queue.api.edge import Edge
from task_queue.api.routes.metrics import METRICS
from task_queue.config.logger import get_logger
from task_queue.config.settings import Settings, SettingsError

_log = get_logger()


def admission(
    settings: Settings, edge: Edge, file: KeysFile | None, *, is_local: bool
) -> Admission:
    """Return who is let in; nothing runs yet.

    Args:
        settings: All of them.
        edge: The way to the database.
        file: Has further keys.
        is_local: Whether nobody reaches the server but processes of its machine.

    Raises:
        SettingsError: Requests need a key, and there is none; or two keys are the same.
        TaskQueueError: The database cannot be used.
    """
    auth = settings.auth
    configured = callers(auth.keys)
    needed = needs_key(auth, is_local=is_local)
    if needed and not (
        configured
        or (file is not None and not file.is_empty)
        or has_valid_key(edge.system.database, edge.now())
    ):
        where = "auth.mode is keys" if is_local else f"{settings.http.host} is beyond loopback"
        message = (
            f"{where}, so requests need a key, and there is none: make one with"
            " `task-queue keys create NAME --scope publish --scope read`, or insist on letting"
            ' everybody in with auth.mode = "open"'
        )
        raise SettingsError(message)
    buckets = None
    if auth.rate_limit:
        buckets = Buckets(auth.rate_limit, auth.rate_burst, edge.monotonic)
    keyring = Keyring(configured, file, edge.ask_for_key, now=edge.now, monotonic=edge.monotonic)
    return Admission(
        keyring,
        needs_key=needed,
        buckets=buckets,
        open_operations=(METRICS,) if settings.metrics.open else (),
    )


def tell_who_is_let_in(
    settings: Settings, edge: Edge, admitted: Admission, file: KeysFile | None, *, is_local: bool
) -> None:
    """Log what may not be meant: everybody is let in, though there are keys or neighbours.

    Args:
        settings: All of them.
        edge: The way to the database; everything runs.
        admitted: Who is let in.
        file: Has further keys.
        is_local: Whether nobody reaches the server but processes of its machine.
    """
    if admitted.needs_key:
        return
    if not is_local:
        _log.warning(
            "whoever reaches this port can publish, read, cancel and delete all tasks:"
            " auth.mode is open",
            host=settings.http.host,
        )
        return
    if settings.auth.mode == "open":
        return
    has_keys = bool(settings.auth.keys or file or edge.ask_reader(HasKey(edge.now())))
    if has_keys or settings.http.trusted_proxies:
        _log.warning(
            'there are keys or proxies, but no key is needed on loopback: auth.mode = "keys" makes'
            " them needed"
        )
