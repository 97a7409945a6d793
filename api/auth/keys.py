"""Keys: how they look, how they come in a request, and what is kept of them.

A key is `tq_`, 16 hexadecimal digits by which it is found, `_`, and 64 digits that are secret. The
beginning is there for those who look for secrets in sources and logs.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

from task_queue.actors.tasks.keys import StoredKey
from task_queue.api.auth.caller import Caller
from task_queue.api.auth.scopes import Scope

MARK = "tq_"
"""How a key of the database begins."""
ID_BYTES = 8
SECRET_BYTES = 32
"""256 bits: nobody guesses them."""
MAX_KEY_CHARS = 256
AUTHORIZATION = "HTTP_AUTHORIZATION"
"""Where the header with the key stands in a request's environment."""

_ID = re.compile(rf"[0-9a-f]{{{2 * ID_BYTES}}}")
_KEY = re.compile(rf"{MARK}({_ID.pattern})_[0-9a-f]{{{2 * SECRET_BYTES}}}")
_VISIBLE = re.compile(rf"[!-~]{{1,{MAX_KEY_CHARS}}}")
_SCOPES = {scope.value: scope for scope in Scope}


class NotBearerError(Exception):
    """The header `Authorization` holds no key; the text says what it must be."""


def new_key(token_hex: Callable[[int], str]) -> str:
    """Return a new key.

    Args:
        token_hex: Draws so many bytes that nobody can guess, in hexadecimal digits.
    """
    return f"{MARK}{token_hex(ID_BYTES)}_{token_hex(SECRET_BYTES)}"


def id_of(key: str) -> str | None:
    """Return the public part of a key of the database; None: it is none."""
    found = _KEY.fullmatch(key)
    return found and found[1]


def is_id(text: str) -> bool:
    """Return whether the text looks like the public part of a key."""
    return _ID.fullmatch(text) is not None


def hash_of(key: str) -> str:
    """Return what is kept of a key, in hexadecimal digits.

    A fast hash is right here. Slow ones make it dear to try passwords, of which people choose few;
    of 256 random bits nobody can try enough, and a slow one would cost each request its time.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def presented(environ: Mapping[str, Any]) -> str | None:
    """Return the key in a request's header `Authorization`; None: it has no such header.

    Raises:
        NotBearerError: The header is there, but is not `Bearer` and one key (RFC 6750, 2.1).
    """
    value = environ.get(AUTHORIZATION)
    if value is None:
        return None
    scheme, _, key = value.partition(" ")
    if scheme.lower() != "bearer":
        # Without what it is: a key, if somebody has left out the word before it.
        raise NotBearerError("Authorization must be Bearer and a key")
    key = key.strip(" ")
    if not _VISIBLE.fullmatch(key):
        raise NotBearerError("Authorization must be Bearer and one key, of visible characters")
    return str(key)


def caller_with(key: StoredKey) -> Caller:
    """Return whoever has this key of the database.

    A scope that only a newer version knows counts for nothing.
    """
    scopes = frozenset(_SCOPES[each] for each in key.scopes if each in _SCOPES)
    return Caller(key.name, key.id, scopes, None if key.queues is None else frozenset(key.queues))
