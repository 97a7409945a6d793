"""Whether requests need a key, and how keys are judged."""

from dataclasses import dataclass

from task_queue.api.auth.buckets import Buckets
from task_queue.api.auth.keyring import Keyring
from task_queue.config.settings import AuthSettings


@dataclass(frozen=True, slots=True)
class Admission:
    """Who is let in.

    Attributes:
        keyring: Judges keys; None: nobody has one.
        needs_key: Whether every request has to have one.
        buckets: Counts the requests of each key; None: they are not counted.
        open_operations: The names of operations that take no key at all.
    """

    keyring: Keyring | None = None
    needs_key: bool = False
    buckets: Buckets | None = None
    open_operations: tuple[str, ...] = ()


NOBODY_NEEDS_A_KEY = Admission()


def needs_key(auth: AuthSettings, *, is_local: bool) -> bool:
    """Return whether every request has to have a key.

    Args:
        auth: What is set.
        is_local: Whether nobody reaches the server but processes of its machine.
    """
    return auth.mode == "keys" or (auth.mode == "auto" and not is_local)
