"""Who has logged in to the dashboard: what its cookie says, and what its forms carry.

A cookie does not hold the key. It names it, signed with a secret that all nodes share, and each
request asks the keyring anew: a key that is revoked is out here as it is everywhere.
"""

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from itsdangerous import BadData, Signer, URLSafeSerializer

from task_queue.api.auth.caller import Caller
from task_queue.api.auth.keyring import Keyring, RefusedKeyError

DASHBOARD = "/ui/"
"""Below this path a cookie counts, and nowhere else."""
COOKIE = "task_queue_session"
ID_BYTES = 12
"""What tells sessions of one key apart."""
NOTE_SECONDS = 60.0
"""How long what was said of a change can be shown."""


@dataclass(frozen=True, slots=True)
class Session:
    """A visit of somebody who has logged in.

    Attributes:
        id: What its forms are bound to.
        caller: Whose key it is.
    """

    id: str
    caller: Caller


class Sessions:
    """Makes cookies, tokens and notes, and reads them."""

    def __init__(
        self,
        keyring: Keyring | None,
        secret: Callable[[], str],
        seconds: int,
        now: Callable[[], float],
    ) -> None:
        """Keep what they are made of.

        Args:
            keyring: Judges keys; None: nobody has one.
            secret: Returns what all nodes sign with; may ask the database for it.
            seconds: How long a session lasts.
            now: The present moment, Unix seconds.
        """
        self._keyring = keyring
        self._secret = secret
        self.seconds = seconds
        self._now = now

    def begin(self, key: str) -> tuple[str, Caller]:
        """Return a cookie for whoever has this key, and who that is.

        Raises:
            RefusedKeyError: It does not hold.
            TaskQueueError: Whether it holds is not known.
        """
        if self._keyring is None:
            raise RefusedKeyError("nobody has a key here")
        caller = self._keyring.judge(key)
        said = [self._keyring.name_of(key), self._now() + self.seconds, _new_id()]
        return self._dumped("session", said), caller

    def find(self, cookie: str) -> Session | None:
        """Return the session of this cookie; None: it is over, or the key does not hold any more.

        Raises:
            TaskQueueError: That is not known.
        """
        match self._loaded("session", cookie):
            case [str(name), float(until), str(own_id)] if self._keyring and self._now() < until:
                with suppress(RefusedKeyError):
                    return Session(own_id, self._keyring.judge_named(name))
        return None

    def token(self, session_id: str) -> str:
        """Return what a form of this session carries, which no other page knows."""
        signer = Signer(self._secret(), salt="form", digest_method=sha256)
        return signer.get_signature(session_id).decode()

    def is_token(self, session_id: str, token: str) -> bool:
        """Return whether a form with this token is one of this session."""
        return compare_digest(self.token(session_id).encode(), token.encode())

    def note(self, session_id: str, text: str) -> str:
        """Return a text that this session alone is shown, signed, for a URL."""
        return self._dumped("note", [session_id, self._now() + NOTE_SECONDS, text])

    def noted(self, session_id: str, note: str) -> str | None:
        """Return the text; None: it is none of this session, or too old."""
        match self._loaded("note", note):
            case [str(whose), float(until), str(text)] if whose == session_id:
                return text if self._now() < until else None
        return None

    def _dumped(self, salt: str, value: object) -> str:
        dumped = self._serializer(salt).dumps(value)
        return dumped if isinstance(dumped, str) else dumped.decode()

    def _loaded(self, salt: str, text: str) -> Any:  # noqa: ANN401 - what was dumped
        try:
            return self._serializer(salt).loads(text)
        except BadData:
            return None

    def _serializer(self, salt: str) -> URLSafeSerializer:
        options = {"digest_method": sha256}
        return URLSafeSerializer(self._secret(), salt=salt, signer_kwargs=options)


def new_secret() -> str:
    """Return what to sign with, if there is nothing yet: 256 bits."""
    return secrets.token_hex(32)


def _new_id() -> str:
    return secrets.token_urlsafe(ID_BYTES)
