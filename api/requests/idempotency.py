"""`Idempotency-Key`: a request that is sent again takes effect once.

As in draft-ietf-httpapi-idempotency-key-header-07. The first answer is kept in the database, in the
same commit as the tasks; only what belongs to this process is here.
"""

import re
import threading
from functools import partial
from hashlib import blake2b, sha256
from typing import Any

import falcon
import orjson

from task_queue.actors.messages.queue import Publish
from task_queue.actors.messages.reply import Reply
from task_queue.actors.tasks.conditions import REMEMBERED_SECONDS, Idempotency
from task_queue.api.auth.caller import Caller, caller_of
from task_queue.api.responses import problems
from task_queue.api.responses.errors import InvalidRequestError

ENVIRON_KEY = "HTTP_IDEMPOTENCY_KEY"
"""Where the header stands in a request's environment."""
MAX_KEY_CHARS = 255
SPACE_BYTES = 16
"""How much of the digest of a caller's queues a stored key has: no two sets share it by chance."""

_VISIBLE = re.compile(r"[!-~]{1,255}")
_QUOTED = re.compile(r'"((?:[!#-\[\]-~]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\(.)")


def asked_for(
    req: falcon.Request,
    value: object,
    now: float,
    *,
    waits: bool = False,
    event: str | None = None,
) -> Idempotency | None:
    """Return what makes a repetition the same request; None: it has no key.

    Args:
        req: The request.
        value: The JSON value in its body.
        now: The present moment, Unix seconds.
        waits: Whether its answer waits for the task's end. A repetition need not say the same.
        event: What identifies the event that it is, in place of a key.

    Raises:
        InvalidRequestError: The key is not one, or an event has one besides.
    """
    header = req.env.get(ENVIRON_KEY)
    if header is None:
        if event is None:
            return None
        key = event
    elif event is None:
        key = _key(header)
    else:
        message = "Idempotency-Key is not for events: id and source make a repetition the same"
        raise InvalidRequestError(message, problem=problems.CONTRADICTION)
    canonical = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    fingerprint = sha256(req.path.encode() + b"\n" + canonical).hexdigest()
    key = _space_of(caller_of(req)) + key
    return Idempotency(key, fingerprint, now + REMEMBERED_SECONDS, waits)


def key_of(publish: Publish) -> str | None:
    """Return the key that a publish was sent with, if it was."""
    again = None if publish.conditions is None else publish.conditions.idempotency
    return None if again is None else again.key


class InFlight:
    """The keys of the requests that are being answered in this process; for any thread."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self._lock = threading.Lock()

    def enter(self, key: str) -> None:
        """Take the key.

        Raises:
            InvalidRequestError: Another request has it.
        """
        with self._lock:
            if key in self._keys:
                message = "a request with this Idempotency-Key is still being answered"
                raise InvalidRequestError(
                    message, problem=problems.STILL_ANSWERED, retry_after_seconds=1
                )
            self._keys.add(key)

    def leave_with(self, reply: Reply[Any], key: str) -> None:
        """Give the key back when the reply is there, good or bad."""
        reply.then(partial(self.leave, key))

    def leave(self, key: str) -> None:
        """Give the key back."""
        with self._lock:
            self._keys.discard(key)


def _space_of(caller: Caller) -> str:
    """Return what the keys begin with of all who see the same queues, so that no others meet them.

    With a space, which is in no key; nothing for those who see all queues.
    """
    if caller.queues is None:
        return ""
    return blake2b(orjson.dumps(sorted(caller.queues)), digest_size=SPACE_BYTES).hexdigest() + " "


def _key(header: str) -> str:
    """Return the key, given as bare text or, as in the draft, as a structured field's string."""
    header = header.strip()
    key = header
    if header.startswith('"'):
        quoted = _QUOTED.fullmatch(header)
        key = _ESCAPED.sub(r"\1", quoted[1]) if quoted else ""
    if not _VISIBLE.fullmatch(key):
        message = (
            f"Idempotency-Key must have 1 to {MAX_KEY_CHARS} visible ASCII characters,"
            " as they are or as a string in double quotes"
        )
        raise InvalidRequestError(message)
    return key
