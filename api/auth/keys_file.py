"""The file with keys, which is read again when it changes."""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from task_queue.api.auth.caller import Caller
from task_queue.api.auth.keys import hash_of
from task_queue.api.auth.scopes import Scope
from task_queue.config.keys_file import read_keys
from task_queue.config.logger import get_logger
from task_queue.config.settings import KeySettings, SettingsError

LOOK_SECONDS = 1.0
"""How often to look whether it has changed, while requests come: one call of the system."""

_log = get_logger()


def callers(keys: Mapping[str, KeySettings]) -> dict[str, Caller]:
    """Return whoever has these keys of settings, by the hash of the key.

    Args:
        keys: By name.

    Raises:
        SettingsError: Two of them are the same.
    """
    found: dict[str, Caller] = {}
    for name, key in keys.items():
        hashed = hash_of(key.key.get_secret_value())
        if hashed in found:
            message = f"the keys {found[hashed].name} and {name} are the same: draw another one"
            raise SettingsError(message)
        scopes = frozenset(map(Scope, key.scopes))
        queues = None if key.queues is None else frozenset(key.queues)
        found[hashed] = Caller(name, None, scopes, queues)
    return found


class KeysFile:
    """Keys of a file. One that cannot be read any more counts as it was when it could be.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path, monotonic: Callable[[], float]) -> None:
        """Read it.

        Args:
            path: Where it is.
            monotonic: Seconds on a clock that is never set.

        Raises:
            SettingsError: It cannot be read, or holds something else than keys.
        """
        self.path = path
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._looked_at = monotonic()
        self._seen = self._mark()
        self._callers = callers(read_keys(path))

    @property
    def is_empty(self) -> bool:
        """Whether it has no keys."""
        return not self._callers

    def find(self, hashed: str) -> Caller | None:
        """Return whoever has the key with this hash."""
        moment = self._monotonic()
        if moment - self._looked_at >= LOOK_SECONDS:
            with self._lock:
                self._look(moment)
        return self._callers.get(hashed)

    def _look(self, moment: float) -> None:
        if moment - self._looked_at < LOOK_SECONDS:  # another thread has just done it
            return
        seen = self._mark()
        if seen != self._seen:
            try:
                self._callers = callers(read_keys(self.path))
                _log.info("keys read", file=str(self.path), count=len(self._callers))
            except SettingsError as error:
                _log.error("keys refused, the former ones stay", error=str(error))
            self._seen = seen
        self._looked_at = moment

    def _mark(self) -> tuple[int, int, int, int] | None:
        """Return what changes with the file; None: it is not there."""
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
